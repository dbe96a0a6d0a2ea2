package worker

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

// unheard is a worker with a database and a GitHub that tells it nothing, and a time
// that passes when a test says so. A pull request of the worker's is open.
type unheard struct {
	*testing.T
	*Worker
	sim    *githubsim.Server
	door   *github.Repo
	repo   store.Repo
	promo  int64
	number int
	head   string

	mu    sync.Mutex
	now   time.Time     // for less than an hour: then GitHub's tokens end
	later time.Duration // by how much the worker's time is later still
}

const unheardDigest = "sha256:" + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func newUnheard(t *testing.T) *unheard {
	t.Helper()
	t.Parallel() // each has a database and a GitHub of its own
	u := &unheard{T: t, now: time.Now().UTC().Truncate(time.Second)}
	var err error
	u.sim, err = githubsim.New(githubsim.Options{Dir: t.TempDir(), Now: u.clock})
	u.must(err)
	server := httptest.NewServer(u.sim)
	t.Cleanup(func() { u.must(u.sim.Close()); server.Close() })
	u.sim.SetURL(server.URL)
	u.sim.AddOrg("acme")
	for _, login := range []string{"alice", "bob"} {
		u.sim.AddUser(login, login)
	}
	u.must(u.sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "env", Files: map[string]string{"prod.yaml": "newTag: 1.6.0\n"},
		Collaborators: map[string]string{"alice": "write", "bob": "write"}}))
	app, err := u.sim.AddApp(githubsim.AppSpec{Slug: "tagboat", Name: "Tagboat", Owner: "acme", Permissions: map[string]string{
		"contents": "write", "pull_requests": "write", "issues": "write", "checks": "write", "statuses": "write", "metadata": "read",
	}})
	u.must(err)
	installation, err := u.sim.Install(app.ID, "acme", "env")
	u.must(err)
	door, err := github.New(github.Config{APIURL: server.URL + "/api/v3/", GitURL: server.URL, AppID: app.ID, PrivateKey: app.PrivateKey, Now: u.clock})
	u.must(err)
	u.Worker = New(Config{
		Store: storetest.OpenWith(t, store.Options{Now: u.clock}), GitHub: door, Mirrors: t.TempDir(),
		Polls: Polls{GitHub: 2 * time.Minute}, Now: func() time.Time { return u.clock().Add(u.later) }, Log: slog.New(slog.DiscardHandler),
	})
	u.repo, err = u.Store.SeeRepo(t.Context(), store.SeenRepo{GitHubID: 7, Owner: "acme", Name: "env", Installation: installation, DefaultBranch: "main"}, reconcileJob)
	u.must(err)
	u.door = u.Worker.repo(u.repo)
	u.open()
	u.look() // the first look finds out where things stand
	return u
}

func (u *unheard) clock() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.now
}

func (u *unheard) pass(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now = u.now.Add(d)
}

func (u *unheard) must(err error) {
	u.Helper()
	if err != nil {
		u.Fatal(err)
	}
}

// commit makes a commit of the worker's, on main.
func (u *unheard) commit(tag string) store.Commit {
	u.Helper()
	base, err := u.door.Branch(u.Context(), "main")
	u.must(err)
	head, err := u.door.Commit(u.Context(), github.CommitRequest{Parent: base, BaseTree: base, Message: tag, Files: []github.File{
		{Path: "prod.yaml", Content: []byte("newTag: " + tag + "\n")}}})
	u.must(err)
	c := store.Commit{HeadSHA: head, BaseSHA: base, EditHash: "edit", Digest: unheardDigest}
	u.must(u.Store.KeepHead(u.Context(), u.promo, c))
	return c
}

func (u *unheard) open() {
	u.Helper()
	a, err := u.Store.Ledger(u.Context(), store.Verified{Image: "registry.example.com/payments", Tag: "1.7.0", Digest: unheardDigest, MediaType: "m", Platforms: []string{"linux/amd64"}})
	u.must(err)
	out, err := u.Store.Propose(u.Context(), store.Proposal{Repo: u.repo.ID, App: "payments", Env: "prod", Artifact: a.ID, Branch: "tagboat/prod/payments", BaseBranch: "main"}, reconcileJob)
	u.must(err)
	u.promo = out.Promotion.ID
	c := u.commit("1.7.0")
	u.must(u.door.CreateBranch(u.Context(), "tagboat/prod/payments", c.HeadSHA))
	body := bodyOf(unheardDigest, false, false)
	p, err := u.door.OpenPull(u.Context(), github.NewPull{Branch: "tagboat/prod/payments", Base: "main", Title: "payments 1.7.0", Body: body})
	u.must(err)
	u.must(u.Store.RecordOpened(u.Context(), out.Promotion, c, store.Opened{Number: p.Number, URL: p.URL, Body: body, BodyHash: "hash"}))
	u.number, u.head = p.Number, c.HeadSHA
}

