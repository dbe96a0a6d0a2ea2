package github_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestABurstOf200Promotions makes what 200 promotions make of requests, under the
// limits of github.com and on a clock that passes hours at once. No limit is met, all
// are merged, it takes little longer than the limits allow, and a rollback in the
// middle of it does not wait.
func TestABurstOf200Promotions(t *testing.T) {
	const promotions = 200
	synctest.Test(t, func(t *testing.T) {
		b := newBurst(t, promotions+1)
		defer b.sim.Close()
		began := time.Now()
		var all sync.WaitGroup
		for i := range promotions {
			all.Go(func() { b.job(promotion(i, github.Opening, github.Merging)) })
		}
		time.Sleep(30 * time.Minute)
		asked := time.Now()
		back := promotion(promotions, github.RollingBack, github.RollingBack)
		back.upTo = 4 // until it is merged
		b.job(back)
		waited := time.Since(asked)
		all.Wait()
		took := time.Since(began)
		synctest.Wait()

		for _, trip := range b.sim.Trips() {
			t.Errorf("a limit was met: %s", trip)
		}
		merged := 0
		for _, p := range b.sim.Pulls("acme/env") {
			if p.Merged {
				merged++
			}
			if len(p.Commits) != 1 || len(p.Checks) != 1 {
				t.Errorf("#%d has %d commits and %d checks", p.Number, len(p.Commits), len(p.Checks))
			}
		}
		if merged != promotions+1 {
			t.Errorf("%d of %d are merged", merged, promotions+1)
		}
		content := int(b.app.Calls()[github.Call{Method: http.MethodPost, Class: github.Content}] +
			b.app.Calls()[github.Call{Method: http.MethodPut, Class: github.Content}])
		hours, rest := (content-1)/500, (content-1)%500+1
		allowed := time.Duration(hours)*time.Hour + time.Duration((rest-1)/80)*time.Minute
		t.Logf("%d requests that create content: %s; the limits allow %s at best. The rollback took %s.", content, took, allowed, waited)
		if took > allowed*5/4 {
			t.Errorf("it took %s, the limits allow %s", took, allowed)
		}
		if waited > 10*time.Second {
			t.Errorf("the rollback took %s", waited)
		}
	})
}

// bursting is a GitHub with its limits on, in the bubble, and Tagboat's eight workers.
type bursting struct {
	t       *testing.T
	sim     *githubsim.Server
	app     *github.App
	repo    *github.Repo
	workers chan struct{}
}

func newBurst(t *testing.T, files int) *bursting {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sim, err := githubsim.New(githubsim.Options{Dir: t.TempDir(), SecondaryLimits: &githubsim.SecondaryLimits{}})
	must(err)
	sim.SetURL("https://github.test")
	sim.AddOrg("acme")
	tree := map[string]string{}
	for i := range files {
		tree[file(i)] = "newTag: 1.0.0\n"
	}
	must(sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "env", Files: tree}))
	app, err := sim.AddApp(githubsim.AppSpec{Slug: "tagboat", Name: "Tagboat", Owner: "acme", Permissions: permissions})
	must(err)
	installation, err := sim.Install(app.ID, "acme", "env")
	must(err)
	b := &bursting{t: t, sim: sim, workers: make(chan struct{}, 8)}
	b.app, err = github.New(github.Config{APIURL: "https://github.test/api/v3", GitURL: "https://github.test", AppID: app.ID,
		PrivateKey: app.PrivateKey, Transport: near{sim}, Limits: github.GitHubLimits})
	must(err)
	b.repo = b.app.Repo(installation, "acme", "env")
	return b
}

func file(i int) string { return fmt.Sprintf("apps/app%03d/kustomization.yaml", i) }

// near hands requests to a server without a network: there is none in the bubble.
type near struct{ server http.Handler }

func (n near) RoundTrip(r *http.Request) (*http.Response, error) {
	// A tenth of a second, as GitHub takes. Not for a token: who waits for that waits
	// for a mutex, and time does not pass in the bubble while somebody does.
	if !strings.HasSuffix(r.URL.Path, "/access_tokens") {
		time.Sleep(100 * time.Millisecond)
	}
	if r.Body == nil {
		r.Body = http.NoBody // as a server does
	}
	w := httptest.NewRecorder()
	n.server.ServeHTTP(w, r)
	return w.Result(), nil
}

// steps are one promotion as a job that is snoozed whenever it is limited.
type steps struct {
	n             int
	open, merge   github.Priority
	next, upTo    int
	pull          github.Pull
	deployment    int64
	branch, title string
}

func promotion(n int, open, merge github.Priority) *steps {
	return &steps{n: n, open: open, merge: merge, upTo: 8, branch: fmt.Sprintf("tagboat/dev/app%03d", n), title: fmt.Sprintf("app%03d 1.1.0", n)}
}

func (b *bursting) job(s *steps) {
	for {
		b.workers <- struct{}{}
		var err error
		for err == nil && s.next < s.upTo {
			if err = s.step(b.t.Context(), b); err == nil {
				s.next++
			}
		}
		<-b.workers
		if err == nil {
			return
		}
		if !fault.Is(err, fault.RateLimited) {
			b.t.Errorf("promotion %d, step %d: %v", s.n, s.next, err)
			return
		}
		time.Sleep(min(time.Minute, max(time.Second, time.Until(fault.UntilOf(err)))))
	}
}

func (s *steps) step(ctx context.Context, b *bursting) (err error) {
	priorities := []github.Priority{s.open, s.open, s.merge, s.merge, s.merge, github.Deploying, github.Deploying, github.Talking}
	ctx = github.WithPriority(ctx, priorities[s.next])
	switch s.next {
	case 0:
		return s.opened(ctx, b)
	case 1:
		return b.repo.AddLabels(ctx, s.pull.Number, []string{"tagboat"})
	case 2:
		_, err = b.repo.CreateCheck(ctx, github.CheckRun{Name: "tagboat", HeadSHA: s.pull.HeadSHA, Status: "completed", Conclusion: "success", Title: "ok", Summary: "ok"})
	case 3:
		if _, err = b.repo.Pull(ctx, s.pull.Number); err == nil {
			_, err = b.repo.Merge(ctx, s.pull.Number, github.MergeRequest{HeadSHA: s.pull.HeadSHA, Method: "squash", Title: s.title})
		}
	case 4:
		return b.repo.DeleteBranch(ctx, s.branch)
	case 5:
		s.deployment, err = b.repo.CreateDeployment(ctx, github.Deployment{Ref: "main", Environment: "dev", Description: s.title})
	case 6:
		return b.repo.DeploymentStatus(ctx, s.deployment, github.DeploymentStatus{State: "success"})
	case 7:
		_, err = b.repo.Comment(ctx, s.pull.Number, "healthy")
	}
	return err
}

func (s *steps) opened(ctx context.Context, b *bursting) error {
	ctx, done, err := b.repo.Reserve(ctx, 4, 0)
	if err != nil {
		return err
	}
	defer done()
	base, err := b.repo.Branch(ctx, "main")
	if err != nil {
		return err
	}
	sha, err := b.repo.Commit(ctx, github.CommitRequest{Parent: base, BaseTree: base, Message: s.title,
		Files: []github.File{{Path: file(s.n), Content: []byte("newTag: 1.1.0\n")}}})
	if err != nil {
		return err
	}
	if err := b.repo.CreateBranch(ctx, s.branch, sha); err != nil {
		return err
	}
	s.pull, err = b.repo.OpenPull(ctx, github.NewPull{Branch: s.branch, Base: "main", Title: s.title, Body: "body"})
	return err
}
