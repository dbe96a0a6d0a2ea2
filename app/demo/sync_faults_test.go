package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// TestFaultsOfASync tells of clusters that fail, and of a Tagboat that dies, in the middle
// of a sync. What is in Git gets there all the same, and nothing else is touched.
func TestFaultsOfASync(t *testing.T) {
	s := newScene(t)
	f := s.frontBefore("dev", "staging")
	s.story("Tagboat is killed at one request after the other", func(s *scene) { killedWhileSyncing(s, f) })
	s.story("the cluster goes away in the middle of a sync, and while it is watched", func(s *scene) { awayForAWhile(s, f) })
	s.story("every other request is answered with an error", func(s *scene) { unwellCluster(s, f) })
	s.story("admission changes what is applied", func(s *scene) { changedByAdmission(s, f) })
	s.story("a newer commit takes the place of one that is waited for", supersededSync)
	s.story("a namespace is deleted by hand", namespaceDeleted)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// round is a commit with additions, changes and removals: twelve objects, of which four
// stay as they are, four are changed, and four take the place of those before.
func round(n int) settings {
	c := settings{}
	for i := range 4 {
		c[fmt.Sprintf("stays-%d", i)] = "as it is"
		c[fmt.Sprintf("moves-%d", i)] = fmt.Sprint("round ", n)
		c[fmt.Sprintf("only-%d-%d", n, i)] = "new"
	}
	return c
}

// foreign makes a ConfigMap that somebody else has made beside payments', with the label
// that controllers copy. It returns what wants it untouched.
func (s *scene) foreign(namespace string) (untouched func() error) {
	s.Helper()
	api := s.byHand(configMaps, namespace)
	ours, err := api.Get(s.ctx, "stays-0", metav1.GetOptions{})
	s.must(err)
	theirs := object(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}, "data": {"is": "theirs"}}`)
	theirs.SetLabels(ours.GetLabels())
	theirs, err = api.Create(s.ctx, theirs, metav1.CreateOptions{FieldManager: "somebody"})
	s.must(err)
	return func() error {
		now, err := api.Get(s.ctx, "foreign", metav1.GetOptions{})
		if err == nil && (now.GetUID() != theirs.GetUID() || now.GetResourceVersion() != theirs.GetResourceVersion()) {
			err = errors.New("what somebody else has made was touched")
		}
		return err
	}
}

func killedWhileSyncing(s *scene, f *front) {
	s.inGit("Settings", round(0))
	s.until("dev has the settings", func() error { return s.has(round(0)) })
	untouched := s.foreign(s.w.Namespaces["dev"])
	kills := 0
	// A round is some 28 requests: lists, dry runs, writes, a look at health, and deletions.
	for i, at := range []int{1, 6, 11, 16, 21, 25} {
		var again sync.WaitGroup
		f.each(func(n int, _ http.ResponseWriter, r *http.Request) bool {
			if n != at {
				return false
			}
			kills++
			s.Logf("killed at request %d, %s %s", n, r.Method, r.URL.Path)
			s.w.Tagboat.Kill()
			again.Go(func() {
				if err := s.w.Tagboat.Start(context.Background()); err != nil {
					s.Errorf("start Tagboat again: %v", err)
				}
			})
			if i%2 == 0 {
				f.lose(r) // it was done, and nobody has heard of it
			}
			panic(http.ErrAbortHandler)
		})
		s.inGit(fmt.Sprint("Round ", i+1), round(i+1))
		s.until(fmt.Sprintf("dev has round %d", i+1), func() error { return s.has(round(i + 1)) })
		f.each(nil)
		again.Wait()
		s.must(untouched())
	}
	if kills < 5 {
		s.Errorf("Tagboat was killed %d times only", kills)
	}
}

func awayForAWhile(s *scene, f *front) {
	// Else the edit below would be told on nobody's pull request.
	s.done("dev", "payments", "1.7.0", s.release("payments", "1.7.0"))
	away := func(int, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	f.each(func(n int, w http.ResponseWriter, r *http.Request) bool { return n > 12 && away(n, w, r) })
	s.inGit("While it goes away", round(20))
	unreachable := func() error {
		return s.w.none(s.ctx, `SELECT count(*) - 1 FROM target WHERE app = 'payments' AND env = 'dev' AND state = 'unreachable'`)
	}
	s.until("the board says that it is away", unreachable)
	f.each(nil)
	s.until("the sync goes on by itself", func() error { return s.has(round(20)) })

	// What somebody changes is heard of after the outage as before; and an outage does not
	// end what was seen.
	_, err := s.byHand(configMaps, s.w.Namespaces["dev"]).Patch(s.ctx, "moves-1", types.MergePatchType, []byte(`{"data": {"is": "otherwise"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	s.must(err)
	open := func() error {
		return s.w.none(s.ctx, `SELECT count(*) - 1 FROM drift WHERE ended_at IS NULL AND comment_id <> 0`)
	}
	s.until("the change is told", open)
	f.each(away)
	longAgo := func() { s.must(s.w.asOwner(s.ctx, `UPDATE target SET updated_at = updated_at - interval '2 minutes'`)) } // nobody has looked for a while
	longAgo()
	s.until("a look finds the cluster away", unreachable)
	s.must(open())
	f.each(nil)
	s.until("it is there again", func() error {
		return s.w.none(s.ctx, `SELECT count(*) - 1 FROM target WHERE app = 'payments' AND env = 'dev' AND state = 'healthy'`)
	})
	s.must(open())
	_, err = s.byHand(configMaps, s.w.Namespaces["dev"]).Patch(s.ctx, "moves-1", types.MergePatchType, []byte(`{"data": {"is": "round 20"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	s.must(err)
	longAgo() // who undoes a change is heard at the next look
	s.until("the change is over", func() error { return s.w.none(s.ctx, `SELECT count(*) FROM drift WHERE ended_at IS NULL`) })
}

// unwellCluster has every other request fail, while a version is brought and things go.
func unwellCluster(s *scene, f *front) {
	answers := []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { http.Error(w, "etcd has no leader", http.StatusInternalServerError) },
		func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many", http.StatusTooManyRequests)
		},
	}
	refused := map[string]int{}
	var mu sync.Mutex
	f.each(func(n int, w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		// Each request once, so that the next try of it gets through.
		is := r.Method + " " + r.URL.String()
		if refused[is]++; refused[is]%2 == 0 {
			return false
		}
		answers[n%2](w)
		return true
	})
	defer f.each(nil)
	last, err := s.w.count(s.ctx, `SELECT coalesce(max(id), 0) FROM sync`)
	s.must(err)
	s.inGit("While it is unwell", round(30))
	s.until("dev has what is in Git", func() error { return s.has(round(30)) })
	digest := s.release("payments", "1.8.0")
	s.until("it is merged", func() error { _, err := s.w.isMerged("dev", "payments", "1.8.0"); return err })
	s.until("it runs", func() error { return s.w.runs(s.ctx, "dev", "payments", Version{Tag: "1.8.0", Digest: digest}) })
	p := s.merged("dev", "payments", "1.8.0")
	s.until("it is reported", func() error { return s.w.deploymentIs(p.Number, "dev", "success") })
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM sync WHERE id > $1 AND state = 'failed'`, last))
	p, err = s.w.GitHub.Pull(envRepo, p.Number)
	s.must(err)
	for _, d := range p.Deployments {
		if d.State == "failure" {
			s.Errorf("#%d was told to have failed", p.Number)
		}
	}
}

// changedByAdmission has a policy of the cluster change every ConfigMap. That is neither
// drift, nor a reason to write again.
func changedByAdmission(s *scene, f *front) {
	dev := s.w.Namespaces["dev"]
	policies := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingadmissionpolicies"}
	bindings := policies.GroupVersion().WithResource("mutatingadmissionpolicybindings")
	_, err := s.byHand(policies, "").Create(s.ctx, object(fmt.Sprintf(`{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "own-way"}, "spec": {
		"matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": %q}},
			"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
		"failurePolicy": "Fail", "reinvocationPolicy": "Never",
		"mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/data/is', value: 'as the cluster wants it'}]"}}]}}`, dev)), metav1.CreateOptions{})
	s.must(err)
	_, err = s.byHand(bindings, "").Create(s.ctx, object(`{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "own-way"}, "spec": {"policyName": "own-way"}}`), metav1.CreateOptions{})
	s.must(err)
	probe := s.byHand(configMaps, dev)
	s.until("the policy is in force", func() error {
		o, err := probe.Apply(s.ctx, "foreign-probe", object(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign-probe"}, "data": {"is": "mine"}}`), metav1.ApplyOptions{FieldManager: "somebody", Force: true})
		if err == nil && o.Object["data"].(map[string]any)["is"] == "mine" {
			err = errors.New("it is not")
		}
		return err
	})
	s.inGit("What the cluster wants otherwise", round(40))
	wanted := round(40)
	for name := range wanted {
		if !strings.HasPrefix(name, "stays") {
			wanted[name] = "as the cluster wants it"
		}
	}
	s.until("dev has it in the cluster's way", func() error { return s.has(wanted) })

	written := 0
	var mu sync.Mutex
	f.each(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if writes(r) && strings.Contains(r.URL.Path, "/namespaces/"+dev+"/") { // staging may just get a version
			s.Logf("%s %s", r.Method, r.URL.Path)
			written++
		}
		return false
	})
	for range 3 {
		const past = `UPDATE target SET updated_at = updated_at - interval '2 minutes', suspected = suspected + 1, want = want + 1 WHERE env = 'dev' AND app = 'payments'`
		s.must(s.w.asOwner(s.ctx, past))
		s.must(s.w.asOwner(s.ctx, `INSERT INTO river.river_job (args, kind, max_attempts, queue, state) SELECT jsonb_build_object('target', id, 'cluster', cluster), 'sync', 5, 'sync_' || cluster, 'available' FROM target WHERE env = 'dev' AND app = 'payments'`))
		s.until("it was looked at closely", func() error {
			return s.w.none(s.ctx, `SELECT count(*) FROM target WHERE env = 'dev' AND app = 'payments' AND (got < want OR examined < suspected)`)
		})
	}
	f.each(nil)
	if mu.Lock(); written > 0 {
		s.Errorf("%d writes in looks at what nobody has changed", written)
	}
	mu.Unlock()
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM drift WHERE ended_at IS NULL`))
	s.must(s.shows(wanted))
	s.until("that is known, too", func() error { return s.has(wanted) })
	s.must(s.byHand(bindings, "").Delete(s.ctx, "own-way", metav1.DeleteOptions{}))
	s.must(s.byHand(policies, "").Delete(s.ctx, "own-way", metav1.DeleteOptions{}))
	s.must(probe.Delete(s.ctx, "foreign-probe", metav1.DeleteOptions{}))
}

// supersededSync brings something that is never healthy in time, with much that comes only
// after it, and then something else: nobody waits for the first until its time is up, and
// nobody is asked for a yes to the removal of what never came.
func supersededSync(s *scene) {
	const slow = `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: slow}
spec:
  minReadySeconds: 300
  selector: {matchLabels: {app: slow}}
  template:
    metadata: {labels: {app: slow}}
    spec: {containers: [{name: slow, image: "registry.acme.test/payments:1.6.0", resources: {limits: {memory: 64Mi}}}]}
`
	var after strings.Builder
	for i := range 8 {
		fmt.Fprintf(&after, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: later-%d, annotations: {tagboat.dev/wave: \"1\"}}\ndata: {is: new}\n", i)
	}
	s.inGit("Something slow", round(40), slow, after.String())
	superseded, err := s.w.GitHub.Head(envRepo, "main")
	s.must(err)
	s.until("it is applied and waited for", func() error {
		_, err := s.byHand(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, s.w.Namespaces["dev"]).Get(s.ctx, "slow", metav1.GetOptions{})
		return errors.Join(err, s.w.none(s.ctx, `SELECT count(*) - 1 FROM sync s JOIN target t ON t.id = s.target_id WHERE t.app = 'payments' AND t.env = 'dev' AND s.state = 'running'`))
	})
	s.inGit("Something else", round(51))
	s.until("the newer one is brought", func() error { return s.has(round(51)) })
	s.must(s.w.none(s.ctx, `SELECT count(*) - 1 FROM (SELECT s.state, s.message FROM sync s JOIN target t ON t.id = s.target_id
		WHERE t.app = 'payments' AND t.env = 'dev' AND s.commit_sha = $1 ORDER BY s.id DESC LIMIT 1) last WHERE state = 'interrupted' AND message LIKE 'A newer commit has come%'`, superseded))
}

func namespaceDeleted(s *scene) {
	dev := s.w.Namespaces["dev"]
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	s.must(s.byHand(namespaces, "").Delete(s.ctx, dev, metav1.DeleteOptions{}))
	s.until("it is told", func() error {
		return s.w.none(s.ctx, `SELECT count(*) - 3 FROM target WHERE env = 'dev' AND state = 'failed' AND message LIKE '%namespace%'`)
	})
	s.boardSays("namespace")
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM target WHERE env <> 'dev' AND state <> 'healthy'`))
	s.until("it is gone", func() error {
		_, err := s.byHand(namespaces, "").Get(s.ctx, dev, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(err, errors.New("it is being deleted"))
	})
	s.namespace("dev", dev)
	s.until("all is there again", func() error { return errors.Join(s.has(round(51)), s.w.allHealthy(s.ctx)) })
}
