package demo

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/store"
)

// TestDisasters tells of replicas that freeze, of installations that meet in one cluster,
// and of databases that are lost or older than the clusters.
func TestDisasters(t *testing.T) {
	s := newScene(t)
	f := s.frontBefore("dev", "staging")
	s.inGit("Settings", round(0))
	s.until("dev has the settings", func() error { return s.has(round(0)) })
	s.story("a replica freezes in the middle of a sync, and thaws when another one has finished", func(s *scene) { frozenReplica(s, f) })
	s.story("a second installation is refused", secondInstallation)
	s.story("a new database goes on with what the lost one had applied", lostDatabase)
	s.story("an older database is restored", olderDatabase)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// replica is another process of Tagboat, with settings of its own.
func (s *scene) replica(settings ...string) *Process {
	s.Helper()
	address, err := s.w.keepAddress()
	s.must(err)
	p := s.w.process(address)
	p.env = append(p.env, append(settings, "TAGBOAT_DATA_DIR="+s.TempDir())...)
	s.Cleanup(p.Stop)
	return p
}

// freeze stops a process as a hypervisor would, without its noticing; thaw has it go on.
func (p *Process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *Process) thaw()   { p.signal(syscall.SIGCONT) }

func (p *Process) signal(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running.Signal(signal)
}

// frozenReplica is stopped while a write of its is on the way, which arrives only when
// another replica has brought a newer commit. A sweep is in its hands, too, and keeps every
// other from being begun.
func frozenReplica(s *scene, f *front) {
	first := s.w.Tagboat
	frozen, arrives := make(chan struct{}), make(chan struct{})
	arrive := sync.OnceFunc(func() { close(arrives) })
	defer first.thaw() // also where the story ends early
	defer arrive()
	var stopped atomic.Bool
	var late, written atomic.Int32
	f.each(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if !writes(r) {
			return false
		}
		if stopped.CompareAndSwap(false, true) {
			first.freeze()
			close(frozen)
			<-arrives
			answer := httptest.NewRecorder()
			f.pass.ServeHTTP(answer, r)
			late.Store(int32(answer.Code))
			panic(http.ErrAbortHandler)
		}
		select {
		case <-arrives:
			written.Add(1)
			s.Logf("%s %s by the one that has thawed", r.Method, r.URL.Path)
		default:
		}
		return false
	})
	defer f.each(nil)
	s.inGit("Brought by one that freezes", round(1))
	s.until("it freezes in the middle", func() error {
		select {
		case <-frozen:
			return nil
		default:
			return errors.New("it has written nothing yet")
		}
	})
	s.must(s.w.asOwner(s.ctx, `DELETE FROM river.river_job WHERE kind = 'sweep' AND finalized_at IS NULL`)) // it may have been at one
	held, err := s.w.count(s.ctx, sweepOfTheFrozen)                                                         // which it is, by its id
	s.must(err)
	second := s.replica("TAGBOAT_GITHUB_POLL=2s")
	s.must(second.Start(s.ctx))
	newer := round(1)
	for i := range 4 {
		newer[fmt.Sprint("moves-", i)] = "newer"
	}
	s.inGit("Brought by the other", newer)
	s.until("the other replica has brought the newer commit", func() error { return s.has(newer) })
	s.until("it sweeps in the place of the frozen one", func() error {
		return s.w.none(s.ctx, `SELECT 1 - least(1, count(*)) FROM river.river_job WHERE kind = 'sweep' AND state = 'completed' AND id > $1`, held)
	})

	arrive()
	s.until("its write arrives, and is refused", func() error {
		switch code := late.Load(); code {
		case 0:
			return errors.New("it is on the way")
		case http.StatusConflict:
			return nil
		default:
			return fmt.Errorf("it is answered with %d", code)
		}
	})
	first.thaw()
	s.until("it finds out when it has thawed", func() error {
		if !strings.Contains(fmt.Sprint(s.w.options.Log), store.ErrTakenOver.Error()) {
			return errors.New("it has not said so yet")
		}
		return s.w.none(s.ctx, `SELECT count(*) FROM river.river_job WHERE kind = 'sync' AND state = 'running'`)
	})
	if n := written.Load(); n > 0 {
		s.Errorf("it has written %d times after that", n)
	}
	s.must(s.shows(newer))
	s.until("that is known, too", func() error { return s.has(newer) })
	f.each(nil)
	second.Stop()
	s.inGit("As it goes on", round(2))
	s.until("it goes on as before", func() error { return s.has(round(2)) })
}