// move makes the pull request's commit anew.
func (u *unheard) move() {
	u.Helper()
	_, err := u.sim.As("alice").Push("acme/env", "main", "Something else", map[string]string{"other": fmt.Sprint(u.clock())})
	u.must(err)
	c := u.commit("1.7.0")
	u.must(u.door.MoveBranch(u.Context(), "tagboat/prod/payments", u.head, c.HeadSHA))
	u.must(u.Store.RecordRegenerated(u.Context(), u.row(), c))
	u.head = c.HeadSHA
}

func (u *unheard) row() store.Promotion {
	u.Helper()
	p, err := u.Store.Promotion(u.Context(), u.promo)
	u.must(err)
	return p
}

// look lets a poll come round.
func (u *unheard) look() {
	u.Helper()
	u.pass(2 * time.Minute)
	u.must(u.missed(u.Context(), &river.Job[job.Missed]{Args: job.Missed{Repo: u.repo.ID}}))
	u.must(u.overheard(u.Context(), &river.Job[job.Overheard]{Args: job.Overheard{Owner: "acme", Name: "env", Number: 7, Installation: u.repo.InstallationID}}))
}

func (u *unheard) approve(login string) {
	u.Helper()
	_, err := u.sim.As(login).Review("acme/env", u.number, "APPROVE", "")
	u.must(err)
}

// approvals are the recorded ones, each as "login commit".
func (u *unheard) approvals() (all []string) {
	u.Helper()
	reviews, err := u.Store.Reviews(u.Context(), u.promo)
	u.must(err)
	for _, r := range reviews {
		all = append(all, strings.TrimSpace(r.Reviewer+" "+r.HeadSHA))
	}
	return all
}

func (u *unheard) wantApprovals(want ...string) {
	u.Helper()
	if got := u.approvals(); !slices.Equal(got, want) {
		u.Errorf("the approvals are %q, want %q", got, want)
	}
}

// count asks the database for a number.
func (u *unheard) count(sql string) (n int) {
	u.Helper()
	u.must(u.Store.Pool().QueryRow(u.Context(), sql).Scan(&n))
	return n
}

// Whatever the number of open pull requests: while nothing happens, a look at a
// repository is two questions that cost nothing.
func TestALookAtNothingNewIsFree(t *testing.T) {
	u := newUnheard(t)
	u.look()
	u.look()
	before := len(u.sim.Requests())
	u.look()
	asked := u.sim.Requests()[before:]
	if len(asked) != 2 || asked[0].Status != http.StatusNotModified || asked[1].Status != http.StatusNotModified {
		t.Errorf("it asked %+v", asked)
	}
}

func TestAnApprovalThatNobodyTold(t *testing.T) {
	u := newUnheard(t)
	u.approve("bob")
	u.look()
	first := u.head
	u.wantApprovals("bob " + first)
	u.look()
	u.wantApprovals("bob " + first)

	// The head moves on; what was seen stays what it was.
	u.pass(time.Minute)
	u.approve("alice")
	u.pass(10 * time.Second)
	u.move()
	u.look()
	u.wantApprovals("bob "+first, "alice "+first)
}

// An approval in the very second in which the head moved may be for either commit. Its
// webhook is waited for, and then it has to be given again.
func TestAnApprovalOfNobodyKnowsWhat(t *testing.T) {
	u := newUnheard(t)
	u.approve("bob")
	u.move()
	u.look()
	u.wantApprovals()
	u.pass(doubtfulAfter)
	u.must(u.sim.As("alice").EditPullTitle("acme/env", u.number, "Look again"))
	u.look()
	u.wantApprovals("bob")

	u.approve("bob")
	u.look()
	u.wantApprovals("bob", "bob "+u.head)
}

// GitHub moves a review along with an update of the branch: that proves nothing.
func TestAnApprovalThatWasMovedAlong(t *testing.T) {
	u := newUnheard(t)
	u.approve("bob")
	_, err := u.sim.As("alice").Push("acme/env", "main", "Something else", map[string]string{"other": "x"})
	u.must(err)
	u.pass(10 * time.Second)
	u.must(u.sim.As("alice").UpdateBranch("acme/env", u.number))
	u.pass(doubtfulAfter)
	u.look()
	u.wantApprovals("bob")
	if p := u.row(); p.SeenHeadSHA == u.head {
		t.Error("the head that is not Tagboat's was not seen")
	}
}

