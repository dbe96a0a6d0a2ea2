package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestWhatIsDown tells of a GitHub and a registry that fail in the middle of it.
// Whatever they do, in the end there is one pull request, one check run, one
// merge, one deployment and one status comment.
func TestWhatIsDown(t *testing.T) {
	s := newScene(t)
	// The slow ones are begun first: their retries take a minute. The limit comes
	// last, because it keeps everything else waiting, too.
	lost := s.lostWebhooks()
	limited := s.limitedWithoutHeaders()
	s.story("GitHub limits without saying for how long", limited)
	s.story("webhooks are lost", lost)
	s.story("the registry is down while an image is verified", registryDownWhileVerifying)
	back := s.registryDownWhileOpen()
	s.story("GitHub fails in every way at everything", everyFault)
	s.story("the registry was down while a pull request was open", back)
	s.story("a pull request is reviewed before Tagboat knows that it is open", openedUnknown)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// effects are all kinds of requests with which a promotion changes something.
var effects = []string{
	"POST /repos/{owner}/{repo}/git/trees",
	"POST /repos/{owner}/{repo}/git/commits",
	"POST /repos/{owner}/{repo}/git/refs",
	"POST /repos/{owner}/{repo}/pulls",
	"POST /repos/{owner}/{repo}/issues/{number}/labels",
	"POST /repos/{owner}/{repo}/check-runs",
	"PATCH /repos/{owner}/{repo}/pulls/{number}",
	mergeRoute,
	"DELETE /repos/{owner}/{repo}/git/refs/{ref}",
	"POST /repos/{owner}/{repo}/deployments",
	"POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
	"POST /repos/{owner}/{repo}/issues/{number}/comments",
}

// faults are all ways in which GitHub lets a request down.
var faults = []githubsim.Fault{
	{Status: http.StatusInternalServerError},
	{Status: http.StatusBadGateway, AfterWork: true, Body: "<html>Unicorn!</html>", Header: http.Header{"Content-Type": {"text/html"}}},
	{DropAnswer: true}, // after the work, too
	{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
	{Status: http.StatusForbidden, Header: http.Header{"Retry-After": {"1"}},
		Body: `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/rest"}`},
}

// everyFault releases one version after the other, until every kind of request
// has met every fault: each release meets one at each kind of request, and not
// the same one everywhere.
func everyFault(s *scene) {
	before := len(s.w.GitHub.Requests())
	for round := range faults {
		for i, route := range effects {
			f := faults[(i+round)%len(faults)]
			f.Route, f.Times = route, 1
			f.Match = func(r githubsim.Request) bool { return r.App == "tagboat" }
			s.Cleanup(s.w.GitHub.Inject(f))
		}
		version := fmt.Sprintf("3.%d.0", 10+round)
		digest := s.release("shop", version)
		s.until(version+" is merged", func() error {
			_, err := s.w.isMerged("dev", "shop", version)
			return err
		})
		s.mergedOnce(s.done("dev", "shop", version, digest))
		s.mergedOnce(s.done("staging", "shop", version, digest))
	}
	struck := map[string]map[int]bool{}
	for _, r := range s.w.GitHub.Requests()[before:] {
		if r.App != "tagboat" {
			continue
		}
		if struck[r.Route] == nil {
			struck[r.Route] = map[int]bool{}
		}
		struck[r.Route][r.Status] = true
	}
	for _, route := range effects {
		for _, f := range faults {
			if !struck[route][f.Status] {
				s.Errorf("%s never met the fault %d", route, f.Status)
			}
		}
	}
}

// openedUnknown loses the answer to the opening of a pull request, and its webhook:
// whoever reviews it meanwhile has reviewed the commit that will be merged.
func openedUnknown(s *scene) {
	digest := s.release("shop", "3.20.0")
	s.done("staging", "shop", "3.20.0", digest)
	s.w.GitHub.SetHookPolicy(func(event, action string) githubsim.HookAction {
		if event == "pull_request" && action == "opened" {
			return githubsim.Drop
		}
		return githubsim.Deliver
	})
	defer s.w.GitHub.SetHookPolicy(nil)
	s.Cleanup(s.w.GitHub.Inject(githubsim.Fault{Route: "POST /repos/{owner}/{repo}/pulls", Times: 1, DropAnswer: true}))
	first := s.asked("prod", "shop", "3.20.0")
	s.approve(first.Number, "bob", "carol")
	s.checkSays(first.Number, "2 of 2 approvals")
	s.tickAll(first.Number)
	p := s.done("prod", "shop", "3.20.0", digest)
	if p.HeadSHA != first.HeadSHA {
		s.Errorf("#%d was reviewed at %s, and merged at %s", p.Number, first.HeadSHA, p.HeadSHA)
	}
}

// mergedOnce wants one commit of a pull request on main, and one check run of
// Tagboat's on its head, older ones included.
func (s *scene) mergedOnce(p githubsim.PullView) {
	s.Helper()
	log, err := s.w.GitHub.Log(envRepo, "main")
	s.must(err)
	commits := 0
	for _, c := range log {
		if strings.HasPrefix(c.Message, fmt.Sprintf("%s (#%d)", p.Title, p.Number)) {
			commits++
		}
	}
	var runs struct {
		CheckRuns []struct{ Name string } `json:"check_runs"`
	}
	s.read("alice", "commits/"+p.HeadSHA+"/check-runs?filter=all&per_page=100", &runs)
	checks := 0
	for _, r := range runs.CheckRuns {
		if r.Name == "tagboat" {
			checks++
		}
	}
	if commits != 1 || checks != 1 {
		s.Errorf("#%d has %d commits on main and %d check runs of Tagboat's on its head; want one of each", p.Number, commits, checks)
	}
}

// limitedWithoutHeaders has GitHub say 429 and nothing else to a merge: it wants
// a minute's patience, in which the App asks for nothing.
func (s *scene) limitedWithoutHeaders() func(s *scene) {
	s.w.GitHub.Inject(githubsim.Fault{
		Route: mergeRoute, Times: 1, Status: http.StatusTooManyRequests,
		Match: func(r githubsim.Request) bool { return r.Path == s.w.mergePath("tagboat/dev/shop") },
	})
	digest := s.release("shop", "3.1.0")
	p := s.opened("dev", "shop", "3.1.0")
	return func(s *scene) {
		s.until("it is merged", func() error {
			_, err := s.w.isMerged("dev", "shop", "3.1.0")
			return err
		})
		s.done("dev", "shop", "3.1.0", digest)
		merges := 0
		var limited time.Time
		for _, r := range s.w.GitHub.Requests() {
			// What was under way when the answer came may still arrive, on a busy machine late.
			if since := r.At.Sub(limited); r.App == "tagboat" && since > 5*time.Second && since < 55*time.Second && strings.HasPrefix(r.Path, "/repos/") {
				s.Errorf("%s %s was asked %s after the limit", r.Method, r.Path, since)
			}
			if r.Route == mergeRoute && strings.Contains(r.Path, fmt.Sprintf("/%d/", p.Number)) {
				merges++
			}
			if r.Status == http.StatusTooManyRequests {
				limited = r.At
			}
		}
		if merges != 2 {
			s.Errorf("%d merges were tried; a limit wants to be left alone", merges)
		}
	}
}

// mergePath is where the newest pull request of a branch is merged.
func (w *World) mergePath(branch string) (path string) {
	for _, p := range w.GitHub.Pulls(envRepo) {
		if p.HeadRef == branch {
			path = fmt.Sprintf("/repos/%s/pulls/%d/merge", envRepo, p.Number)
		}
	}
	return path
}

// lostWebhooks loses every webhook of a promotion's beginning; the sweep has them
// sent again.
func (s *scene) lostWebhooks() func(s *scene) {
	s.w.GitHub.SetHookPolicy(func(string, string) githubsim.HookAction { return githubsim.Drop })
	digest := s.release("catalog", "2.3.1")
	talk := s.issue()
	comment, err := s.as("alice").Comment(envRepo, talk, "/help")
	s.must(err)
	p := s.opened("dev", "catalog", "2.3.1")
	s.until("CI has reported", func() error {
		now, err := s.w.GitHub.Pull(envRepo, p.Number)
		if err == nil && len(now.Checks) < 3 {
			err = fmt.Errorf("there are %d checks", len(now.Checks))
		}
		return err
	})
	s.w.GitHub.SetHookPolicy(nil)
	return func(s *scene) {
		s.until("the comment is answered", func() error { return s.w.answered(talk, comment, "rocket", "| Command |") })
		s.done("dev", "catalog", "2.3.1", digest)
		s.done("staging", "catalog", "2.3.1", digest)
	}
}

// stopRegistry stops the registry; start brings it back at the same address, with
// the same images.
func (s *scene) stopRegistry() (start func()) {
	s.Helper()
	s.w.Registry.Stop()
	started := false
	start = func() {
		if !started {
			started = true
			s.must(s.w.startRegistry(context.Background(), s.w.Tagboat.URL()))
		}
	}
	s.Cleanup(start)
	return start
}

func registryDownWhileVerifying(s *scene) {
	start := s.stopRegistry()
	body, err := json.Marshal(map[string]string{"image": imageHost + "/payments", "tag": "1.20.0"})
	s.must(err)
	s.must(s.w.callback(s.ctx, body))
	s.until("the verification waits", func() error {
		n, err := s.w.count(s.ctx, `SELECT count(*) FROM river.river_job WHERE kind = 'verify' AND state IN ('available', 'retryable') AND attempt > 0`)
		if err == nil && n == 0 {
			err = errors.New("it does not")
		}
		return err
	})
	talk := s.issue()
	asked, err := s.as("alice").Comment(envRepo, talk, "/promote dev payments 1.20.0")
	s.must(err)
	start()
	digest, err := s.w.pushImage(s.ctx, "payments", "1.20.0", "1.20.0", "")
	s.must(err)
	s.done("dev", "payments", "1.20.0", digest)
	s.done("staging", "payments", "1.20.0", digest)
	s.until("alice gets her reaction", func() error {
		all, err := s.w.comments(talk)
		for _, c := range all {
			if c.ID == asked && len(c.Reactions) == 2 {
				return err
			}
		}
		return errors.Join(err, errors.New("she waits"))
	})
}

// registryDownWhileOpen stops the registry for the moment in which a pull request
// could be merged, and somebody asks for a newer version to take its place. It is
// asked again after a while, in which other things can happen.
func (s *scene) registryDownWhileOpen() func(s *scene) {
	number := s.asked("prod", "payments", "1.20.0").Number
	talk := s.issue()
	s.says("alice", talk, "/hold dev payments so that staging stays with 1.20.0", "rocket", "payments in dev is on hold")
	digest := s.release("payments", "1.20.1")
	s.opened("dev", "payments", "1.20.1")
	s.approve(number, "bob", "carol")
	s.checkSays(number, "2 of 2 approvals")
	start := s.stopRegistry()
	s.tickAll(number)
	s.checkSays(number, "Waiting for digest", "The registry could not be asked", "could not be reached", "Tagboat asks again by itself")
	s.boardSays("The registry could not be asked")

	// The commit for the newer one cannot be made yet. What was said of the older one
	// does not stay on the head meanwhile.
	s.says("alice", number, "/promote prod payments 1.20.1", "rocket", "goes into the pull request that is open already")
	s.checkSays(number, "The overlay changed on the base branch; the commit is being made anew")
	start()
	return func(s *scene) {
		s.until("1.20.1 is on the branch", func() error {
			_, err := s.w.isOpen("prod", "payments", "1.20.1")
			return err
		})
		s.says("alice", talk, "/unhold dev payments", "rocket", "not on hold any more")
		s.runs("staging", "payments", "1.20.1", digest)
		s.approve(number, "bob", "carol")
		s.tickAll(number)
		s.done("prod", "payments", "1.20.1", digest)
	}
}
