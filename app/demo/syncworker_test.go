package demo

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestASyncWorker tells of a cluster that the server does not reach, and of processes
// beside it that bring it.
func TestASyncWorker(t *testing.T) {
	s := newScene(t)
	s.forgetCluster("dev")
	first, second := s.worker("dev"), s.worker("dev")
	digest := s.release("payments", "1.7.0")
	s.story("a cluster that nobody brings is told", nobodyBrings)
	s.must(first.Start(s.ctx))
	s.story("a worker brings it", func(s *scene) { workerBrings(s, first, digest) })
	s.story("what a cluster refuses is not merged: it is asked through the worker", renamedSelector)
	s.must(second.Start(s.ctx))
	s.story("one of two workers is killed in the middle of a sync, and the other one goes on", func(s *scene) { otherGoesOn(s, first, second) })
	s.story("two workers bring a version once", twoBringOnce)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// forgetCluster has the server not know how to reach a cluster.
func (s *scene) forgetCluster(name string) {
	s.Helper()
	p := s.w.Tagboat
	p.Kill()
	for i, entry := range p.env {
		if known, ok := strings.CutPrefix(entry, clustersVariable); ok {
			left := slices.DeleteFunc(strings.Split(known, ","), func(one string) bool { return strings.HasPrefix(one, name+"=") })
			p.env[i] = clustersVariable + strings.Join(left, ",")
		}
	}
	s.must(p.Start(s.ctx))
}

// syncWorker is “tagboat sync” for one cluster, as a process of its own that goes through
// a front of its own.
type syncWorker struct {
	*Process
	front *front
}

func (s *scene) worker(cluster string) syncWorker {
	s.Helper()
	address, err := s.w.keepAddress()
	s.must(err)
	p, f, dir := s.w.process(address), s.newFront(), s.TempDir()
	door := filepath.Join(dir, "kubeconfig")
	s.must(os.WriteFile(door, kubeconfig(f.server.URL), 0o600))
	p.command = append(slices.Clone(s.w.options.Tagboat), "sync", "--clusters", cluster)
	p.env = append(p.env, "TAGBOAT_DATA_DIR="+filepath.Join(dir, "data"), clustersVariable+cluster+"="+door) // the last ones count
	s.Cleanup(p.Stop)
	return syncWorker{p, f}
}

func nobodyBrings(s *scene) {
	// For a while the server that had the cluster counts as one that may come back, and
	// is waited for. Then nobody is there who could be asked, or could bring it.
	var number int
	s.until("it is merged without asking dev", func() error {
		p, err := s.w.isMerged("dev", "payments", "1.7.0")
		number = p.Number
		return err
	})
	advice := []string{"No Tagboat process serves cluster dev since 20", "tagboat sync --clusters dev", "take the cluster out of tagboat.yaml"}
	s.until("the pull request and the board say that nobody serves dev", func() error {
		err := s.w.said(number, append(advice, "1.7.0", "pending")...)
		for _, part := range append(advice, "waiting") {
			err = errors.Join(err, s.w.boardSays(s.ctx, part))
		}
		return err
	})
	p, err := s.w.GitHub.Pull(envRepo, number)
	s.must(err)
	s.commitSays(p, "tagboat/dev/payments", "pending", "1.7.0 is on its way to 1 cluster")
	if err := s.w.deploymentIs(number, "dev", "failure"); err == nil {
		s.Error("GitHub shows the deployment as failed, and nothing has")
	}
	s.until("it is measured", func() error { return s.measures(s.w.Tagboat, `tagboat_cluster_reached{cluster="dev"}`, "0") })
}

func workerBrings(s *scene, worker syncWorker, digest string) {
	s.until("dev runs it", func() error {
		return s.w.runs(s.ctx, "dev", "payments", Version{Tag: "1.7.0", Digest: digest})
	})
	s.done("dev", "payments", "1.7.0", digest)
	s.done("staging", "payments", "1.7.0", digest) // by the server
	s.until("it is measured, by each of what it has done", func() error {
		return errors.Join(
			s.measures(worker.Process, `tagboat_syncs_total{cluster="dev",ended="healthy"}`, ""),
			s.measures(s.w.Tagboat, `tagboat_syncs_total{cluster="staging",ended="healthy"}`, ""),
			s.measures(s.w.Tagboat, `tagboat_cluster_reached{cluster="dev"}`, "1"))
	})
}

func otherGoesOn(s *scene, workers ...syncWorker) {
	var struck atomic.Bool
	killed := make(chan syncWorker, 1)
	for _, one := range workers {
		one.front.each(func(_ int, _ http.ResponseWriter, r *http.Request) bool {
			if !writes(r) || !struck.CompareAndSwap(false, true) {
				return false
			}
			s.Logf("killed at %s %s", r.Method, r.URL.Path)
			one.Kill()
			killed <- one
			panic(http.ErrAbortHandler) // it is not done
		})
		defer one.front.each(nil)
	}
	digest := s.release("payments", "1.8.0")
	number := s.merged("dev", "payments", "1.8.0").Number
	// dev was asked through a worker: the server does not reach it.
	s.must(s.w.none(s.ctx, `SELECT count(*) - 1 FROM promotion p JOIN dry_run d ON d.promotion_id = p.id
		WHERE p.pull_number = $1 AND d.cluster = 'dev' AND d.outcome = 'accepted'`, number))
	s.until("the other one brings it", func() error {
		return s.w.runs(s.ctx, "dev", "payments", Version{Tag: "1.8.0", Digest: digest})
	})
	s.done("dev", "payments", "1.8.0", digest)
	gone := <-killed
	for _, one := range workers {
		if one.Process != gone.Process {
			s.until("it has taken over", func() error { return s.measures(one.Process, `tagboat_sync_takeovers_total{cluster="dev"}`, "") })
		}
	}
	s.must(gone.Start(s.ctx))
}

func twoBringOnce(s *scene) {
	digest := s.release("payments", "1.9.0")
	s.done("dev", "payments", "1.9.0", digest)
	n, err := s.w.count(s.ctx, `SELECT count(*) FROM sync s JOIN target t ON t.id = s.target_id WHERE t.cluster = 'dev' AND s.tag = '1.9.0'`)
	if s.must(err); n != 1 {
		s.Errorf("1.9.0 was brought %d times", n)
	}
}

// measures wants a process to show a value on /metrics; "" is any but 0.
func (s *scene) measures(p *Process, series, want string) error {
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
	value, _, _ = strings.Cut(value, "\n")
	if !found || want == "" && value == "0" || want != "" && value != want {
		return fmt.Errorf("%s is %q (there: %t)", series, value, found)
	}
	return nil
}
