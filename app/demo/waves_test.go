package demo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster"
)

// TestWaves tells of an environment with two clusters, of which the second changes when
// the first is healthy with the same.
func TestWaves(t *testing.T) {
	s := newScene(t)
	s.anotherCluster("dev-us", "prod", "dev")
	s.edit("Dev has two clusters, one after the other", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "clusters: [dev]\n", "clusters: [dev, dev-us]\n    waves: [[dev], [dev-us]]\n", 1)
	}})
	s.story("a cluster that has nothing yet waits its turn, and gets what the first has", secondCluster)
	s.story("a version goes to one after the other", oneAfterTheOther)
	s.story("an ill wave keeps a version from the next, and its cure goes through", illWave)
	s.story("a revert heals the first wave, and the next had nothing to fear", revertedInWaves)
	s.story("the first wave has to stay healthy for a while", soakingWave)
	s.story("Tagboat is killed between two waves", killedBetweenWaves)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// anotherCluster tells Tagboat of one more cluster, which is that of an environment, with
// a namespace like another one's.
func (s *scene) anotherCluster(name, env, namespace string) {
	s.Helper()
	s.namespace(env, s.w.Namespaces[namespace])
	p := s.w.Tagboat
	p.Kill()
	p.reaches(name, filepath.Join(s.w.dir, env+".kubeconfig"))
	s.must(p.Start(s.ctx))
}

