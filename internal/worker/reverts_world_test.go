package worker

import (
	"context"
	"crypto/rand"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

// backAndForth is an env repo in which payments came to prod as 1.1.0 by way of Tagboat,
// and had 1.0.0 before.
type backAndForth struct {
	*talk
	env       store.Repo
	good, bad store.Artifact
	brought   string // the commit that brought 1.1.0
}

const paymentsProd = "apps/payments/overlays/prod/kustomization.yaml"

func newBackAndForth(t *testing.T) *backAndForth {
	t.Helper()
	b := &backAndForth{talk: newTalk(t, false)}
	pool := render.NewPool(render.Options{Workers: 1})
	t.Cleanup(func() { must(t, pool.Close()) })
	b.worker.Render = render.NewCache(pool, renderingsKept)
	var err error
	b.env, err = b.worker.Store.RepoByName(t.Context(), "acme", "env")
	must(t, err)
	b.good, b.bad = b.artifact("1.0.0", "a"), b.artifact("1.1.0", "b")
	b.brought = b.pins("alice", "Bring 1.1.0", "1.1.0")
	p := b.open(store.Proposal{Artifact: b.bad.ID}, 90, strings.Repeat("1", 40))
	must(t, b.worker.Store.Merge(t.Context(), p.RepoID, p.Env, func(m store.Merging) error {
		return m.Merged(t.Context(), p, store.Actor{}, b.brought, store.Grounds{}, syncJob)
	}))
	return b
}

func (b *backAndForth) artifact(tag, digit string) store.Artifact {
	b.Helper()
	a, err := b.worker.Store.Ledger(b.Context(), store.Verified{Image: "registry.example.com/payments", Tag: tag, Digest: "sha256:" + strings.Repeat(digit, 64), MediaType: "m"})
	must(b.T, err)
	return a
}

// pins has somebody push an overlay that pins a tag.
func (b *backAndForth) pins(login, message, tag string) (commit string) {
	b.Helper()
	return b.push(login, message, "images:\n  - {name: payments, newName: registry.example.com/payments, newTag: "+tag+"}\n")
}

func (b *backAndForth) push(login, message, overlay string) (commit string) {
	b.Helper()
	commit, err := b.sim.As(login).Push(b.repo, "main", message, map[string]string{paymentsProd: overlay})
	must(b.T, err)
	return commit
}

// open is a promotion of payments in prod whose pull request is open.
func (b *backAndForth) open(in store.Proposal, number int, head string) store.Promotion {
	b.Helper()
	ctx := b.Context()
	in.Repo, in.App, in.Env, in.Branch, in.BaseBranch = b.env.ID, "payments", "prod", "tagboat/prod/payments", "main"
	out, err := b.worker.Store.Propose(ctx, in, reconcileJob)
	must(b.T, err)
	c := store.Commit{HeadSHA: head, BaseSHA: strings.Repeat("0", 40), EditHash: "edit", Digest: unheardDigest, OldTag: "1.0.0"}
	must(b.T, b.worker.Store.KeepHead(ctx, out.Promotion.ID, c))
	must(b.T, b.worker.Store.RecordOpened(ctx, out.Promotion, c, store.Opened{Number: number, Body: "body", BodyHash: "hash"}))
	return b.row(out.Promotion.ID)
}

func (b *backAndForth) row(id int64) store.Promotion {
	b.Helper()
	p, err := b.worker.Store.Promotion(b.Context(), id)
	must(b.T, err)
	return p
}

// surveyed has the worker look for what people took back since a commit.
func (b *backAndForth) surveyed(since string) {
	b.Helper()
	ctx := b.Context()
	_, err := b.worker.bases.fresh(ctx, b.env, "")
	must(b.T, err)
	uses, err := b.worker.usesIn(ctx, b.env, func(p envrepo.Pair) bool { return p.Env == "prod" && p.App == "payments" })
	must(b.T, err)
	last := b.env
	last.Surveyed = since + " prod@" + since
	must(b.T, b.worker.reverted(ctx, last, uses))
}

// denials are what payments may not get in prod.
func (b *backAndForth) denials() []store.Denial {
	b.Helper()
	denials, err := b.worker.Store.Denials(b.Context(), b.env.ID, "payments", "prod")
	must(b.T, err)
	return denials
}

// denied wants 1.1.0, and nothing else, to be on the denylist.
func (b *backAndForth) denied(by string) {
	b.Helper()
	if d := b.denials(); len(d) != 1 || d[0].Digest != b.bad.Digest || d[0].Actor != by {
		b.Errorf("denied are %+v, want 1.1.0, by %q", d, by)
	}
}

// A conversation may be locked: what people took back is denied all the same.
func TestARevertThatNobodyCanBeToldOf(t *testing.T) {
	b := newBackAndForth(t)
	_, err := b.sim.As("bob").Push(b.repo, "revert", "Revert", map[string]string{paymentsProd: "images:\n  - {name: payments, newName: registry.example.com/payments, newTag: 1.0.0}\n"})
	must(t, err)
	number, err := b.sim.As("bob").OpenPull(b.repo, "revert", "main", "It returns errors", "")
	must(t, err)
	_, err = b.sim.As("bob").MergePull(b.repo, number, "squash")
	must(t, err)
	b.sim.Inject(githubsim.Fault{Route: "POST /repos/{owner}/{repo}/issues/{number}/comments", Status: http.StatusForbidden})
	b.surveyed(b.brought)
	b.denied("bob")
}

// goingBack is a rollback of bob's to 1.0.0 in a pull request that is open.
func (b *backAndForth) goingBack() store.Promotion {
	b.Helper()
	return b.openPull(store.Proposal{Artifact: b.good.ID, Requester: store.Actor{ID: 2, Login: "bob"}, Reason: "it returns errors", Back: &store.NewRollback{
		BadTag: "1.1.0", BadDigest: b.bad.Digest, Reason: "it returns errors", Reverts: []string{b.brought},
	}})
}

// openPull is a promotion whose pull request GitHub knows as well.
func (b *backAndForth) openPull(in store.Proposal) store.Promotion {
	b.Helper()
	ctx, door := b.Context(), b.worker.repo(b.env)
	main, err := door.Branch(ctx, "main")
	must(b.T, err)
	head, err := door.Commit(ctx, github.CommitRequest{Parent: main, BaseTree: main, Message: "Tagboat's", Files: []github.File{{Path: "head", Content: []byte(in.Reason)}}})
	must(b.T, err)
	must(b.T, door.CreateBranch(ctx, "tagboat/prod/payments", head))
	pull, err := door.OpenPull(ctx, github.NewPull{Branch: "tagboat/prod/payments", Base: "main", Title: "payments", Body: "body"})
	must(b.T, err)
	return b.open(in, pull.Number, head)
}

// Whoever asks for a rollback and does not know of the last one does not want two. When a
// comment was said GitHub tells in whole seconds, within which a rollback may have come to
// its end: then it counts when Tagboat heard of it, and whether it asked for that one.
func TestARollbackWithinTheSecondOfAnother(t *testing.T) {
	b := newBackAndForth(t)
	ctx := t.Context()
	var asked store.Command
	_, err := b.worker.Store.Accept(ctx, store.Arrival{Source: store.SourceGitHub, DeliveryID: "comment", Event: "issue_comment", Body: []byte("{}")}, func(id int64) river.JobArgs {
		asked.DeliveryID = &id
		return job.Deliver{Delivery: id}
	})
	must(t, err)
	must(t, b.worker.Store.RecordCommand(ctx, store.NewCommand{Owner: "acme", Repo: "env", Number: b.issue, Comment: 7, Body: "/rollback prod", Author: store.Actor{ID: 2, Login: "bob"}, Delivery: *asked.DeliveryID}, func(id int64) river.JobArgs {
		asked.ID = id
		return job.Answer{Command: id}
	}))
	p := b.open(store.Proposal{Artifact: b.good.ID, Requester: store.Actor{ID: 2, Login: "bob"}, Delivery: *asked.DeliveryID, Back: &store.NewRollback{
		BadTag: "1.1.0", BadDigest: b.bad.Digest, Reason: "it returns errors", Reverts: []string{b.brought},
	}}, 91, strings.Repeat("2", 40))
	must(t, b.worker.Store.Merge(ctx, p.RepoID, p.Env, func(m store.Merging) error {
		return m.Merged(ctx, p, store.Actor{}, strings.Repeat("3", 40), store.Grounds{}, syncJob)
	}))
	uses, err := b.worker.usesNow(ctx, b.env, "prod", func(u envrepo.Pair) bool { return u.Env == "prod" && u.App == "payments" })
	must(t, err)
	merged := *b.row(p.ID).MergedAt
	second := merged.Truncate(time.Second)
	for name, c := range map[string]struct {
		command      store.Command
		said, heard  time.Time
		wantsNothing bool
	}{
		"said after it":                         {said: second, heard: merged.Add(100 * time.Millisecond)},
		"heard of before it":                    {said: second, heard: merged.Add(-time.Millisecond), wantsNothing: true},
		"said before it, and heard of hours on": {said: second.Add(-time.Minute), heard: merged.Add(time.Hour), wantsNothing: true},
		"the one that asked for it":             {command: asked, said: second, heard: merged.Add(100 * time.Millisecond), wantsNothing: true},
	} {
		c.command.SaidAt, c.command.ReceivedAt = c.said, c.heard
		if done, err := b.worker.takenBackSince(ctx, uses[0], "registry.example.com/payments", c.command); err != nil || (done != "") != c.wantsNothing {
			t.Errorf("a comment that was %s is told %q, %v", name, done, err)
		}
	}
}

// closes has somebody close the pull request of a promotion, and the worker find it closed.
func (b *backAndForth) closes(login string, p store.Promotion) store.Promotion {
	b.Helper()
	ctx := b.Context()
	must(b.T, b.sim.As(login).ClosePull(b.repo, int(p.PullNumber)))
	return b.foundClosed(ctx, p)
}

func (b *backAndForth) foundClosed(ctx context.Context, p store.Promotion) store.Promotion {
	b.Helper()
	b.worker.bases.heads = map[branchKey]head{}
	l, err := b.worker.look(ctx, p.ID, false)
	must(b.T, err)
	must(b.T, b.worker.recordClosed(ctx, l, "The pull request was closed without merging."))
	return b.row(p.ID)
}

// What closing means may be unsayable, and the branch may have to stay: nothing is tried
// again and again.
func TestAClosedPullRequestThatNothingCanBeDoneAbout(t *testing.T) {
	b := newBackAndForth(t)
	p := b.closes("carol", b.goingBack())
	if p.State != "closed" || p.ClosedBy != "carol" {
		t.Fatalf("it is %s by %q", p.State, p.ClosedBy)
	}
	b.sim.Inject(githubsim.Fault{Route: "POST /repos/{owner}/{repo}/issues/{number}/comments", Status: http.StatusForbidden})
	b.sim.Inject(githubsim.Fault{Route: "DELETE /repos/{owner}/{repo}/git/refs/{ref}", Status: http.StatusUnprocessableEntity})
	l, err := b.worker.look(t.Context(), p.ID, false)
	must(t, err)
	must(t, b.worker.deleteBranch(t.Context(), l))
	must(t, b.worker.tellClosed(t.Context(), l))
	if left, err := b.worker.Store.Leftovers(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left are %+v, %v", left, err)
	}
}

// Whoever goes back by hand, and then closes the rollback that has nothing left to do, has
// gone back.
func TestARevertBesideARollbackThatIsClosed(t *testing.T) {
	b := newBackAndForth(t)
	p := b.goingBack()
	b.pins("carol", "Go back", "1.0.0")
	b.surveyed(b.brought)
	if d := b.denials(); len(d) != 0 {
		t.Errorf("while the rollback is open, %+v are denied", d)
	}
	if p = b.closes("carol", p); p.State != "closed" || p.ClosedBy != "" {
		t.Errorf("it is %s by %q", p.State, p.ClosedBy)
	}
	b.denied("bob")
}

// Whoever reopens a rollback asks for a rollback; and what is denied does not come back
// that way.
func TestAReopenedRollback(t *testing.T) {
	b := newBackAndForth(t)
	ctx := t.Context()
	reopens := func(p store.Promotion) (string, store.Promotion) {
		t.Helper()
		must(t, b.sim.As("carol").ReopenPull(b.repo, int(p.PullNumber)))
		outcome, err := b.worker.reopened(ctx, store.Delivery{}, p, github.PullChanged{
			Number: int(p.PullNumber), Sender: github.User{ID: p.ClosedByID, Login: "carol"},
		})
		must(t, err)
		latest, err := b.worker.Store.LatestPromotion(ctx, b.env.ID, "payments", "prod")
		must(t, err)
		return outcome, latest
	}
	first := b.closes("carol", b.goingBack())
	_, again := reopens(first)
	if again.ID == first.ID || again.Kind != store.KindRollback || again.Requester != "carol" {
		t.Fatalf("asked for is %+v", again)
	}
	was, err := b.worker.Store.Rollback(ctx, first.ID)
	must(t, err)
	is, err := b.worker.Store.Rollback(ctx, again.ID)
	must(t, err)
	was.PromotionID, was.At = is.PromotionID, is.At
	if !reflect.DeepEqual(was, is) {
		t.Errorf("it takes back %+v, not %+v", is, was)
	}
}

func TestAReopenedPromotionOfWhatIsDenied(t *testing.T) {
	b := newBackAndForth(t)
	b.pins("bob", "Go back", "1.0.0")
	b.surveyed(b.brought)
	b.denied("bob")
	p := b.closes("carol", b.openPull(store.Proposal{Artifact: b.bad.ID}))
	must(t, b.sim.As("carol").ReopenPull(b.repo, int(p.PullNumber)))
	outcome, err := b.worker.reopened(t.Context(), store.Delivery{}, p, github.PullChanged{
		Number: int(p.PullNumber), Sender: github.User{ID: p.ClosedByID, Login: "carol"},
	})
	if err != nil || !strings.Contains(outcome, "/allow prod payments 1.1.0") {
		t.Errorf("it says %q, %v", outcome, err)
	}
	if latest, err := b.worker.Store.LatestPromotion(t.Context(), b.env.ID, "payments", "prod"); err != nil || latest.ID != p.ID {
		t.Errorf("what is denied was proposed: %+v, %v", latest, err)
	}
}

// An overlay that is broken for a while does not hide that it came back with an older
// version: within what one survey finds, and from one survey to the next.
func TestARevertByWayOfABrokenOverlay(t *testing.T) {
	for name, between := range map[string]bool{"within a survey": false, "between two surveys": true} {
		t.Run(name, func(t *testing.T) {
			b := newBackAndForth(t)
			since := b.brought
			broken := b.push("bob", "Break it", "images: [\n")
			b.push("bob", "Look at it", "images: [\n")
			if between {
				b.surveyed(since)
				since = broken
			}
			b.pins("bob", "Mend it", "1.0.0")
			b.surveyed(since)
			b.denied("bob")
		})
	}
}

// While the overlay cannot be read, what was taken back before is found all the same.
func TestARevertBeforeABrokenOverlay(t *testing.T) {
	b := newBackAndForth(t)
	b.pins("bob", "Go back", "1.0.0")
	b.push("carol", "Break it", "images: [\n")
	b.surveyed(b.brought)
	b.denied("bob")
}

// A branch that was rewritten shows that a version was taken back, and not by whom.
func TestARevertByNobodyKnowsWhom(t *testing.T) {
	b := newBackAndForth(t)
	b.pins("bob", "Go back", "1.0.0")
	for range mostRead {
		b.push("bob", "Something else", "images:\n  - {name: payments, newName: registry.example.com/payments, newTag: 1.0.0}\n# "+rand.Text()+"\n")
	}
	b.surveyed(b.brought)
	b.denied("")
	if reason := b.denials()[0].Reason; !strings.HasPrefix(reason, "found between "+b.brought[:12]+" and ") {
		t.Errorf("the reason is %q", reason)
	}
}

// A pull request that carol closes as that of a promotion does not take bob's rollback with
// it, which has taken it over before its closing was known: it gets another one.
func TestARollbackInAPullRequestThatWasClosedBefore(t *testing.T) {
	b := newBackAndForth(t)
	ctx := t.Context()
	older := b.openPull(store.Proposal{Artifact: b.artifact("1.2.0", "c").ID})
	must(t, b.sim.As("carol").ClosePull(b.repo, int(older.PullNumber)))
	out, err := b.worker.Store.Propose(ctx, store.Proposal{
		Repo: b.env.ID, App: "payments", Env: "prod", Artifact: b.good.ID, Requester: store.Actor{ID: 2, Login: "bob"}, Reason: "it returns errors",
		Branch: older.Branch, BaseBranch: "main", Back: &store.NewRollback{BadTag: "1.1.0", BadDigest: b.bad.Digest, Reason: "it returns errors", Reverts: []string{b.brought}},
	}, reconcileJob)
	must(t, err)
	if out.Promotion.PullNumber != older.PullNumber {
		t.Fatalf("it did not take over #%d: %+v", older.PullNumber, out.Promotion)
	}
	pull, err := b.worker.repo(b.env).Pull(ctx, int(older.PullNumber))
	must(t, err)
	must(t, b.worker.Store.SawPull(ctx, out.Promotion.ID, seenPull(pull)))
	if p := b.foundClosed(ctx, b.row(out.Promotion.ID)); p.State != "proposed" || p.PullNumber != 0 || p.ClosedBy != "" || p.Want <= out.Promotion.Want {
		t.Errorf("it is %s in #%d, closed by %q, wanted %d times", p.State, p.PullNumber, p.ClosedBy, p.Want)
	}
	stops, err := b.worker.Store.Stops(ctx, store.Scope{Owner: "acme", Repo: b.env.ID, Env: "prod", App: "payments"})
	if err != nil || len(stops) != 0 {
		t.Errorf("the stops are %+v, %v", stops, err)
	}
}
