package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestFiftyPromotionsAtOnce: a version that 50 apps use is announced twice, and asked for
// in 50 comments, each of which arrives twice, all at the same time and for one env
// repo. Every app gets it once.
func TestFiftyPromotionsAtOnce(t *testing.T) {
	const crowded = 50
	plenty := githubsim.SecondaryLimits{Minute: time.Minute, Hour: time.Hour, Points: 1 << 20, ContentMinute: 1 << 20, ContentHour: 1 << 20}
	ctx, w := context.Background(), newCrowd(t, crowd{crowded, plenty})
	within(t, 10*time.Minute, "Tagboat knows all overlays", func() error {
		n, err := w.count(ctx, `SELECT count(*) FROM target WHERE got = want AND state = 'failed'`)
		if err == nil && n != 2*crowded {
			err = fmt.Errorf("%d are known", n)
		}
		return err
	})
	digest, err := w.pushImage(ctx, "crowd", "1.1.0", "1.1.0", "")
	must(t, err)
	body, err := json.Marshal(map[string]string{"image": imageHost + "/crowd", "tag": "1.1.0", "digest": digest})
	must(t, err)
	alice := w.GitHub.As("alice")
	issue, err := alice.OpenIssue(envRepo, "All at once", "")
	must(t, err)
	w.GitHub.SetHookPolicy(func(event, _ string) githubsim.HookAction {
		if event == "issue_comment" {
			return githubsim.DeliverTwiceNewGUID
		}
		return githubsim.Deliver
	})
	var everybody errgroup.Group
	for range 2 {
		everybody.Go(func() error { return w.callback(ctx, body) })
	}
	comments := make([]int64, crowded)
	for i := range crowded {
		everybody.Go(func() (err error) {
			comments[i], err = alice.Comment(envRepo, issue, fmt.Sprintf("/promote dev app%03d 1.1.0", i))
			return err
		})
	}
	must(t, everybody.Wait())

	within(t, 10*time.Minute, "all are merged", func() error { return w.mergedTo("dev", crowded) })
	within(t, 10*time.Minute, "all are reported", func() error {
		return w.none(ctx, `SELECT $1 - count(*) FROM promotion WHERE comment_id > 0`, crowded)
	})
	for _, id := range comments {
		within(t, 10*time.Minute, "everybody is answered", func() error { return w.reactedIn(issue, id, "eyes", "rocket") })
	}
	pulls := w.GitHub.Pulls(envRepo)
	for _, p := range pulls {
		once(t, w, p.Number)
	}
	if n, err := w.count(ctx, `SELECT count(*) FROM promotion WHERE env = 'dev'`); err != nil || n != crowded || len(pulls) != crowded {
		t.Errorf("there are %d promotions and %d pull requests, want %d of each, %v", n, len(pulls), crowded, err)
	}
	must(t, w.soundAudit(ctx))
}

// TestWhatMovesAtTheSameTime tells of apps that go their own ways side by side, and of
// a base branch that does not hold still.
func TestWhatMovesAtTheSameTime(t *testing.T) {
	s := newScene(t)
	s.story("three services, each with versions of its own", threeServices)
	s.story("the base moves twenty times while one pull request is merged", movingBase)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// threeServices: all three get a version in the same moment, and two of them go on to
// prod. Nobody's pull request touches what is another's.
func threeServices(s *scene) {
	tags := map[string]string{"payments": "1.7.0", "catalog": "2.3.1", "shop": "3.1.0"}
	digests := map[string]string{}
	var mu sync.Mutex
	var ci errgroup.Group
	for app, tag := range tags {
		ci.Go(func() error {
			digest, err := s.w.release(s.ctx, app, tag)
			mu.Lock()
			defer mu.Unlock()
			digests[app] = digest
			return err
		})
	}
	s.must(ci.Wait())
	for app, tag := range tags {
		for _, env := range []string{"dev", "staging"} {
			p := s.done(env, app, tag, digests[app])
			s.must(changedOnly(p, fmt.Sprintf("apps/%s/overlays/%s/kustomization.yaml", app, env)))
		}
	}
	var numbers []int
	for _, app := range []string{"payments", "shop"} {
		numbers = append(numbers, s.asked("prod", app, tags[app]).Number)
	}
	for _, number := range numbers {
		s.approve(number, "bob", "carol")
		s.tickAll(number)
	}
	for _, app := range []string{"payments", "shop"} {
		p := s.done("prod", app, tags[app], digests[app])
		s.must(changedOnly(p, "apps/"+app+"/overlays/prod/kustomization.yaml"))
	}
	s.must(s.w.pins("prod", "catalog", Version{Tag: versions["catalog"]}))
}

// movingBase: main wants the newest base in every pull request, and moves whenever
// Tagboat reads this one, which it does before each merge and after each refusal.
func movingBase(s *scene) {
	digest := s.release("payments", "1.8.0")
	s.runs("staging", "payments", "1.8.0", digest)
	first := s.asked("prod", "payments", "1.8.0")
	s.approve(first.Number, "bob", "carol")
	s.checkSays(first.Number, "2 of 2 approvals")

	strict := s.w.ci.protection
	strict.Strict = true
	s.must(s.w.GitHub.Protect(envRepo, "main", strict))
	defer func() { s.must(s.w.GitHub.Protect(envRepo, "main", s.w.ci.protection)) }()
	const moves = 20
	var mu sync.Mutex
	moved := 0
	s.w.GitHub.OnRequest(func(r githubsim.Request) {
		if r.App != "tagboat" || r.Method != "GET" || r.Path != fmt.Sprintf("/repos/%s/pulls/%d", envRepo, first.Number) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if moved == moves {
			return
		}
		moved++
		if err := s.moveMain(moved, strict); err != nil {
			s.Errorf("move %d of main: %v", moved, err)
		}
	})
	defer s.w.GitHub.OnRequest(nil)
	s.tickAll(first.Number)
	s.until("it is merged", func() error {
		_, err := s.w.isMerged("prod", "payments", "1.8.0")
		return err
	})
	p := s.done("prod", "payments", "1.8.0", digest)
	if p.Number != first.Number || p.HeadSHA == first.HeadSHA || moved != moves || len(p.Reviews) != 2 {
		s.Errorf("#%d was merged after %d moves and %d reviews; it was #%d, and the edit is the same", p.Number, moved, len(p.Reviews), first.Number)
	}
	for i := range moves {
		if _, err := s.w.GitHub.File(envRepo, "main", fmt.Sprintf("moved/%d", i+1)); err != nil {
			s.Errorf("a commit of main's is lost: %v", err)
		}
	}
}

// moveMain commits a file to main past its protection.
func (s *scene) moveMain(n int, protection githubsim.Protection) error {
	if err := s.w.GitHub.Protect(envRepo, "main", githubsim.Protection{}); err != nil {
		return err
	}
	if _, err := s.as("alice").Push(envRepo, "main", fmt.Sprint("Move ", n), map[string]string{fmt.Sprintf("moved/%d", n): "moved\n"}); err != nil {
		return err
	}
	return s.w.GitHub.Protect(envRepo, "main", protection)
}
