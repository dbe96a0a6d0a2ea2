package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/store"
)

// TestClustersThatComeAndGo tells of API servers that are restarted, of a cluster's name
// that leads to another cluster, and of one dead cluster among thirty.
func TestClustersThatComeAndGo(t *testing.T) {
	s := newScene(t)
	f := s.frontBefore("dev", "staging")
	s.story("an API server is restarted in the middle of syncs", func(s *scene) { restartedAPIServer(s, f) })
	s.story("a cluster's name leads to a new and empty one", emptyCluster)
	s.story("thirty clusters, and one of them is dead", func(s *scene) { thirtyClusters(s, f) })
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// ours are the kinds of what the apps have in a namespace.
var ours = []schema.GroupVersionResource{configMaps, {Version: "v1", Resource: "services"}, {Group: "apps", Version: "v1", Resource: "deployments"}}

// objectsIn are all objects of these kinds in a namespace of dev's cluster: which by uid
// they are, and in which version.
func (s *scene) objectsIn(namespace string) (uids, versions map[string]string) {
	s.Helper()
	uids, versions = map[string]string{}, map[string]string{}
	for _, resource := range ours {
		list, err := s.byHand(resource, namespace).List(s.ctx, metav1.ListOptions{})
		s.must(err)
		for _, o := range list.Items {
			name := o.GetKind() + " " + o.GetName()
			uids[name], versions[name] = string(o.GetUID()), o.GetResourceVersion()
		}
	}
	return uids, versions
}

// grown is a commit that adds and changes, and removes nothing.
func grown(n int) settings {
	c := settings{}
	for i := range n + 1 {
		maps.Copy(c, round(i))
	}
	return c
}

// restartedAPIServer kills the API server of dev and staging at a request of a sync, and
// starts it again when Tagboat has asked it in vain.
func restartedAPIServer(s *scene, f *front) {
	dev, plane := s.w.Namespaces["dev"], s.w.planes[0]
	s.inGit("Settings", grown(0))
	s.until("dev has the settings", func() error { return s.has(grown(0)) })
	untouched := s.foreign(dev)
	before, _ := s.objectsIn(dev)
	defer f.each(nil)
	// restartAt has it killed at the first request that is such a one, which is lost with
	// its answer or before it is done.
	restartAt := func(such func(r *http.Request) bool, done bool) (restart func()) {
		var killed atomic.Bool
		var vain atomic.Int32
		down := make(chan error, 1)
		f.each(func(n int, _ http.ResponseWriter, r *http.Request) bool {
			if killed.Load() {
				vain.Add(1)
			}
			if r.Method == http.MethodDelete {
				s.Errorf("%s %s", r.Method, r.URL.Path)
			}
			if !such(r) || !killed.CompareAndSwap(false, true) {
				return false
			}
			s.Logf("killed at request %d, %s %s", n, r.Method, r.URL.Path)
			if done {
				f.pass.ServeHTTP(httptest.NewRecorder(), r)
			}
			down <- plane.StopAPIServer(s.ctx)
			panic(http.ErrAbortHandler)
		})
		return func() {
			s.Helper()
			s.until("the API server is killed", func() error {
				select {
				case err := <-down:
					s.must(err)
					return nil
				default:
					return errors.New("it is not")
				}
			})
			s.until("Tagboat asks it in vain", func() error {
				if n := vain.Load(); n < 3 {
					return fmt.Errorf("it has asked %d times", n)
				}
				return nil
			})
			s.must(plane.StartAPIServer(s.ctx))
		}
	}
	// A sync alone does these; looks only read.
	patch := func(what string, dry bool) func(r *http.Request) bool {
		return func(r *http.Request) bool {
			return r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/namespaces/"+dev+"/"+what+"/") && r.URL.Query().Has("dryRun") == dry
		}
	}
	restart := restartAt(patch("configmaps", true), false)
	s.inGit("Restarted before the first write", grown(1))
	restart()
	s.until("dev has the first commit", func() error { return s.has(grown(1)) })

	var writes atomic.Int32
	writing := patch("configmaps", false)
	restart = restartAt(func(r *http.Request) bool { return writing(r) && writes.Add(1) == 3 }, true)
	s.inGit("Restarted among the writes", grown(2))
	restart()
	s.until("dev has the second commit", func() error { return s.has(grown(2)) })

	var rolls atomic.Bool
	rolling := patch("deployments", false)
	restart = restartAt(func(r *http.Request) bool {
		if rolling(r) {
			rolls.Store(true)
		}
		return rolls.Load() && strings.HasSuffix(r.URL.Path, "/namespaces/"+dev+"/pods")
	}, false)
	digest := s.release("payments", "1.7.0")
	restart()
	s.until("dev is healthy with 1.7.0", func() error {
		return s.w.none(s.ctx, `SELECT count(*) - 1 FROM target WHERE app = 'payments' AND env = 'dev' AND state = 'healthy' AND tag = '1.7.0'`)
	})
	s.done("dev", "payments", "1.7.0", digest)
	s.done("staging", "payments", "1.7.0", digest)

	after, _ := s.objectsIn(dev)
	for name, uid := range before {
		if after[name] != uid {
			s.Errorf("%s was %s, and is %s", name, uid, after[name])
		}
	}
	s.must(untouched())
	s.lookedAfter()
	s.until("everything is healthy", func() error { return errors.Join(s.has(grown(2)), s.w.allHealthy(s.ctx)) })
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM drift`))
	s.must(s.w.boardSilent(s.ctx, "changed past Git"))
	s.must(s.byHand(configMaps, dev).Delete(s.ctx, "foreign", metav1.DeleteOptions{}))
}

// lookedAfter waits until Tagboat has looked at every target from now on: what it has to say
// of them, it has said.
func (s *scene) lookedAfter() {
	s.Helper()
	s.must(s.w.asOwner(s.ctx, `UPDATE target SET updated_at = now() - interval '1 hour' WHERE NOT gone`))
	s.until("every target is looked at", func() error {
		return s.w.none(s.ctx, `SELECT count(*) FROM target WHERE NOT gone AND updated_at < now() - interval '30 minutes'`)
	})
}

// emptyCluster has the name of dev lead to a cluster that has nothing, although the
// inventory says that all is there.
func emptyCluster(s *scene) {
	dev, old := s.w.Namespaces["dev"], s.w.planes[0]
	c := grown(3)
	s.inGit("Settings of the old cluster", c)
	s.until("the old cluster has them", func() error { return s.has(c) })
	running, err := s.w.runningIn(s.ctx, "dev")
	s.must(err)
	_, before := s.objectsIn(dev)
	plane, err := clustertest.Start(s.ctx, clustertest.Options{})
	s.must(err)
	s.Cleanup(plane.Stop)
	data, err := os.ReadFile(plane.Kubeconfig)
	s.must(err)
	door := s.w.Clusters["dev"]
	s.w.Clusters["dev"], err = cluster.Open(plane.Config("dev"))
	s.must(err)
	s.namespace("dev", dev)

	file := filepath.Join(s.w.dir, "dev.kubeconfig")
	way, err := os.ReadFile(file)
	s.must(err)
	lead := func(kubeconfig []byte) {
		s.Helper()
		s.w.Tagboat.Kill()
		s.must(os.WriteFile(file, kubeconfig, 0o600))
		s.must(s.w.Tagboat.Start(s.ctx))
	}
	lead(data)
	s.w.planes[0] = plane // where byHand looks
	s.until("the new one has all that the old one has", func() error {
		now, err := s.w.runningIn(s.ctx, "dev")
		if err == nil && !maps.Equal(now, running) {
			err = fmt.Errorf("it runs %v, not %v", now, running)
		}
		return errors.Join(err, s.has(c), s.w.allHealthy(s.ctx))
	})
	uids, _ := s.objectsIn(dev)
	for name := range before {
		if uids[name] == "" {
			s.Errorf("the new one has no %s", name)
		}
	}
	s.w.planes[0], s.w.Clusters["dev"] = old, door
	if _, after := s.objectsIn(dev); !maps.Equal(after, before) {
		s.Errorf("the old cluster was touched: it has %v, and had %v", after, before)
	}

	// Led back, it finds what it has left there.
	lead(way)
	s.lookedAfter()
	s.until("the old one is healthy", func() error { return errors.Join(s.has(c), s.w.allHealthy(s.ctx)) })
	if _, after := s.objectsIn(dev); !maps.Equal(after, before) {
		s.Errorf("what was in the old cluster as it should be was touched: it has %v, and had %v", after, before)
	}
}

// mute stands before a cluster. While it is dead it takes connections and requests, and
// never answers one.
type mute struct {
	cluster http.Handler
	server  *httptest.Server
	dead    atomic.Bool
	closed  atomic.Bool
}

// close ends it, whoever watches through it and comes again, as a front does.
func (m *mute) close() {
	m.closed.Store(true)
	m.server.CloseClientConnections()
	m.server.Close()
}

// ServeHTTP passes a request on.
func (m *mute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.closed.Load() {
		panic(http.ErrAbortHandler)
	}
	if m.dead.Load() {
		<-r.Context().Done() // until who asks has lost patience
		panic(http.ErrAbortHandler)
	}
	m.cluster.ServeHTTP(w, r)
}

// die breaks off what is under way, and has nothing answered from now on.
func (m *mute) die() {
	m.dead.Store(true)
	m.server.CloseClientConnections()
}

// thirtyClusters are namespaces of one, by thirty names.
func thirtyClusters(s *scene, f *front) {
	m := &mute{cluster: f}
	m.server = httptest.NewServer(m)
	s.Cleanup(m.close)
	ill := filepath.Join(s.w.dir, "ill.kubeconfig") // a comma would end it, and a story has some in its directory
	s.must(os.WriteFile(ill, kubeconfig(m.server.URL), 0o600))
	const dying = "c07"
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("c%02d", i))
	}
	s.w.Tagboat.Kill()
	for _, name := range append(slices.Clone(names), "beyond") {
		s.namespace("staging", name)
		way := filepath.Join(s.w.dir, "staging.kubeconfig")
		if name == dying {
			way = ill
		}
		s.w.Tagboat.reaches(name, way)
	}
	s.must(s.w.Tagboat.Start(s.ctx))
	config := s.on("main", "tagboat.yaml")
	s.pushMain("A fleet", s.fleet(names))
	defer s.pushMain("No fleet", map[string]string{"tagboat.yaml": config})
	all := func(want int, tag string) func() error {
		return func() error { return s.w.healthyWith(s.ctx, "fleet", tag, want) }
	}
	s.until("all thirty are healthy", all(30, "1.6.0"))

	s.release("payments", "1.8.0")
	p := s.asked("fleet", "edge", "1.8.0")
	s.until("all thirty have taken it in a dry run", func() error { return s.w.checkSays(p.Number, "Waiting for 1 approval") })
	m.die()
	s.approve(p.Number, "bob")
	s.merged("fleet", "edge", "1.8.0")
	s.until("all but the dead one are healthy with it", all(29, "1.8.0"))
	for _, name := range names {
		if name == dying {
			s.must(s.w.runsIn(s.ctx, "staging", name, "payments", "1.6.0"))
		} else {
			s.must(s.w.runsIn(s.ctx, "staging", name, "payments", "1.8.0"))
		}
	}
	s.until("the dead one is named where it is told how they took it, and what to do", func() error {
		return errors.Join(
			s.w.said(p.Number, "| ❌ | "+dying+" |", "failed: Cluster "+dying+" cannot be reached at http", "check that it is up and that Tagboat may connect to it. It is tried again by itself."),
			s.w.deploymentIs(p.Number, "fleet/edge", "failure"),
			s.w.boardSays(s.ctx, "Cluster "+dying+" cannot be reached at "+m.server.URL))
	})
	const trying = `SELECT count(*) FROM sync a JOIN target t ON t.id = a.target_id WHERE t.env = 'fleet' AND t.cluster = $1
		AND a.state = 'running' AND a.started_at < now() - interval '2 seconds'`
	s.until("it is tried again", func() error {
		n, err := s.w.count(s.ctx, trying, dying)
		if err == nil && n == 0 {
			err = errors.New("it is not")
		}
		return err
	})
	s.must(s.w.none(s.ctx, trying+` AND NOT (t.state = 'unreachable' AND t.message LIKE '%cannot be reached%')`, dying))

	s.says("alice", s.issue(), "/promote beyond edge", "confused", "beyond has nothing healthy to take from fleet", dying)
	next := s.asked("beyond", "edge", "1.8.0")
	s.checkSays(next.Number, "Waiting for upstream", "but is not healthy: "+dying+" is unreachable")

	m.dead.Store(false)
	s.until("the dead one is back, and gets it by itself", all(30, "1.8.0"))
	s.until("it is healthy everywhere, and goes on to the next environment", func() error {
		_, err := s.w.isMerged("beyond", "edge", "1.8.0")
		return errors.Join(err, s.w.deployed(p.Number, "fleet"))
	})
	once(s.T, s.w, p.Number)
	if strings.Contains(fmt.Sprint(s.w.options.Log), "does not come to rest") {
		s.Error("what is told of thirty clusters was taken for a circle")
	}
	s.until("the next environment runs it", func() error { return s.w.runsIn(s.ctx, "staging", "beyond", "payments", "1.8.0") })
}

// healthyWith wants Tagboat to know of a number of clusters that are healthy with a version.
func (w *World) healthyWith(ctx context.Context, env, tag string, want int) error {
	return w.database(ctx, func(db *store.Store) error {
		targets, err := db.Targets(ctx)
		if err != nil {
			return err
		}
		healthy := 0
		var others []string
		for _, t := range targets {
			switch {
			case t.Env != env:
			case t.State == store.TargetHealthy && t.Tag == tag:
				healthy++
			default:
				others = append(others, fmt.Sprintf("%s is %s with %s: %s", t.Cluster, t.State, t.Tag, t.Message))
			}
		}
		if healthy != want {
			return fmt.Errorf("%d of %d are: %s", healthy, want, strings.Join(others, "; "))
		}
		return nil
	})
}

// fleet is what stands in Git of an app in an environment of many clusters, each with a path
// of its own, and in one that comes after it.
func (s *scene) fleet(names []string) map[string]string {
	s.Helper()
	base := "apps/edge/base/"
	overlay := s.on("main", "apps/payments/overlays/prod/kustomization.yaml") // with 1.6.0
	images := overlay[strings.Index(overlay, "images:"):]
	git := map[string]string{
		base + "kustomization.yaml":                    "resources: [deployment.yaml]\n",
		base + "deployment.yaml":                       strings.Replace(s.on("main", "apps/payments/base/deployment.yaml"), "replicas: 2", "replicas: 1", 1),
		"apps/edge/overlays/fleet/kustomization.yaml":  "resources: [../../base]\n" + images,
		"apps/edge/overlays/beyond/kustomization.yaml": "namespace: beyond\nresources: [../../base]\n" + images,
	}
	var paths strings.Builder
	for _, name := range names {
		git["clusters/edge/fleet/"+name+"/kustomization.yaml"] = "namespace: " + name + "\nresources: [../../../../apps/edge/overlays/fleet]\n"
		fmt.Fprintf(&paths, "  - {name: %[1]s, path: \"clusters/{app}/{env}/%[1]s\"}\n", name)
	}
	git["tagboat.yaml"] = strings.Replace(s.on("main", "tagboat.yaml"), "policies:",
		"  - name: fleet\n    approvals: {count: 1, teams: [platform]}\n    clusters: ["+strings.Join(names, ", ")+"]\n"+
			"  - name: beyond\n    needs: [{env: fleet}]\n    clusters: [beyond]\nclusters:\n"+paths.String()+"policies:", 1)
	return git
}