func TestATickThatNobodyTold(t *testing.T) {
	u := newUnheard(t)
	u.must(u.sim.As("bob").Tick("acme/env", u.number, "dashboards"))
	// Before it is known of, the description is rendered anew for another reason.
	u.pass(time.Minute)
	_, err := u.door.EditPull(u.Context(), u.number, github.PullEdit{Body: new(bodyOf(unheardDigest, false, false))})
	u.must(err)
	u.look()
	ticks, err := u.Store.Ticks(u.Context(), u.promo)
	u.must(err)
	if len(ticks) != 1 || ticks[0].Item != "dashboards" || !ticks[0].Checked || ticks[0].Actor != "bob" || ticks[0].ActorID == 0 {
		t.Errorf("recorded are %+v", ticks)
	}
	wakes := u.row().Want
	u.must(u.sim.As("bob").EditPullTitle("acme/env", u.number, "Look again"))
	u.look()
	if n := u.count("SELECT count(*) FROM tick"); n != 1 {
		t.Errorf("%d ticks are recorded after the next look, want 1", n)
	}
	if now := u.row().Want; now != wakes {
		t.Errorf("the promotion was woken %d times more for nothing", now-wakes)
	}
}

func TestAnEndThatNobodyTold(t *testing.T) {
	u := newUnheard(t)
	u.must(u.sim.As("alice").ClosePull("acme/env", u.number))
	u.look()
	if p := u.row(); p.PullState != "closed" {
		t.Errorf("the pull request is %s", p.PullState)
	}
}

// A check is asked about while it is waited for, and more and more rarely.
func TestAChecksResultThatNobodyTold(t *testing.T) {
	u := newUnheard(t)
	observe := func(verdict string) {
		u.must(u.Store.Observe(u.Context(), u.row(), unheardDigest, []store.Observed{{Gate: "checks", Verdict: verdict, Reason: verdict}}, true))
	}
	observe("wait")
	u.must(u.sim.As("alice").SetStatus("acme/env", u.head, "lint", "success"))
	u.look()
	known, err := u.Store.Checks(u.Context(), u.repo.ID, u.head)
	u.must(err)
	if len(known) != 1 || known[0].Name != "lint" || known[0].Conclusion != "success" {
		t.Errorf("known are %+v", known)
	}
	asked := func() (n int) {
		for _, r := range u.sim.Requests() {
			if strings.HasSuffix(r.Path, "/check-runs") {
				n++
			}
		}
		return n
	}
	before := asked()
	for range 20 {
		u.look()
	}
	if n := asked() - before; n < 4 || n > 12 {
		t.Errorf("in forty minutes it was asked about %d times", n)
	}
	observe("pass")
	before = asked()
	u.look()
	if n := asked() - before; n != 0 {
		t.Error("a check that has passed is asked about")
	}
}

// A comment is obeyed once, whoever tells of it first; one that was edited, or that is
// old, is not.
func TestCommentsThatNobodyTold(t *testing.T) {
	u := newUnheard(t)
	alice := u.sim.As("alice")
	edited, err := alice.Comment("acme/env", u.number, "/hold")
	u.must(err)
	u.pass(10 * time.Second)
	u.must(alice.EditComment("acme/env", edited, "/promote prod"))
	heard, err := alice.Comment("acme/env", u.number, "/help")
	u.must(err)
	u.look()
	u.look()
	_, err = u.commented(u.Context(), store.Delivery{}, github.CommentCreated{
		Repo: github.RepoRef{Owner: "acme", Name: "env", ID: 7, InstallationID: u.repo.InstallationID}, Number: u.number, IsPull: true, CommentID: heard, Body: "/help",
		Author: github.User{ID: 1, Login: "alice"}, At: u.clock(),
	})
	u.must(err)
	if n := u.count("SELECT count(*) FROM command"); n != 1 {
		t.Errorf("%d commands are kept, want 1", n)
	}
	if n := u.count(fmt.Sprintf("SELECT count(*) FROM command WHERE comment_id = %d AND is_pull AND author = 'alice'", heard)); n != 1 {
		t.Error("it is not the one that was not edited")
	}
	_, err = alice.Comment("acme/env", u.number, "/unhold")
	u.must(err)
	u.later = heeded
	u.look()
	if n := u.count("SELECT count(*) FROM command"); n != 1 {
		t.Errorf("a command of yesterday is obeyed")
	}
}

