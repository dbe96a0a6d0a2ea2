package worker

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/githubsim/openapi"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

// talk is an issue of an env repo, with a worker that answers what is said there: GitHub
// and PostgreSQL, and neither a registry nor a cluster.
type talk struct {
	*testing.T
	sim    *githubsim.Server
	worker *Worker
	repo   string // of the issue or pull request that is talked on
	issue  int
	said   chan github.CommentCreated // as the webhooks tell it
	images *registrytest.Registry     // nil where there is none
}

const talkedAbout = `apiVersion: tagboat.dev/v1
environments:
  - {name: dev, clusters: [dev]}
  - {name: prod, clusters: [prod], override: {users: [bob, carol]}, commands: {promote: {role: maintain}, freeze: {teams: [sre], users: [alice]}, unhold: {role: admin, teams: [sre]}}}
`

func newTalk(t *testing.T, private bool) *talk {
	t.Helper()
	ctx := context.Background()
	pg, err := localpg.Start(ctx, localpg.Options{})
	must(t, err)
	t.Cleanup(pg.Stop)
	must(t, pg.CreateDatabase(ctx, "talk", ""))
	db, err := store.Open(ctx, pg.URL("talk"), store.Options{})
	must(t, err)
	t.Cleanup(db.Close)
	judge, err := openapi.Load(ctx, "")
	must(t, err)
	sim, err := githubsim.New(githubsim.Options{Dir: t.TempDir()})
	must(t, err)
	server := httptest.NewServer(judge.Wrap(sim, func(err error) { t.Errorf("GitHub's description: %v", err) }))
	t.Cleanup(func() { sim.Close(); server.Close() })
	sim.SetURL(server.URL)
	sim.AddOrg("acme")
	for _, login := range []string{"alice", "bob", "carol", "erin", "oscar"} {
		sim.AddUser(login, login)
	}
	sim.AddTeam("acme", "sre", "bob")
	files := map[string]string{"tagboat.yaml": talkedAbout}
	for _, pair := range []string{"payments/overlays/dev", "payments/overlays/prod", "shop/overlays/prod"} {
		app, _, _ := strings.Cut(pair, "/")
		files["apps/"+pair+"/kustomization.yaml"] = fmt.Sprintf("images:\n  - {name: %s, newName: registry.example.com/%s, newTag: 1.0.0}\n", app, app)
	}
	must(t, sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "env", Private: private, Files: files,
		Collaborators: map[string]string{"alice": "write", "bob": "write", "carol": "admin", "erin": "read"}}))
	app, err := sim.AddApp(githubsim.AppSpec{Slug: "tagboat", Name: "Tagboat", Owner: "acme",
		Permissions: map[string]string{"contents": "write", "issues": "write", "pull_requests": "write", "members": "read", "checks": "write", "deployments": "write"}})
	must(t, err)
	installation, err := sim.Install(app.ID, "acme", "env")
	must(t, err)
	hub, err := github.New(github.Config{APIURL: server.URL + "/api/v3/", GitURL: server.URL, AppID: app.ID, PrivateKey: app.PrivateKey})
	must(t, err)
	number, err := hub.Repo(installation, "acme", "env").Number(ctx)
	must(t, err)
	_, err = db.SeeRepo(ctx, store.SeenRepo{GitHubID: number, Owner: "acme", Name: "env", Installation: installation, DefaultBranch: "main"}, reconcileJob)
	must(t, err)
	w := New(Config{Store: db, GitHub: hub, EnvRepos: selection(t, "acme/env"), Mirrors: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	issue, err := sim.As("alice").OpenIssue("acme/env", "Talk", "")
	must(t, err)
	k := &talk{T: t, sim: sim, worker: w, repo: "acme/env", issue: issue, said: make(chan github.CommentCreated, 100)}
	sim.OnEvent(func(e githubsim.Event) {
		event, err := github.Decode(e.Name, e.Payload)
		if said, ok := event.(github.CommentCreated); ok && err == nil {
			k.said <- said
		}
	})
	return k
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says has somebody comment, and the worker answer: with a reaction, and words that
// contain all parts; without parts there must be none.
func (k *talk) says(login, body, reaction string, parts ...string) {
	k.Helper()
	id, err := k.sim.As(login).Comment(k.repo, k.issue, body)
	must(k.T, err)
	k.answer(id)
	var reactions, answers []string
	for _, c := range k.comments() {
		if c.ID == id {
			for _, r := range c.Reactions {
				reactions = append(reactions, r.Content)
			}
		}
		if strings.Contains(c.Body, fmt.Sprintf("<!-- tagboat:reply %d -->", id)) {
			answers = append(answers, c.Body)
		}
	}
	if !slices.Equal(reactions, []string{"eyes", reaction}) || len(answers) != min(1, len(parts)) {
		k.Errorf("%s says %q: the reactions are %v, the answers %q", login, body, reactions, answers)
		return
	}
	for _, part := range parts {
		if !strings.Contains(answers[0], part) {
			k.Errorf("%s says %q: the answer does not say “%s”: %s", login, body, part, answers[0])
		}
	}
}

func (k *talk) comments() (all []githubsim.CommentView) {
	for _, i := range k.sim.Issues(k.repo) {
		all = append(all, i.Comments...)
	}
	for _, p := range k.sim.Pulls(k.repo) {
		all = append(all, p.Comments...)
	}
	return all
}

// answer has the worker work on a comment, twice: the queue may give it the job again.
func (k *talk) answer(comment int64) {
	k.Helper()
	ctx := k.Context()
	var id int64
	said := <-k.said
	for said.CommentID != comment { // Tagboat's own
		said = <-k.said
	}
	repo, err := k.worker.Store.RepoByName(ctx, "acme", "env")
	must(k.T, err)
	must(k.T, k.worker.Store.RecordCommand(ctx, store.NewCommand{
		Owner: said.Repo.Owner, Repo: said.Repo.Name, Installation: repo.InstallationID, Number: said.Number, IsPull: said.IsPull, Comment: said.CommentID, Body: said.Body,
		Author: store.Actor{ID: said.Author.ID, Login: said.Author.Login}, SaidAt: said.At,
	}, func(command int64) river.JobArgs { id = command; return job.Answer{Command: command} }))
	for range 2 {
		must(k.T, k.worker.answer(ctx, &river.Job[job.Answer]{Args: job.Answer{Command: id}}))
	}
}

func TestWhoMayCommandWhere(t *testing.T) {
	k := newTalk(t, true)
	t.Run("whoever can read a private repository may ask", func(*testing.T) {
		k.says("erin", "/help", "rocket", "`/status [env] [app]`", "more, for people who may do more here")
		k.says("erin", "/status", "confused", "No cluster is known to run anything.")
		k.says("erin", "/promote nowhere", "confused", "Only people with write permission on acme/env can use /promote; erin has “read”. Ask one of them.")
		k.says("erin", "/hold nowhere nothing", "confused", "Only people with write permission on acme/env can use /hold;")
	})
	t.Run("tagboat.yaml keeps a verb to some people", func(*testing.T) {
		k.says("alice", "/promote prod payments", "confused", "In prod only people with maintain permission can use /promote, says tagboat.yaml; alice cannot. Ask one of them.")
		k.says("bob", "/freeze prod", "rocket")
		k.says("carol", "/freeze prod", "confused", "In prod only team sre and alice can use /freeze, says tagboat.yaml; carol cannot.")
		k.says("carol", "/freeze all", "confused", "In prod only team sre and alice can use /freeze")
		k.says("carol", "/freeze dev", "rocket")
		k.says("alice", "/help", "rocket", "For you only in dev.")
		k.says("alice", "/thaw prod\n/thaw dev", "rocket")
		k.says("alice", "/thaw prod", "confused", "prod is not frozen.")
	})
	t.Run("a yes to a deletion is for those who break the glass", func(*testing.T) {
		k.says("alice", "/prune-ok prod payments 3f9a2c", "confused", "In prod only bob and carol can use /prune-ok, says tagboat.yaml; alice cannot. Ask one of them.")
		k.says("carol", "/prune-ok prod payments 3f9a2c", "confused", "Nothing of payments in prod waits for a yes to be deleted.")
		k.says("alice", "/prune-ok dev payments 3f9a2c", "confused", "Nothing of payments in dev waits for a yes to be deleted.")
	})
	t.Run("what GitHub says now counts", func(*testing.T) {
		k.sim.RemoveTeamMember("acme", "sre", "bob")
		k.says("bob", "/freeze prod", "confused", "In prod only team sre and alice can use /freeze")
		must(t, k.sim.SetRole("acme/env", "alice", "read"))
		k.says("alice", "/freeze prod", "confused", "Only people with write permission on acme/env can use /freeze; alice has “read”.")
		must(t, k.sim.SetRole("acme/env", "alice", "write"))
	})
	t.Run("a hold by name", func(*testing.T) {
		k.says("alice", "/hold prod payments until noon", "rocket", "payments in prod is on hold (“until noon”). `/unhold prod payments` lifts that.")
		k.says("alice", "/hold dev it is slow", "rocket", "payments in dev is on hold (“it is slow”).")
		k.says("alice", "/hold prod", "confused", "Which app? Write /hold prod &lt;app&gt;; the apps of prod are: payments, shop.")
		k.says("bob", "/unhold prod payments", "confused", "In prod only people with admin permission and team sre can use /unhold")
		k.says("carol", "/unhold prod payments", "rocket", "payments in prod is not on hold any more.")
	})
	t.Run("while tagboat.yaml cannot be used, what stops works", func(*testing.T) {
		_, err := k.sim.As("carol").Push("acme/env", "main", "Break it", map[string]string{"tagboat.yaml": "environments: 7\n"})
		must(t, err)
		k.worker.bases.heads = map[branchKey]head{}
		k.says("alice", "/freeze prod", "rocket")
		k.says("carol", "/thaw prod", "confused", "Who may use /thaw is not known while tagboat.yaml cannot be used")
		k.says("alice", "/help", "rocket", "/promote")
	})
}

func TestWhatIsAskedOnceIsAnsweredOnce(t *testing.T) {
	k := newTalk(t, false)
	// Everybody in the world can read a public repository; whoever can do no more gets no
	// words, and does not hear what there is.
	for _, body := range []string{"/help", "/status", "/promote nowhere", "/promote", "/promte prod", "/explain prod payments"} {
		k.says("erin", body, "confused")
		k.says("oscar", body, "confused")
	}
	k.says("alice", "/promte prod\n/promt dev", "confused", "`/promte prod`: There is no command /promte; did you mean /promote?")
	k.says("alice", "/promte prod", "confused")
	k.says("bob", "/promte prod", "confused", "did you mean /promote?")
	k.says("alice", "/statu\n/help", "confused", "did you mean /status?", "| Command |")

	// A comment that was deleted before it was worked on asks for nothing.
	id, err := k.sim.As("alice").Comment("acme/env", k.issue, "/freeze prod")
	must(t, err)
	must(t, k.sim.As("alice").DeleteComment("acme/env", id))
	k.answer(id)
	stops, err := k.worker.Store.Stops(t.Context(), store.Scope{Owner: "acme", Repo: 1, Env: "prod"})
	if err != nil || len(stops) > 0 {
		t.Errorf("what was deleted was obeyed: %+v, %v", stops, err)
	}
}

// Whoever merged a change to an application commands from there, as what they are on the
// env repo; and a public repository hears nothing of a private one.
func TestCommandsOnTheSource(t *testing.T) {
	k := newTalk(t, true)
	ctx := t.Context()
	must(t, k.sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "payments", Private: true, Collaborators: map[string]string{"alice": "write", "oscar": "admin"}}))
	must(t, k.sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "open", Collaborators: map[string]string{"alice": "write", "erin": "write"}}))
	_, err := k.sim.Install(k.worker.GitHub.ID(), "acme", "env", "payments", "open")
	must(t, err)
	merge := func(repo string) (number int, sha string) {
		_, err := k.sim.As("alice").Push(repo, "faster", "Be faster", map[string]string{"fast": "yes\n"})
		must(t, err)
		number, err = k.sim.As("alice").OpenPull(repo, "faster", "main", "Be faster", "")
		must(t, err)
		k.repo, k.issue = repo, number
		k.says("alice", "/promote dev", "confused", "This pull request is not merged, so nothing was built from it")
		sha, err = k.sim.As("alice").MergePull(repo, number, "squash")
		must(t, err)
		k.says("alice", "/status", "confused", "No verified image is known to be built from "+sha[:12])
		_, err = k.worker.Store.Ledger(ctx, store.Verified{
			Image: "registry.example.com/payments", Tag: sha[:7], Digest: "sha256:" + strings.Repeat(sha[:1], 64), SourceRepo: repo, SourceCommit: sha,
		})
		must(t, err)
		return number, sha
	}
	merge("acme/payments")
	k.says("alice", "/promote dev", "rocket")
	k.says("alice", "/hold prod not before noon", "rocket", "payments in prod is on hold (“not before noon”).")
	k.says("alice", "/promote prod", "confused", "In prod only people with maintain permission can use /promote")
	k.says("oscar", "/promote dev", "confused", "Only people with write permission on acme/env can use /promote; oscar has “none”.")
	k.says("oscar", "/status", "confused", "Only people with read permission on acme/env can use /status")
	merge("acme/open")
	k.says("alice", "/hold dev", "confused", "Everybody can read this, and not everybody can read the env repo. Comment there.")
	k.says("oscar", "/promote dev", "confused")
	// Not even which one that is, or what is wrong with it.
	told := func() (all string) {
		for _, c := range k.comments() {
			if strings.Contains(c.Body, "tagboat:reply") {
				all += c.Body
			}
		}
		return all
	}
	before := told()
	k.says("erin", "/promote dev", "confused", "Everybody can read this, and not everybody can read the env repo. Comment there.")
	_, err = k.sim.As("carol").Push("acme/env", "main", "Break it", map[string]string{"tagboat.yaml": "environments: 7\n"})
	must(t, err)
	k.worker.bases.heads = map[branchKey]head{}
	k.says("alice", "/promote dev", "confused", "An env repo cannot be used, and everybody can read this. Comment in the env repo.")
	if after := strings.TrimPrefix(told(), before); strings.Contains(after, "acme/env") {
		t.Errorf("it is told in public: %s", after)
	}
}

