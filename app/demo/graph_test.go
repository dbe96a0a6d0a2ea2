package demo

import (
	"fmt"
	"strings"
	"testing"
)

// graph is a tagboat.yaml in which what is healthy in dev goes to two environments side
// by side, and prod needs both.
const graph = `apiVersion: tagboat.dev/v1
apps:
  - discover: apps/{app}/overlays/{env}
environments:
  - name: dev
    follow: {semver: ">=1.0.0"}
    checks: [lint]
    clusters: [dev]
  - name: staging-eu
    needs: [{env: dev}]
    follow: {env: dev}               # takes by itself what is healthy in dev
    checks: [lint]
    clusters: [staging]
  - name: staging-us
    needs: [{env: dev}]              # a person asks
    checks: [lint]
    clusters: [prod]
  - name: prod
    needs: [{env: staging-eu, healthy: 2s}, {env: staging-us, healthy: 5s}]
    checks: [lint]
    clusters: [prod]
`

// TestGraph tells of environments that are no line: two after dev, and prod after both.
func TestGraph(t *testing.T) {
	s := newScene(t)
	s.splitStaging()
	s.story("a version fans out, and prod waits until both have proven it", fanOutAndIn)
	s.story("prod takes what both have proven, while dev is ahead", olderButProven)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// splitStaging makes two environments of staging, each with its overlay of payments.
func (s *scene) splitStaging() {
	s.Helper()
	files := map[string]string{"tagboat.yaml": graph}
	for env, in := range map[string]string{"staging-eu": "staging", "staging-us": "prod"} {
		s.namespace(in, env)
		text := s.on("main", "apps/payments/overlays/staging/kustomization.yaml")
		files[fmt.Sprintf("apps/payments/overlays/%s/kustomization.yaml", env)] =
			strings.Replace(text, "namespace: "+s.w.Namespaces["staging"], "namespace: "+env, 1)
	}
	s.pushMain("Two stagings, side by side", files)
	s.runsIn("staging", "staging-eu", "payments", versions["payments"])
	s.runsIn("prod", "staging-us", "payments", versions["payments"])
	s.nobodyWaits()
}

func fanOutAndIn(s *scene) {
	digest := s.release("payments", "1.7.41")
	s.runs("dev", "payments", "1.7.41", digest)
	s.runsIn("staging", "staging-eu", "payments", "1.7.41")
	s.until("staging-eu is known to be healthy", func() error { return s.w.reported(s, "staging-eu", "payments", "1.7.41") })
	if p, err := s.w.pullTo("staging-us", "payments", "1.7.41"); err == nil {
		s.Errorf("#%d brings 1.7.41 to staging-us, and nobody asked for it", p.Number)
	}

	// The two do not agree.
	talk := s.issue()
	s.says("alice", talk, "/promote prod payments", "confused", "prod has nothing healthy to take from staging-eu and staging-us alike",
		"staging-eu has 1.7.41", "staging-us has "+versions["payments"], "Name a tag to choose one: /promote prod payments")
	s.says("alice", talk, "/promote prod payments 1.7.41", "rocket")
	prod := s.opened("prod", "payments", "1.7.41")
	s.checkSays(prod.Number, "staging-us runs "+versions["payments"])

	s.says("alice", talk, "/promote staging-us payments", "rocket") // what is proven in dev
	s.runsIn("prod", "staging-us", "payments", "1.7.41")
	s.tickAll(prod.Number)
	s.soaked("1.7.41")
	s.done("prod", "payments", "1.7.41", digest)
	// Each has a soak of its own.
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM promotion p JOIN target t ON t.app = p.app
		JOIN (VALUES ('staging-eu', interval '2 s'), ('staging-us', interval '5 s')) AS need (env, soak) ON need.env = t.env
		WHERE p.env = 'prod' AND p.app = 'payments' AND p.merged_at < t.healthy_since + need.soak`))
}

func olderButProven(s *scene) {
	proven := s.release("payments", "1.7.42")
	s.runs("dev", "payments", "1.7.42", proven)
	s.runsIn("staging", "staging-eu", "payments", "1.7.42")
	talk := s.issue()
	s.until("dev is known to be healthy", func() error { return s.w.reported(s, "dev", "payments", "1.7.42") })
	s.says("alice", talk, "/promote staging-us payments", "rocket")
	s.runsIn("prod", "staging-us", "payments", "1.7.42")
	s.until("staging-us is known to be healthy", func() error { return s.w.reported(s, "staging-us", "payments", "1.7.42") })

	s.says("alice", talk, "/freeze staging-eu we prove 1.7.42 there", "rocket")
	ahead := s.release("payments", "1.7.47")
	s.runs("dev", "payments", "1.7.47", ahead)
	s.checkSays(s.opened("staging-eu", "payments", "1.7.47").Number, "alice stopped all of staging-eu")

	s.says("alice", talk, "/promote prod payments", "rocket")
	prod := s.opened("prod", "payments", "1.7.42")
	s.tickAll(prod.Number)
	s.soaked("1.7.42")
	s.done("prod", "payments", "1.7.42", proven)
	s.runs("dev", "payments", "1.7.47", ahead)
}

// soaked waits until prod's pull request is merged, because both have proven the version
// for long enough. That is noticed at the next sweep.
func (s *scene) soaked(version string) {
	s.Helper()
	s.until("both have proven "+version+" for long enough", func() error {
		_, err := s.w.isMerged("prod", "payments", version)
		return err
	})
}

// reported wants a version's promotion to have come to its end.
func (w *World) reported(s *scene, env, app, tag string) error {
	state, err := w.stateOf(s.ctx, env, app, tag)
	if err == nil && state != "deployed" {
		err = fmt.Errorf("%s %s in %s is %q", app, tag, env, state)
	}
	return err
}