// A delivery that comes after a day, or is sent again then, asks for nothing any more.
func TestACommandThatIsToldTooLate(t *testing.T) {
	u := newUnheard(t)
	told := func(comment int64, at time.Time) string {
		u.Helper()
		outcome, err := u.commented(u.Context(), store.Delivery{}, github.CommentCreated{
			Repo: github.RepoRef{Owner: "acme", Name: "env", ID: 7, InstallationID: u.repo.InstallationID}, Number: u.number, IsPull: true, CommentID: comment, Body: "/rollback prod",
			Author: github.User{ID: 1, Login: "alice"}, At: at,
		})
		u.must(err)
		return outcome
	}
	if got := told(1, u.clock().Add(-heeded-time.Second)); got != "too old to be obeyed" || u.count("SELECT count(*) FROM command") != 0 {
		t.Errorf("a command of yesterday: %q", got)
	}
	if got := told(2, u.clock().Add(-time.Hour)); got != "command" || u.count("SELECT count(*) FROM command WHERE said_at = received_at - interval '1 hour'") != 1 {
		t.Errorf("a command of an hour ago: %q", got)
	}
}

// What was just said is left to its webhook, and looked at next time.
func TestACommentWhoseWebhookMayBeOnTheWay(t *testing.T) {
	u := newUnheard(t)
	u.look()
	u.pass(2 * time.Minute)
	_, err := u.sim.As("alice").Comment("acme/env", u.number, "/help")
	u.must(err)
	u.pass(-2 * time.Minute) // look passes them
	u.look()
	if n := u.count("SELECT count(*) FROM command"); n != 0 {
		t.Error("it is not waited for")
	}
	u.look()
	if n := u.count("SELECT count(*) FROM command WHERE delivery_id IS NULL AND said_at = received_at - interval '2 minutes'"); n != 1 {
		t.Error("it was not looked at the next time")
	}
}

// When a comment was written counts, and not how it became known.
func TestWhenACommandWasSaid(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for said, want := range map[time.Duration]time.Duration{-time.Hour: -time.Hour + time.Second, -time.Second: 0, 0: 0, time.Minute: 0} {
		if got := saidAt(store.Command{SaidAt: now.Add(said), ReceivedAt: now}); !got.Equal(now.Add(want)) {
			t.Errorf("said %s from now: %s", said, got)
		}
	}
}

// A look that fails half-way goes on where it was, and one pull request that cannot be
// read does not keep the others from being looked at.
func TestALookThatFails(t *testing.T) {
	u := newUnheard(t)
	u.approve("bob")
	remove := u.sim.Inject(githubsim.Fault{Route: "GET /repos/{owner}/{repo}/pulls/{number}/reviews", Status: http.StatusBadGateway})
	u.pass(2 * time.Minute)
	look := &river.Job[job.Missed]{Args: job.Missed{Repo: u.repo.ID}}
	if err := u.missed(u.Context(), look); err == nil {
		t.Error("GitHub failed, and the look did not")
	}
	remove()
	u.must(u.missed(u.Context(), look))
	u.wantApprovals("bob " + u.head)

	u.approve("alice")
	remove = u.sim.Inject(githubsim.Fault{Route: "GET /repos/{owner}/{repo}/pulls/{number}/reviews", Status: http.StatusForbidden})
	u.look()
	remove()
	if due, err := u.Store.DuePolls(u.Context(), store.PollPulls, []string{"acme/env"}); err != nil || len(due) != 0 {
		t.Errorf("what no retry can mend is tried at once: %+v, %v", due, err)
	}
}

// What a merge queue wants tested is asked for, once.
func TestAGroupThatNobodyTold(t *testing.T) {
	u := newUnheard(t)
	u.must(u.sim.Protect("acme/env", "main", githubsim.Protection{MergeQueue: true, RequiredChecks: []githubsim.RequiredCheck{{Context: CheckName, AppID: u.GitHub.ID()}}}))
	_, err := u.door.CreateCheck(u.Context(), github.CheckRun{Name: CheckName, HeadSHA: u.head, Status: "completed", Conclusion: "success"})
	u.must(err)
	pull, err := u.door.Pull(u.Context(), u.number)
	u.must(err)
	u.must(u.door.Enqueue(u.Context(), pull, u.head))
	u.must(u.Store.Merge(u.Context(), u.repo.ID, "prod", func(m store.Merging) error { return m.Queued(u.Context(), u.row(), store.Grounds{}) }))
	u.look()
	main, err := u.door.Branch(u.Context(), "main")
	u.must(err)
	queued, err := u.Store.Queued(u.Context(), u.promo)
	u.must(err)
	if queued.GroupSHA == "" || queued.GroupBase != main {
		t.Errorf("the queue is seen as %+v; main is %s", queued, main)
	}
	wakes := u.row().Want
	u.look()
	if now := u.row().Want; now != wakes {
		t.Error("a group that is known wakes the promotion")
	}
}
