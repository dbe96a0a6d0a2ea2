package demo

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/store"
)

// TestDisasters tells of replicas that freeze, databases that are lost or older than the
// clusters, and clusters that are new or dead.
func TestDisasters(t *testing.T) {
	s := newScene(t)
	f := s.frontBefore("dev", "staging")
	s.inGit("Settings", round(0))
	s.until("dev has the settings", func() error { return s.has(round(0)) })
	s.story("a replica freezes in the middle of a sync, and thaws when another one has finished", func(s *scene) { frozenReplica(s, f) })
	s.story("a second installation is refused", secondInstallation)
	s.story("a new database goes on with what the lost one had applied", lostDatabase)
	s.story("an older database is restored", olderDatabase)
	s.story("thirty clusters, and one of them is dead", thirtyClusters)
	s.story("a cluster's name stands for a new and empty one", emptyCluster)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// replica is another process of Tagboat, with settings of its own.
func (s *scene) replica(settings ...string) *Process {
	s.Helper()
	address, err := freeAddress()
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

func frozenReplica(s *scene, f *front) {
	first := s.w.Tagboat
	frozen, thawed := make(chan struct{}), make(chan struct{})
	defer first.thaw() // also where the story ends early
	var stopped atomic.Bool
	var late, written atomic.Int32
	f.each(func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if !writes(r) {
			return false
		}
		if stopped.CompareAndSwap(false, true) {
			first.freeze()
			close(frozen)
			<-thawed // its write is on the way for all that time
			answer := httptest.NewRecorder()
			f.pass.ServeHTTP(answer, r)
			late.Store(int32(answer.Code))
			panic(http.ErrAbortHandler)
		}
		select {
		case <-thawed:
			written.Add(1)
			s.Logf("%s %s after the thaw", r.Method, r.URL.Path)
		default:
		}
		return false
	})
	defer f.each(nil)
	s.inGit("Brought by one that freezes", round(1))
	<-frozen
	second := s.replica("TAGBOAT_GITHUB_POLL=2s") // GitHub tells the frozen one
	s.must(second.Start(s.ctx))
	newer := round(1)
	for i := range 4 {
		newer[fmt.Sprint("moves-", i)] = "newer"
	}
	s.inGit("Brought by the other", newer)
	s.within(2*time.Minute, "the other replica has brought the newer commit", func() error { return s.has(newer) })

	first.thaw()
	close(thawed)
	s.until("the frozen one finds out", func() error {
		if log := fmt.Sprint(s.w.options.Log); late.Load() == 0 || !strings.Contains(log, store.ErrTakenOver.Error()) {
			return errors.New("it has not said so yet")
		}
		return s.w.none(s.ctx, `SELECT count(*) FROM river.river_job WHERE kind = 'sync' AND state = 'running'`)
	})
	if late.Load() < 400 {
		s.Errorf("what it had on the way was answered with %d", late.Load())
	}
	if n := written.Load(); n > 0 {
		s.Errorf("it has written %d times after that", n)
	}
	s.must(s.has(newer))
	second.Stop()
	s.inGit("As it goes on", round(2))
	s.until("the first one goes on", func() error { return s.has(round(2)) })
}

// versionsIn are the resource versions of all that payments has in dev.
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

func secondInstallation(s *scene) {
	dev := s.w.Namespaces["dev"]
	before := s.versionsIn(dev)
	url, count := s.emptyDatabase("second")
	second := s.replica("TAGBOAT_DATABASE_URL=" + url)
	s.must(second.Start(s.ctx))
	s.within(time.Minute, "it is refused everywhere, by name", func() error {
		return count(`SELECT count(*) - 9 FROM target WHERE state = 'failed' AND message LIKE '%installation%` + s.installation() + `%'`)
	})
	second.Stop()
	if after := s.versionsIn(dev); after != before {
		s.Errorf("it has changed something:\n%s\nwas\n%s", after, before)
	}
	s.must(s.has(round(2)))
}

func lostDatabase(s *scene) {
	url, count := s.emptyDatabase("new")
	untouched := s.foreign(s.w.Namespaces["dev"])
	s.w.Tagboat.Kill()
	s.inGit("While nobody looks", round(3))
	heir := s.replica("TAGBOAT_DATABASE_URL="+url, "TAGBOAT_INSTALLATION="+s.installation())
	s.must(heir.Start(s.ctx))
	s.within(time.Minute, "the new one has brought the commit, and what left Git is gone", func() error {
		return errors.Join(s.shows(round(3)), count(`SELECT count(*) - 12 FROM inventory i JOIN target t ON t.id = i.target_id WHERE t.app = 'payments' AND t.env = 'dev' AND i.kind = 'ConfigMap'`))
	})
	s.must(untouched())
	heir.Stop()
	s.must(s.w.Tagboat.Start(s.ctx))
	s.within(time.Minute, "the old one finds it so", func() error { return s.has(round(3)) })
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
	// Of the name that the backup's inventory has, somebody makes one of their own.
	theirs, err := s.byHand(configMaps, dev).Create(s.ctx, object(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "only-3-0"}, "data": {"is": "theirs"}}`), metav1.CreateOptions{FieldManager: "somebody"})
	s.must(err)

	s.w.Tagboat.Kill()
	s.inGit("While the database is lost", round(5)) // only-4-* are known to nobody but the cluster
	s.inPostgres(`DROP DATABASE `+databaseName+` WITH (FORCE)`, `CREATE DATABASE `+databaseName+` TEMPLATE backup`)
	s.must(s.w.asOwner(s.ctx, `UPDATE target SET counted_at = counted_at - interval '25 hours'`)) // backups are older than this one
	s.must(s.w.Tagboat.Start(s.ctx))
	s.within(90*time.Second, "it is as Git says", func() error { return s.has(round(5)) })
	now, err := s.byHand(configMaps, dev).Get(s.ctx, "only-3-0", metav1.GetOptions{})
	if err != nil || now.GetUID() != theirs.GetUID() || now.GetResourceVersion() != theirs.GetResourceVersion() {
		s.Errorf("what somebody has made of a name that the older inventory has was touched: %v, %v", now, err)
	}
	s.until("everything is healthy", func() error { return s.w.allHealthy(s.ctx) })
	s.must(s.byHand(configMaps, dev).Delete(s.ctx, "only-3-0", metav1.DeleteOptions{}))
}

// clusters tells Tagboat of more clusters, by their kubeconfigs.
func (s *scene) clusters(files map[string]string) {
	s.Helper()
	p := s.w.Tagboat
	p.Kill()
	const variable = "TAGBOAT_CLUSTERS="
	for i, entry := range p.env {
		if strings.HasPrefix(entry, variable) {
			for name, file := range files {
				p.env[i] += "," + name + "=" + file
			}
		}
	}
	s.must(p.Start(s.ctx))
}

// thirtyClusters are namespaces of one, by thirty names. One is an address that takes
// connections and never says anything.
func thirtyClusters(s *scene) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	defer silent.Close()
	dead := filepath.Join(s.TempDir(), "dead.kubeconfig")
	s.must(os.WriteFile(dead, kubeconfig("http://"+silent.Addr().String()), 0o600))

	const fleet, killed = 30, 7
	kubeconfigs, git := map[string]string{}, map[string]string{}
	var names []string
	for i := range fleet {
		name := fmt.Sprintf("c%02d", i)
		names = append(names, name)
		s.namespace("dev", name)
		kubeconfigs[name] = filepath.Join(s.w.dir, "dev.kubeconfig")
		git["fleet/"+name+"/kustomization.yaml"] = "namespace: " + name + "\nresources: [../../apps/fleet/overlays/fleet]\n"
	}
	kubeconfigs[names[killed]] = dead
	s.clusters(kubeconfigs)
	overlay := s.on("main", "apps/payments/overlays/dev/kustomization.yaml")
	git["apps/fleet/overlays/fleet/kustomization.yaml"] = "resources: [deployment.yaml]\n" + overlay[strings.Index(overlay, "images:"):]
	git["apps/fleet/overlays/fleet/deployment.yaml"] = strings.Replace(s.on("main", "apps/payments/base/deployment.yaml"), "replicas: 2", "replicas: 0", 1)
	var paths strings.Builder
	for _, name := range names {
		fmt.Fprintf(&paths, "  - {name: %[1]s, path: fleet/%[1]s}\n", name)
	}
	config := s.on("main", "tagboat.yaml")
	git["tagboat.yaml"] = strings.Replace(config, "policies:", "  - name: fleet\n    clusters: ["+strings.Join(names, ", ")+"]\nclusters:\n"+paths.String()+"policies:", 1)
	s.pushMain("A fleet", git)
	s.within(90*time.Second, "all but the dead one are healthy", func() error {
		return s.w.none(s.ctx, `SELECT count(*) - 29 FROM target WHERE env = 'fleet' AND state = 'healthy'`)
	})
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM target WHERE env = 'fleet' AND cluster = $1 AND state = 'healthy'`, names[killed]))
	s.within(2*time.Minute, "the dead one is told", func() error {
		return s.w.none(s.ctx, `SELECT count(*) - 1 FROM target WHERE env = 'fleet' AND cluster = $1 AND state = 'unreachable' AND message LIKE '%cannot be reached%'`, names[killed])
	})
	s.boardSays(silent.Addr().String(), "cannot be reached")
	s.pushMain("No fleet", map[string]string{"tagboat.yaml": config})
	s.until("nobody asks for it any more", func() error { return s.w.none(s.ctx, `SELECT count(*) FROM target WHERE env = 'fleet' AND NOT gone`) })
}

