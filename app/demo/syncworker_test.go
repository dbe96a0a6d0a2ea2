package demo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestASyncWorker tells of a cluster that the server does not reach, and of processes
// beside it that bring it.
func TestASyncWorker(t *testing.T) {
	s := newScene(t)
	s.forgetCluster("dev")
	var digest string
	s.story("a cluster that nobody brings is told", func(s *scene) { digest = nobodyBrings(s) })
	first, second, third := s.worker("dev"), s.worker("dev"), s.worker("dev")
	s.must(first.Start(s.ctx))
	s.story("a worker brings it", func(s *scene) { workerBrings(s, first, digest) })
	s.story("a worker asks the cluster; it is killed, and others go on", func(s *scene) { othersGoOn(s, first, second, third) })
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// forgetCluster has the server not know how to reach a cluster.
func (s *scene) forgetCluster(name string) {
	s.Helper()
	p := s.w.Tagboat
	p.Kill()
	const variable = "TAGBOAT_CLUSTERS="
	for i, entry := range p.env {
		if known, ok := strings.CutPrefix(entry, variable); ok {
			left := slices.DeleteFunc(strings.Split(known, ","), func(one string) bool { return strings.HasPrefix(one, name+"=") })
			p.env[i] = variable + strings.Join(left, ",")
		}
	}
	s.must(p.Start(s.ctx))
}

// worker is “tagboat sync” for one cluster, as a process of its own.
func (s *scene) worker(cluster string) *Process {
	s.Helper()
	address, err := freeAddress()
	s.must(err)
	p := s.w.process(address)
	p.command = append(append([]string{}, s.w.options.Tagboat...), "sync", "--clusters", cluster)
	p.env = append(p.env, "TAGBOAT_DATA_DIR="+filepath.Join(s.TempDir(), "data")) // the last one counts
	s.Cleanup(p.Stop)
	return p
}

func nobodyBrings(s *scene) (digest string) {
	digest = s.release("payments", "1.7.0")
	// For a minute the server that had the cluster counts as one that may come back, and
	// is waited for. Then nobody is there who could be asked, or could bring it.
	var number int
	s.within(3*time.Minute, "it is merged without asking dev", func() error {
		p, err := s.w.isMerged("dev", "payments", "1.7.0")
		number = p.Number
		return err
	})
	const advice = "take the cluster out of tagboat.yaml"
	s.within(2*time.Minute, "the pull request and the board say that nobody reaches dev", func() error {
		return errors.Join(s.w.said(number, "1.7.0", "failed", advice), s.w.boardSays(s.ctx, advice))
	})
	s.metric(s.w.Tagboat, `tagboat_cluster_reached{cluster="dev"}`, func(value string) bool { return value == "0" })
	return digest
}

func workerBrings(s *scene, worker *Process, digest string) {
	s.within(90*time.Second, "dev runs it", func() error {
		return s.w.runs(s.ctx, "dev", "payments", Version{Tag: "1.7.0", Digest: digest})
	})
	s.done("dev", "payments", "1.7.0", digest)
	s.done("staging", "payments", "1.7.0", digest) // by the server
	some := func(value string) bool { return value != "0" }
	s.metric(worker, `tagboat_syncs_total{cluster="dev",ended="healthy"}`, some)
	s.metric(s.w.Tagboat, `tagboat_syncs_total{cluster="staging",ended="healthy"}`, some)
	s.metric(s.w.Tagboat, `tagboat_cluster_reached{cluster="dev"}`, some)
}

func othersGoOn(s *scene, killed *Process, others ...*Process) {
	digest := s.release("payments", "1.8.0")
	number := s.merged("dev", "payments", "1.8.0").Number
	killed.Kill()
	// dev was asked through the worker: the server does not reach it.
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM promotion p WHERE p.pull_number = $1
		AND NOT EXISTS (SELECT FROM dry_run d WHERE d.promotion_id = p.id AND d.cluster = 'dev' AND d.outcome = 'accepted')`, number))
	for _, p := range others {
		s.must(p.Start(s.ctx))
	}
	s.within(90*time.Second, "the others bring it", func() error {
		return s.w.runs(s.ctx, "dev", "payments", Version{Tag: "1.8.0", Digest: digest})
	})
	s.done("dev", "payments", "1.8.0", digest)
	// Several replicas on one cluster: each version is brought once.
	digest = s.release("payments", "1.9.0")
	s.done("dev", "payments", "1.9.0", digest)
	n, err := s.w.count(s.ctx, `SELECT count(*) FROM sync s JOIN target t ON t.id = s.target_id WHERE t.cluster = 'dev' AND s.tag = '1.9.0'`)
	if s.must(err); n != 1 {
		s.Errorf("1.9.0 was brought %d times", n)
	}
}

// metric waits until a process shows a value on /metrics that is as it shall be.
func (s *scene) metric(p *Process, series string, is func(value string) bool) {
	s.Helper()
	s.until("the metrics say so of "+series, func() error {
		req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, p.URL()+"/metrics", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		_, value, found := strings.Cut(string(text), "\n"+series+" ")
		if value, _, _ = strings.Cut(value, "\n"); !found || !is(value) {
			return fmt.Errorf("found %t, %q", found, value)
		}
		return nil
	})
}