// sweepOfTheFrozen has the replica that syncs be in the middle of a sweep, too, since long
// ago. Nobody else begins one as long as that counts as running.
const sweepOfTheFrozen = `INSERT INTO river.river_job (args, kind, queue, max_attempts, state, attempt, unique_key, unique_states, attempted_at, attempted_by)
	SELECT last.args, last.kind, last.queue, last.max_attempts, 'running', 1, last.unique_key, last.unique_states, now() - interval '4 minutes', frozen.attempted_by
	FROM (SELECT * FROM river.river_job WHERE kind = 'sweep' AND state = 'completed' ORDER BY id DESC LIMIT 1) last,
		(SELECT attempted_by FROM river.river_job WHERE kind = 'sync' AND state = 'running' LIMIT 1) frozen
	RETURNING id`

// versionsIn are the resource versions of what the apps have in a namespace.
func (s *scene) versionsIn(namespace string) string {
	s.Helper()
	var all []string
	for _, resource := range []schema.GroupVersionResource{configMaps, {Version: "v1", Resource: "services"}, {Group: "apps", Version: "v1", Resource: "deployments"}} {
		list, err := s.byHand(resource, namespace).List(s.ctx, metav1.ListOptions{})
		s.must(err)
		for _, o := range list.Items {
			all = append(all, o.GetName()+" "+o.GetResourceVersion())
		}
	}
	return strings.Join(all, "\n")
}

