package demo

import (
	"fmt"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestMergeQueue tells of an env repo whose main is merged by GitHub's merge queue.
// The queue merges by itself what has its checks, so Tagboat's own check on what it
// tests is where the gates are asked for the last time.
func TestMergeQueue(t *testing.T) {
	s := newScene(t)
	queue := s.w.ci.protection
	queue.MergeQueue = true
	s.must(s.w.GitHub.Protect(envRepo, "main", queue))
	s.story("what passes every gate goes through the queue", throughTheQueue)
	s.story("a freeze while the queue tests it", frozenInTheQueue)
	s.story("a person's pull request goes through the same queue", strangerInTheQueue)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

func throughTheQueue(s *scene) {
	digest := s.release("payments", "1.7.0")
	p := s.done("dev", "payments", "1.7.0", digest)
	s.done("staging", "payments", "1.7.0", digest)
	if p.MergedBy != "tagboat[bot]" {
		s.Errorf("#%d was merged by %s", p.Number, p.MergedBy)
	}
	s.must(s.w.checkSays(p.Number, "In GitHub's merge queue since"))
	for _, r := range s.w.GitHub.Requests() {
		if r.Route == mergeRoute {
			s.Error("Tagboat tried to merge past the queue")
		}
	}
	log, err := s.w.GitHub.Log(envRepo, "main")
	s.must(err)
	if log[0].SHA == p.MergeCommitSHA { // staging's came after it
		s.Errorf("main stands at %s, which is dev's", log[0].SHA)
	}
}

// frozenInTheQueue: CI takes its time with the group, and meanwhile somebody
// freezes the environment. Tagboat's check has said yes to the group by then.
func frozenInTheQueue(s *scene) {
	running, err := s.w.Running(s.ctx)
	s.must(err)
	digest := running["staging"]["payments"].Digest
	p := s.asked("prod", "payments", "1.7.0")
	slow := make(chan string, 1)
	s.w.ci.judge(func(e githubsim.Event, check string) string {
		if e.Name == "merge_group" && check == "lint" {
			slow <- e.SHA
			return "" // for now
		}
		return "success"
	})
	defer s.w.ci.judge(nil)
	s.approve(p.Number, "bob", "carol")
	s.checkSays(p.Number, "2 of 2 approvals")
	s.tickAll(p.Number)
	group := <-slow
	s.until("Tagboat says yes to the group", func() error { return s.groupConcluded(group, "success") })

	talk := s.issue()
	s.says("bob", talk, "/freeze prod the auditors are here", "rocket")
	s.until("Tagboat takes that back", func() error { return s.groupConcluded(group, "failure") })
	s.must(s.w.GitHub.CompleteCheck(s.w.ci.app, envRepo, group, "lint", "success"))
	s.checkSays(p.Number, "the auditors are here", "took it out of the merge queue")
	if now, err := s.w.GitHub.Pull(envRepo, p.Number); err != nil || now.Merged {
		s.Errorf("#%d was merged into a frozen environment: %v", p.Number, err)
	}
	backIntoTheQueue := func() {
		s.must(s.w.asOwner(s.ctx, "UPDATE queued SET left_at = left_at - interval '10 minutes'"))
		s.says("bob", talk, "/thaw prod", "rocket")
	}

	// GitHub tells once more of the group that is gone, and Tagboat does not take it for
	// the one that is there.
	backIntoTheQueue()
	gone := group
	group = <-slow
	s.until("Tagboat says yes to the next group", func() error { return s.groupConcluded(group, "success") })
	s.toldAgain("merge_group", "payload->>'action' = 'checks_requested' AND payload->'merge_group'->>'head_sha' = '"+gone+"'")
	s.says("bob", talk, "/freeze prod the auditors are back", "rocket")
	s.until("Tagboat takes that back, too", func() error { return s.groupConcluded(group, "failure") })
	s.must(s.w.GitHub.CompleteCheck(s.w.ci.app, envRepo, group, "lint", "success"))
	s.checkSays(p.Number, "the auditors are back", "took it out of the merge queue")

	s.w.ci.judge(nil)
	backIntoTheQueue()
	s.done("prod", "payments", "1.7.0", digest)
}

func strangerInTheQueue(s *scene) {
	_, err := s.as("bob").Push(envRepo, "docs", "Say more", map[string]string{"README.md": "More.\n"})
	s.must(err)
	pr, err := s.as("bob").OpenPull(envRepo, "docs", "main", "Say more", "")
	s.must(err)
	s.checkSays(pr, "Not a promotion")
	s.until("CI has checked it", func() error {
		p, err := s.w.GitHub.Pull(envRepo, pr)
		if err == nil && len(p.Blockers) > 0 {
			err = fmt.Errorf("%v", p.Blockers)
		}
		return err
	})
	s.must(s.as("bob").Enqueue(envRepo, pr))
	s.until("it is merged", func() error {
		p, err := s.w.GitHub.Pull(envRepo, pr)
		if err == nil && !p.Merged {
			err = fmt.Errorf("#%d is %s", pr, p.State)
		}
		return err
	})
}

// groupConcluded wants Tagboat's one check run on a merge queue's group.
func (s *scene) groupConcluded(sha, conclusion string) error {
	var runs struct {
		CheckRuns []struct{ Name, Conclusion string } `json:"check_runs"`
	}
	s.read("alice", "commits/"+sha+"/check-runs?filter=all&per_page=100", &runs)
	found := []string{}
	for _, r := range runs.CheckRuns {
		if r.Name == "tagboat" {
			found = append(found, r.Conclusion)
		}
	}
	if len(found) != 1 || found[0] != conclusion {
		return fmt.Errorf("it concludes %v, want %s", found, conclusion)
	}
	return nil
}