// who is somebody as GitHub tells of them.
func (k *talk) who(login string) github.User {
	k.Helper()
	id, err := k.sim.As(login).Comment(k.repo, k.issue, "Hello")
	must(k.T, err)
	said := <-k.said
	for said.CommentID != id {
		said = <-k.said
	}
	return said.Author
}

// closedPull is a promotion to production whose pull request somebody closed, and that
// is open again.
func (k *talk) closedPull() store.Promotion {
	k.Helper()
	ctx, db := k.Context(), k.worker.Store
	repo, err := db.RepoByName(ctx, "acme", "env")
	must(k.T, err)
	digest := "sha256:" + strings.Repeat("a", 64)
	a, err := db.Ledger(ctx, store.Verified{Image: "registry.example.com/payments", Tag: "1.1.0", Digest: digest, MediaType: "m", Platforms: []string{"linux/amd64"}})
	must(k.T, err)
	out, err := db.Propose(ctx, store.Proposal{Repo: repo.ID, App: "payments", Env: "prod", Artifact: a.ID, Branch: "tagboat/prod/payments", BaseBranch: "main"}, reconcileJob)
	must(k.T, err)
	head, err := k.sim.As("alice").Push("acme/env", "tagboat/prod/payments", "payments 1.1.0", map[string]string{"new": "1.1.0\n"})
	must(k.T, err)
	number, err := k.sim.As("alice").OpenPull("acme/env", "tagboat/prod/payments", "main", "payments 1.1.0", "")
	must(k.T, err)
	c := store.Commit{HeadSHA: head, BaseSHA: head, EditHash: "edit", Digest: digest}
	must(k.T, db.KeepHead(ctx, out.Promotion.ID, c))
	must(k.T, db.RecordOpened(ctx, out.Promotion, c, store.Opened{Number: number}))
	p, err := db.PromotionByPull(ctx, repo.ID, number)
	must(k.T, err)
	must(k.T, db.RecordClosedBy(ctx, p, store.Closing{By: store.Actor{ID: 1, Login: "bob"}, Owner: "acme"}))
	p, err = db.PromotionByPull(ctx, repo.ID, number)
	must(k.T, err)
	return p
}

