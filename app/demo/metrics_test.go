package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/prometheus/prometheustest"
)

// TestMetrics tells of an environment that is healthy when what it measures is within
// bounds, too.
func TestMetrics(t *testing.T) {
	m := meter{prometheustest.Start()}
	t.Cleanup(m.Close)
	s := newScene(t, "TAGBOAT_PROMETHEUS=main="+m.URL())
	for _, app := range apps {
		m.errors(app, prometheustest.Vector("0.001"))
	}
	s.edit("Dev is measured", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "  - name: dev\n", "  - name: dev\n    metrics: [{name: errors, query: 'errors{app=\"{{app}}\",env=\"{{env}}\",cluster=\"{{cluster}}\"}', max: 0.05, for: 0s}]\n", 1)
	}})
	s.story("what cannot be measured waits, and is no failure", m.nothingMeasured)
	s.story("what is measured out of bounds is taken back", m.outOfBounds)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// meter is the Prometheus server of the world.
type meter struct{ *prometheustest.Server }

func (m meter) errors(app string, a prometheustest.Answer) {
	m.Say(fmt.Sprintf(`errors{app=%q,env="dev",cluster="dev"}`, app), a)
}

func (m meter) nothingMeasured(s *scene) {
	m.errors("payments", prometheustest.Vector())
	digest := s.release("payments", "1.7.0")
	s.runs("dev", "payments", "1.7.0", digest)
	p := s.merged("dev", "payments", "1.7.0")
	const reason = "The metric errors is not known: Prometheus main has no data for it."
	s.until("the pull request says what is waited for", func() error { return s.w.said(p.Number, "1.7.0", "syncing", reason) })
	s.boardSays(reason)
	s.says("alice", s.issue(), "/promote staging payments", "confused", "staging has nothing healthy to take from dev", strings.TrimSuffix(reason, "."))
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM promotion WHERE env = 'staging' AND artifact_id IN (SELECT id FROM artifact WHERE tag = '1.7.0')`))

	m.errors("payments", prometheustest.Vector("0.001"))
	s.until("it goes on to staging", func() error {
		_, err := s.w.isMerged("staging", "payments", "1.7.0")
		return err
	})
	s.done("dev", "payments", "1.7.0", digest)
	s.done("staging", "payments", "1.7.0", digest)
}

func (m meter) outOfBounds(s *scene) {
	former := s.digestIn("dev", "payments")
	s.automatic("dev", "merge")
	m.errors("payments", prometheustest.Vector()) // it cannot be healthy before it is measured below
	_, err := s.w.pushImage(s.ctx, "payments", "slow1", "slow1", "")
	s.must(err)
	s.says("alice", s.issue(), "/promote dev payments slow1", "rocket")
	s.until("it is being brought", func() error {
		return s.w.none(s.ctx, `SELECT 1 - count(*) FROM sync WHERE tag = 'slow1' AND state = 'running'`)
	})
	m.errors("payments", prometheustest.Vector("0.2"))
	p := s.merged("dev", "payments", "slow1")
	s.until("the pull request says what was measured", func() error {
		return s.w.said(p.Number, "slow1", "failed", "The metric errors is 0.2, more than 0.05, and has been out of its bounds since ")
	})
	var back githubsim.PullView
	s.until("it is taken back", func() (err error) {
		back, err = s.w.isRolledBack("dev", "payments", "1.7.0")
		return err
	})
	if !strings.Contains(back.Body, "dev is not healthy with slow1: The metric errors is 0.2") {
		s.Errorf("the description does not say why:\n%s", back.Body)
	}
	s.runs("dev", "payments", "1.7.0", former)
	m.errors("payments", prometheustest.Vector("0.001"))
	s.until("dev is healthy again", func() error {
		return s.w.none(s.ctx, `SELECT count(*) FROM target WHERE env = 'dev' AND (state <> 'healthy' OR violations <> '{}')`)
	})
}