// namespace makes a namespace in an environment's cluster.
func (s *scene) namespace(env, name string) {
	s.Helper()
	objects, err := cluster.Decode([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n"))
	s.must(err)
	_, err = s.w.Clusters[env].Apply(s.ctx, cluster.Run{Target: cluster.Target{Key: "tagboat demo " + env + " " + name}, Objects: objects, Ledger: cluster.Unrecorded{}})
	s.must(err)
}

// runsIn waits until a namespace of an environment's cluster runs a version.
func (s *scene) runsIn(env, namespace, app, tag string) {
	s.Helper()
	s.until(fmt.Sprintf("%s runs %s %s in namespace %s", env, app, tag, namespace), func() error {
		return s.w.runsIn(s.ctx, env, namespace, app, tag)
	})
}

// runsIn wants every pod of an app in a namespace to run a version.
func (w *World) runsIn(ctx context.Context, env, namespace, app, tag string) error {
	containers, err := w.Clusters[env].Running(ctx, namespace)
	if err != nil {
		return err
	}
	found := false
	for _, c := range containers {
		if c.Name != app {
			continue
		}
		if c.Image.Tag != tag || c.Ready < c.Desired {
			return fmt.Errorf("%d of %d pods of %s run %s", c.Ready, c.Desired, app, c.Image.Tag)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("no pod of %s runs", app)
	}
	return nil
}

// never wants no attempt to have brought a version to a cluster.
func (s *scene) never(cluster, app, tag string) {
	s.Helper()
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM sync s JOIN target t ON t.id = s.target_id WHERE t.cluster = $1 AND t.app = $2 AND s.tag = $3`, cluster, app, tag))
}

// nobodyWaits waits until every cluster is healthy with what is in Git.
func (s *scene) nobodyWaits() {
	s.Helper()
	s.until("nobody waits for an earlier wave", func() error {
		return s.w.none(s.ctx, `SELECT count(*) FROM target WHERE NOT gone AND (held <> '' OR state <> 'healthy' OR got < want)`)
	})
}

func secondCluster(s *scene) {
	for app, version := range versions {
		s.runsIn("prod", "dev", app, version)
	}
	s.nobodyWaits()
}

func oneAfterTheOther(s *scene) {
	digest := s.release("payments", "1.7.0")
	s.runsIn("prod", "dev", "payments", "1.7.0")
	s.done("dev", "payments", "1.7.0", digest)
	s.done("staging", "payments", "1.7.0", digest)
	// The second cluster was begun with when the first one was through.
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM sync us JOIN target t ON t.id = us.target_id
		WHERE t.cluster = 'dev-us' AND us.tag = '1.7.0' AND NOT EXISTS (
			SELECT FROM sync eu JOIN target first ON first.id = eu.target_id
			WHERE first.cluster = 'dev' AND first.app = t.app AND eu.tag = us.tag AND eu.state = 'healthy' AND eu.finished_at <= us.started_at)`))
}

func illWave(s *scene) {
	const trouble, waits = "ImagePullBackOff", "dev-us waits for wave 1: dev is not healthy"
	p := s.sicken("payments", "bad1", trouble, waits)
	s.until("so does the deployment", func() error { return s.w.deploymentIs(p, "dev", "failure") })
	s.boardSays(trouble, waits)
	s.says("alice", s.issue(), "/explain dev payments", "rocket", waits)
	// (It is tried again every now and then; what the answer says of it then is that.)
	s.says("alice", s.issue(), "/promote staging payments", "confused", "staging has nothing healthy to take from dev", waits)

	// Another app's waves go on, and a commit that changes nothing of the ill one, too.
	s.release("catalog", "2.3.1")
	s.runsIn("prod", "dev", "catalog", "2.3.1")
	s.must(s.w.runsIn(s.ctx, "prod", "dev", "payments", "1.7.0"))
	s.never("dev-us", "payments", "bad1")

	digest := s.release("payments", "1.8.0")
	s.runsIn("prod", "dev", "payments", "1.8.0")
	s.done("dev", "payments", "1.8.0", digest)
	s.done("staging", "payments", "1.8.0", digest)
	s.nobodyWaits()
	s.never("dev-us", "payments", "bad1")
}

// sicken brings a version to dev that is healthy nowhere, and waits until its pull
// request tells all parts.
func (s *scene) sicken(app, tag string, parts ...string) (number int) {
	s.Helper()
	_, err := s.w.pushImage(s.ctx, app, tag, tag, "")
	s.must(err)
	s.says("alice", s.issue(), fmt.Sprintf("/promote dev %s %s", app, tag), "rocket")
	p := s.merged("dev", app, tag)
	s.until("the pull request tells of the trouble", func() error { return s.w.said(p.Number, append(parts, tag)...) })
	return p.Number
}

func revertedInWaves(s *scene) {
	const file = "apps/payments/overlays/dev/kustomization.yaml"
	before := s.on("main", file)
	s.sicken("payments", "bad2", "ImagePullBackOff", "dev-us waits for wave 1")
	s.pushMain("Revert bad2", map[string]string{file: before})
	s.nobodyWaits()
	s.runsIn("dev", "dev", "payments", "1.8.0")
	s.runsIn("prod", "dev", "payments", "1.8.0")
	s.never("dev-us", "payments", "bad2")
	// A revert is a rollback, whoever makes it.
	s.says("alice", s.issue(), "/unhold dev payments", "rocket", "not on hold any more")
}

func soakingWave(s *scene) {
	s.edit("The first wave stays healthy for a while", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "waves: [[dev], [dev-us]]", "waves: [{clusters: [dev], healthy: 15s}, [dev-us]]", 1)
	}})
	digest := s.release("shop", "3.1.0")
	p := s.merged("dev", "shop", "3.1.0")
	s.until("people are told until when", func() error {
		return s.w.said(p.Number, "3.1.0", "dev-us waits for wave 1: dev has to stay healthy with it for 15s, until ")
	})
	s.runsIn("prod", "dev", "shop", "3.1.0")
	s.done("dev", "shop", "3.1.0", digest)
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM sync us JOIN target t ON t.id = us.target_id JOIN target first ON first.app = t.app AND first.cluster = 'dev'
		WHERE t.cluster = 'dev-us' AND us.tag = '3.1.0' AND us.started_at < first.steady_since + interval '15 s'`))
}

func killedBetweenWaves(s *scene) {
	digest := s.release("payments", "1.9.0")
	s.runsIn("dev", "dev", "payments", "1.9.0")
	s.w.Tagboat.Kill()
	s.must(s.w.Tagboat.Start(s.ctx))
	s.runsIn("prod", "dev", "payments", "1.9.0")
	s.done("dev", "payments", "1.9.0", digest)
	s.nobodyWaits()
}