// emptyDatabase makes one that a Tagboat may own, and reads from it.
func (s *scene) emptyDatabase(name string) (url string, count func(sql string) error) {
	s.Helper()
	s.must(s.w.Postgres.CreateDatabase(s.ctx, name, ""))
	url = s.w.Postgres.URL(name)
	_, err := store.Migrate(s.ctx, url)
	s.must(err)
	return url, func(sql string) error {
		conn, err := pgx.Connect(s.ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(s.ctx) //nolint:errcheck // nothing is left to lose
		var n int
		if err := conn.QueryRow(s.ctx, sql).Scan(&n); err != nil {
			return err
		}
		if n != 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	}
}

// installation is the name of the world's Tagboat.
func (s *scene) installation() (name string) {
	s.Helper()
	s.must(s.w.database(s.ctx, func(db *store.Store) (err error) {
		name, _, err = db.Installation(s.ctx)
		return err
	}))
	return name
}

// secondInstallation has another Tagboat, with a database of its own, be told of the same
// env repo and the same clusters.
func secondInstallation(s *scene) {
	dev := s.w.Namespaces["dev"]
	before := s.versionsIn(dev)
	url, count := s.emptyDatabase("second")
	second := s.replica("TAGBOAT_DATABASE_URL=" + url)
	s.must(second.Start(s.ctx))
	s.until("it is refused everywhere, and told by whom and what to do", func() error {
		return count(`SELECT count(*) - 9 FROM target WHERE state = 'failed' AND message LIKE '%belongs to another installation of Tagboat, ` + s.installation() + `, as its target%'
			AND message LIKE '%TAGBOAT_INSTALLATION=` + s.installation() + `%'`)
	})
	second.Stop()
	if after := s.versionsIn(dev); after != before {
		s.Errorf("it has changed something:\n%s\nwas\n%s", after, before)
	}
	s.must(s.shows(round(2)))
	s.until("that is known, too", func() error { return s.has(round(2)) })
}

// lostDatabase has an heir begin with nothing but Git, the clusters and the lost one's
// name. Then it is the other way round: the lost one is found again.
func lostDatabase(s *scene) {
	url, count := s.emptyDatabase("new")
	untouched := s.foreign(s.w.Namespaces["dev"])
	s.w.Tagboat.Kill()
	s.inGit("While nobody looks", round(3))
	heir := s.replica("TAGBOAT_DATABASE_URL="+url, "TAGBOAT_INSTALLATION="+s.installation())
	s.must(heir.Start(s.ctx))
	s.until("the heir has brought the commit, what left Git is gone, and the inventory is whole", func() error {
		return errors.Join(s.shows(round(3)), count(`SELECT count(*) - 12 FROM inventory i JOIN target t ON t.id = i.target_id WHERE t.app = 'payments' AND t.env = 'dev' AND i.kind = 'ConfigMap'`),
			count(`SELECT count(*) - 9 FROM target WHERE state = 'healthy' AND got = want`))
	})
	s.must(untouched())
	heir.Stop()
	s.must(s.w.Tagboat.Start(s.ctx))
	s.until("the lost one finds it so", func() error { return s.has(round(3)) })
	s.must(untouched())
	s.must(s.byHand(configMaps, s.w.Namespaces["dev"]).Delete(s.ctx, "foreign", metav1.DeleteOptions{}))
}

// inPostgres does something to databases that nobody uses.
func (s *scene) inPostgres(statements ...string) {
	s.Helper()
	s.w.reading.Lock()
	defer s.w.reading.Unlock()
	if s.w.memory != nil {
		s.w.memory.Close()
		s.w.memory = nil
	}
	for _, sql := range statements {
		s.until(sql, func() error { return s.w.exec(s.ctx, s.w.Postgres.URL("postgres"), sql) }) // a killed one's connections end in a moment
	}
}

// olderDatabase puts a copy of the database in its place, from before objects were added,
// changed and removed; and what was added after it has left Git by then, too.
func olderDatabase(s *scene) {
	dev := s.w.Namespaces["dev"]
	s.w.Tagboat.Kill()
	s.inPostgres(`CREATE DATABASE backup TEMPLATE ` + databaseName)
	s.must(s.w.Tagboat.Start(s.ctx))
	s.inGit("After the backup", round(4))
	s.until("dev has it", func() error { return s.has(round(4)) })
	// Of a name that the backup's inventory has, somebody makes one of their own.
	theirs, err := s.byHand(configMaps, dev).Create(s.ctx, object(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "only-3-0"}, "data": {"is": "theirs"}}`), metav1.CreateOptions{FieldManager: "somebody"})
	s.must(err)
	untouched := func() {
		s.Helper()
		now, err := s.byHand(configMaps, dev).Get(s.ctx, "only-3-0", metav1.GetOptions{})
		if err != nil || now.GetUID() != theirs.GetUID() || now.GetResourceVersion() != theirs.GetResourceVersion() {
			s.Errorf("what somebody has made of a name that the older inventory has was touched: %v, %v", now, err)
		}
	}

	s.w.Tagboat.Kill()
	s.inGit("While the database is lost", round(5)) // only-4-* are known to nobody but the cluster
	s.inPostgres(`DROP DATABASE `+databaseName+` WITH (FORCE)`, `CREATE DATABASE `+databaseName+` TEMPLATE backup`)
	s.must(s.w.asOwner(s.ctx, `UPDATE target SET counted_at = counted_at - interval '25 hours'`)) // backups are older than this one
	s.must(s.w.Tagboat.Start(s.ctx))
	// Of the eight that the older inventory and the labels show, four are there and Tagboat's:
	// no more than may go by themselves.
	s.until("it is as Git says, and what left Git is gone", func() error { return s.has(round(5)) })
	untouched()
	s.until("everything is healthy", func() error { return s.w.allHealthy(s.ctx) })
	s.must(s.byHand(configMaps, dev).Delete(s.ctx, "only-3-0", metav1.DeleteOptions{}))
}