// emptyCluster has the name of dev lead to a cluster that has nothing, although the
// inventory says that all is there.
func emptyCluster(s *scene) {
	plane, err := clustertest.Start(s.ctx, clustertest.Options{})
	s.must(err)
	s.Cleanup(plane.Stop)
	data, err := os.ReadFile(plane.Kubeconfig)
	s.must(err)
	door, err := cluster.Open(plane.Config("dev"))
	s.must(err)
	dev := s.w.Namespaces["dev"]
	old := s.w.planes[0]
	before := s.versionsIn(dev)
	s.w.Clusters["dev"] = door
	s.namespace("dev", dev)
	s.w.Tagboat.Kill()
	s.must(os.WriteFile(filepath.Join(s.w.dir, "dev.kubeconfig"), data, 0o600))
	s.must(s.w.Tagboat.Start(s.ctx))
	moved := *plane
	s.w.planes[0] = &moved // where byHand looks
	s.within(3*time.Minute, "the new one has all", func() error { return errors.Join(s.has(round(5)), s.w.allHealthy(s.ctx)) })
	for app := range versions {
		s.until(app+" runs", func() error { return s.w.runsIn(s.ctx, "dev", dev, app, versions[app]) })
	}
	s.w.planes[0] = old
	if after := s.versionsIn(dev); after != before {
		s.Errorf("the old cluster was touched:\n%s\nwas\n%s", after, before)
	}
}
