package demo

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/store"
)

// TestWhatLeavesGit tells of what is deleted by itself, what a person has to say yes to,
// who that is, and what stays.
func TestWhatLeavesGit(t *testing.T) {
	s := newScene(t)
	s.edit("Bob and Carol break the glass in dev", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "    clusters: [dev]\n", "    clusters: [dev]\n    override: {users: [bob, carol]}\n", 1)
	}})
	p := s.done("dev", "payments", "1.7.0", s.release("payments", "1.7.0"))
	s.story("most of the settings leave Git", func(s *scene) { manyLeave(s, p) })
	s.story("what holds data waits for a yes, and what is annotated stays", func(s *scene) { preciousLeave(s, p) })
	s.story("the audit log holds it all", func(s *scene) {
		s.must(s.w.none(s.ctx, `SELECT count(*) - 2 FROM audit WHERE action = $1`, store.ActionPruneApproved))
		s.must(s.w.none(s.ctx, `SELECT count(*) - 2 FROM audit WHERE action = $1 AND actor = 'bob' AND inputs::jsonb ->> 'cluster' = 'dev'`, store.ActionPruneApproved))
		s.must(s.w.soundAudit(s.ctx))
	})
}

// many are some settings.
func many(n int) settings {
	c := settings{}
	for i := range n {
		c[fmt.Sprint("setting-", i)] = "on"
	}
	return c
}

// waits is the code of what payments in dev keeps until somebody says yes; another one
// than that of the list before.
func (s *scene) waits(before string) (code string) {
	s.Helper()
	s.until("something waits for a yes", func() (err error) {
		if code, err = s.listed("payments", "dev"); err == nil && code == before {
			err = errors.New("nothing new waits")
		}
		return err
	})
	return code
}

// listed is the code of the list of what waits for a yes to be deleted, in a target that is
// healthy.
func (s *scene) listed(app, env string) (code string, err error) {
	err = s.w.database(s.ctx, func(db *store.Store) error {
		targets, err := db.Targets(s.ctx)
		for _, t := range targets {
			if t.App == app && t.Env == env && t.State == store.TargetHealthy {
				code = t.SurplusCode
			}
		}
		if err == nil && code == "" {
			err = errors.New("nothing waits")
		}
		return err
	})
	return code, err
}

// nothingWaits waits until payments in dev has what is in Git.
func (s *scene) nothingWaits() {
	s.Helper()
	s.until("nothing waits for a yes", func() error {
		head, err := s.w.GitHub.Head(envRepo, "main")
		return errors.Join(err, s.w.none(s.ctx, `SELECT count(*) - 1 FROM target
			WHERE app = 'payments' AND env = 'dev' AND commit_sha = $1 AND state = 'healthy' AND got = want AND surplus_code = ''`, head))
	})
}

func manyLeave(s *scene, p githubsim.PullView) {
	s.inGit("Ten settings", many(10))
	s.until("dev has ten", func() error { return s.has(many(10)) })
	s.inGit("Three settings", many(3))
	old := s.waits("")
	s.says("alice", p.Number, "/status", "rocket", "ConfigMap dev/setting-3", "ConfigMap dev/setting-9", "/prune-ok dev payments "+old)
	s.boardSays("/prune-ok dev payments " + old)
	s.must(s.shows(many(10)))

	// Who says yes to a list says it to none that came after it.
	s.inGit("Two settings", many(2))
	yes := "/prune-ok dev payments " + s.waits(old)
	s.says("bob", p.Number, "/prune-ok dev payments "+old, "confused", old+" names no list that waits now", yes, "ConfigMap dev/setting-2")
	s.says("alice", p.Number, yes, "confused", "In dev only bob and carol can use /prune-ok, says tagboat.yaml; alice cannot.")
	s.says("oscar", p.Number, yes, "confused")
	s.must(s.shows(many(10)))

	s.says("bob", p.Number, yes, "rocket", "of payments in dev goes from dev")
	s.until("exactly these are gone", func() error { return s.has(many(2)) })
	s.nothingWaits()
	s.says("bob", p.Number, yes, "confused", "Nothing of payments in dev waits for a yes")
}

var precious = `---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ledger}
spec:
  replicas: 0
  serviceName: ledger
  selector: {matchLabels: {app: ledger}}
  template:
    metadata: {labels: {app: ledger}}
    spec: {containers: [{name: ledger, image: "registry.acme.test/payments:1.6.0", resources: {limits: {memory: 64Mi}}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: foreign-kept, annotations: {tagboat.dev/prune: keep}}
data: {is: kept}
`

func preciousLeave(s *scene, p githubsim.PullView) {
	dev := s.w.Namespaces["dev"]
	statefulSets := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	claims := configMaps.GroupVersion().WithResource("persistentvolumeclaims")
	there := func() (there []string) {
		for _, o := range []struct {
			resource schema.GroupVersionResource
			name     string
		}{{claims, "data"}, {statefulSets, "ledger"}, {configMaps, "foreign-kept"}, {configMaps, "setting-1"}} {
			live, err := s.byHand(o.resource, dev).Get(s.ctx, o.name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) || err == nil && live.GetDeletionTimestamp() != nil {
				continue
			}
			s.must(err)
			there = append(there, o.name)
		}
		return there
	}
	is := func(want ...string) error {
		if got := there(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("there are %v, not %v", got, want)
		}
		return nil
	}
	s.inGit("Data", many(2), precious)
	s.until("all is there", func() error { return is("data", "ledger", "foreign-kept", "setting-1") })
	s.nothingWaits()

	// What is a few goes by itself; what holds data waits, and what is kept is not asked about.
	s.inGit("No data", many(1))
	code := s.waits("")
	s.says("alice", p.Number, "/status", "rocket", "PersistentVolumeClaim dev/data", "it holds data", "StatefulSet dev/ledger", "its pods hold data", "/prune-ok dev payments "+code)
	s.until("the rest is gone", func() error { return is("data", "ledger", "foreign-kept") })
	s.says("bob", p.Number, "/prune-ok dev payments "+code, "rocket", "of payments in dev goes from dev")
	s.until("these are gone, and what is kept stays", func() error { return is("foreign-kept") })
	s.nothingWaits()
	s.says("alice", p.Number, "/status", "rocket", "kept, though not in Git any more: ConfigMap dev/foreign-kept", "its annotation tagboat.dev/prune: keep keeps it", "whoever may write to cluster dev")
	s.boardSays("kept, though not in Git any more: ConfigMap dev/foreign-kept")
	s.until("the inventory knows it", func() error {
		return errors.Join(
			s.w.none(s.ctx, `SELECT count(*) FROM inventory WHERE name IN ('data', 'ledger', 'setting-1')`),
			s.w.none(s.ctx, `SELECT count(*) - 1 FROM inventory WHERE name = 'foreign-kept' AND state = 'kept' AND reason LIKE '%tagboat.dev/prune: keep%'`))
	})
}
