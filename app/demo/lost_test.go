package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/store"
)

// TestNobodyTells tells of a Tagboat that nobody tells anything: GitHub makes no
// webhook, the registry's notifications and CI's callbacks go nowhere. It finds out by
// itself, and what is told later changes nothing any more.
func TestNobodyTells(t *testing.T) {
	s := newScene(t, "TAGBOAT_GITHUB_POLL=2s", "TAGBOAT_REGISTRY_POLL=2s")
	s.deaf()
	told := s.listen()
	s.story("a version goes all the way to prod", unheardVersion)
	s.story("what people do on the way to prod", unheardPeople)
	s.story("everything is told later, and changes nothing", func(s *scene) { toldLate(s, told()) })
	s.story("a comment on an application's pull request", unheardSource)
	s.story("a tag that was moved", unheardMove)
	s.story("somebody's own pull request", unheardStranger)
	s.story("a database that was restored", restored)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// TestNobodyTellsOfGroups tells of a merge queue that wants something tested, and of a
// Tagboat that has to ask what.
func TestNobodyTellsOfGroups(t *testing.T) {
	s := newScene(t, "TAGBOAT_GITHUB_POLL=2s", "TAGBOAT_REGISTRY_POLL=2s")
	queue := s.w.ci.protection
	queue.MergeQueue = true
	s.must(s.w.GitHub.Protect(envRepo, "main", queue))
	s.deaf()
	digest := s.pushed("shop", "3.1.0")
	s.done("dev", "shop", "3.1.0", digest)
	s.done("staging", "shop", "3.1.0", digest)
}

// deaf has nobody tell Tagboat anything.
func (s *scene) deaf() {
	s.Helper()
	s.w.GitHub.SetHookPolicy(func(string, string) githubsim.HookAction { return githubsim.Forget })
	s.w.Registry.Stop()
	s.must(s.w.startRegistry(context.Background(), "http://127.0.0.1:1"))
	s.idle()
}

// listen keeps what GitHub would have told.
func (s *scene) listen() (told func() []githubsim.Event) {
	var mu sync.Mutex
	var events []githubsim.Event
	s.w.GitHub.OnEvent(func(e githubsim.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	})
	return func() []githubsim.Event {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(events)
	}
}

// pushed has somebody push a version, of which nobody tells.
func (s *scene) pushed(app, version string) (digest string) {
	s.Helper()
	commit, err := s.as("alice").Push(org+"/"+app, "main", "Release "+version, map[string]string{"VERSION": version + "\n"})
	s.must(err)
	digest, err = s.w.pushImage(s.ctx, app, version, version, commit)
	s.must(err)
	return digest
}

func unheardVersion(s *scene) {
	digest := s.pushed("payments", "1.7.0")
	s.done("dev", "payments", "1.7.0", digest)
	p := s.done("staging", "payments", "1.7.0", digest)
	s.must(s.w.pins("staging", "payments", Version{Tag: "1.7.0", Digest: digest}))
	s.mergedOnce(p)
}

func unheardPeople(s *scene) {
	staging, err := s.w.isMerged("staging", "payments", "1.7.0")
	s.must(err)
	running, err := s.w.Running(s.ctx)
	s.must(err)
	s.says("oscar", staging.Number, "/promote prod", "confused") // outsiders get no words
	s.says("alice", staging.Number, "/promote prod", "rocket")
	number := s.opened("prod", "payments", "1.7.0").Number
	s.approve(number, "alice", "bob", "carol")
	s.checkSays(number, "2 of 2 approvals", "alice asked for this promotion", "0 of 2 ticked")
	s.tickAll(number)
	p := s.done("prod", "payments", "1.7.0", running["staging"]["payments"].Digest)
	s.mergedOnce(p)
	s.must(s.w.database(s.ctx, func(db *store.Store) error { return approvedBy(s.ctx, db, number, "alice", "bob", "carol") }))
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM tick WHERE actor = 'bob' AND checked`); err != nil || n != 2 {
		s.Errorf("%d ticks of bob's are recorded, want 2; %v", n, err)
	}
}

// toldLate tells everything that has happened, under names of its own.
func toldLate(s *scene, events []githubsim.Event) {
	s.idle() // what GitHub shows Tagboat writes down a moment later
	before := s.effects()
	told := 0
	for i, e := range events {
		if e.Repo == "" || e.Name == "issues" { // of installations; not subscribed to
			continue
		}
		s.tell(e.Name, fmt.Sprintf("late-%d", i), e.Payload)
		told++
	}
	if told < 50 {
		s.Errorf("only %d events are told late", told)
	}
	s.idle()
	if after := s.effects(); after != before {
		s.Errorf("what was told late has changed something:\nbefore %s\nafter  %s", before, after)
	}
	s.must(s.w.atRest(s.ctx))
}

// effects is what Tagboat has recorded of people, and done about it.
func (s *scene) effects() string {
	s.Helper()
	var text string
	for _, count := range []string{
		"command", "review", "tick", "request", "promotion", "artifact",
		"audit WHERE action NOT IN ('body', 'observed', 'check run')",
	} {
		n, err := s.w.count(s.ctx, "SELECT count(*) FROM "+count)
		s.must(err)
		text += fmt.Sprintf("%s: %d; ", count, n)
	}
	for _, p := range s.w.GitHub.Pulls(envRepo) {
		text += fmt.Sprintf("#%d %s %s, %d comments, %d reviews, %d deployments; ", p.Number, p.State, p.HeadSHA, len(p.Comments), len(p.Reviews), len(p.Deployments))
	}
	return text
}

// unheardSource asks for prod where the application was changed.
func unheardSource(s *scene) {
	const catalog = org + "/catalog"
	alice := s.as("alice")
	_, err := alice.Push(catalog, "faster", "Be faster", map[string]string{"FASTER": "yes\n"})
	s.must(err)
	number, err := alice.OpenPull(catalog, "faster", "main", "Be faster", "")
	s.must(err)
	merged, err := alice.MergePull(catalog, number, "squash")
	s.must(err)
	digest, err := s.w.pushImage(s.ctx, "catalog", "2.3.1", "2.3.1", merged)
	s.must(err)
	s.done("staging", "catalog", "2.3.1", digest)
	s.until("Tagboat listens there", func() error {
		n, err := s.w.count(s.ctx, `SELECT count(*) FROM poll WHERE kind = 'comments' AND subject = $1`, catalog)
		if err == nil && n == 0 {
			err = errors.New("it does not")
		}
		return err
	})
	_, err = alice.Comment(catalog, number, "/promote prod")
	s.must(err)
	s.must(alice.ClosePull(envRepo, s.opened("prod", "catalog", "2.3.1").Number))
	s.until("Tagboat sees that it was closed", func() error { return s.w.atRest(s.ctx) })
}

// unheardMove pushes other content under the newest tag.
func unheardMove(s *scene) {
	moved, err := s.w.pushImage(s.ctx, "payments", "1.7.0", "something else", "")
	s.must(err)
	s.boardSays(moved)
	for _, env := range environments {
		s.must(s.w.pins(env, "payments", Version{Tag: "1.7.0", Digest: s.ledger("payments", "1.7.0")}))
	}
}

// ledger is the digest that the tag ledger has of a tag.
func (s *scene) ledger(app, tag string) (digest string) {
	s.Helper()
	s.must(s.w.database(s.ctx, func(db *store.Store) error {
		a, err := db.ArtifactByTag(s.ctx, imageHost+"/"+app, tag)
		digest = a.Digest
		return err
	}))
	return digest
}

// unheardStranger opens a pull request that is not Tagboat's.
func unheardStranger(s *scene) {
	_, err := s.as("alice").Push(envRepo, "words", "Words", map[string]string{"README.md": "# Words\n"})
	s.must(err)
	number, err := s.as("alice").OpenPull(envRepo, "words", "main", "Words", "")
	s.must(err)
	s.until("it gets its check", func() error {
		p, err := s.w.GitHub.Pull(envRepo, number)
		if err == nil && ownCheck(p).Concluded != "success" {
			err = errors.New("it has none")
		}
		return err
	})
	s.must(s.as("alice").ClosePull(envRepo, number))
}

// restored takes from the database what has arrived, as a backup from before would.
func restored(s *scene) {
	s.w.GitHub.SetHookPolicy(nil)
	_, err := s.as("alice").Comment(envRepo, s.issue(), "Hello!")
	s.must(err)
	const arrived = `FROM delivery WHERE source = 'github' AND event = 'issue_comment' AND delivery_id NOT LIKE 'late-%'`
	here := func() error {
		n, err := s.w.count(s.ctx, "SELECT count(*) "+arrived)
		if err == nil && n == 0 {
			err = errors.New("it is not here")
		}
		return err
	}
	s.until("the comment's webhook arrives", here)
	s.idle()
	s.must(s.w.asOwner(s.ctx, "DELETE "+arrived))
	s.until("it arrives again", here)
}