// Opening a pull request again asks for its promotion, and is no way around what
// tagboat.yaml says of who may.
func TestReopeningIsAskingAgain(t *testing.T) {
	k := newTalk(t, false)
	p := k.closedPull()
	for _, by := range []struct{ login, want string }{
		{"erin", "reopened by somebody who may not ask for that: Only people with write permission on acme/env can use /promote; erin has “read”."},
		{"alice", "reopened by somebody who may not ask for that: In prod only people with maintain permission can use /promote, says tagboat.yaml; alice cannot."},
		{"carol", "reopened, and so asked for again"},
	} {
		got, err := k.worker.reopened(t.Context(), store.Delivery{}, p, github.PullChanged{Number: int(p.PullNumber), Action: "reopened", Sender: k.who(by.login)})
		if err != nil || !strings.HasPrefix(got, by.want) {
			t.Errorf("%s reopens it: %q, %v", by.login, got, err)
		}
	}
	if again, err := k.worker.Store.LatestPromotion(t.Context(), p.RepoID, p.App, p.Env); err != nil || again.Requester != "carol" {
		t.Errorf("it is %+v now, %v", again, err)
	}
}

// Also where no webhook told that it was opened again; and not where nobody did.
func TestAReopeningThatNobodyTold(t *testing.T) {
	k := newTalk(t, false)
	ctx := t.Context()
	p := k.closedPull()
	repo, err := k.worker.Store.Repo(ctx, p.RepoID)
	must(t, err)
	look := func(want string) {
		t.Helper()
		pull, err := k.worker.repo(repo).Pull(ctx, int(p.PullNumber))
		must(t, err)
		must(t, k.worker.missedPull(ctx, repo, pull))
		if last, err := k.worker.Store.LatestPromotion(ctx, repo.ID, p.App, p.Env); err != nil || last.Requester != want {
			t.Errorf("it is %q who asks, want %q (%v)", last.Requester, want, err)
		}
	}
	look("") // it is closed here, and not yet on GitHub
	must(t, k.sim.As("bob").ClosePull(k.repo, int(p.PullNumber)))
	look("")
	must(t, k.sim.As("carol").ReopenPull(k.repo, int(p.PullNumber)))
	look("carol")
	look("carol")
	promotions, err := k.worker.Store.ActivePromotionsOf(ctx, repo.ID)
	if err != nil || len(promotions) != 1 {
		t.Errorf("%d promotions are active, %v", len(promotions), err)
	}
}
