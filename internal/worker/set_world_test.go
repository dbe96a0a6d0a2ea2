package worker

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	images "github.com/google/go-containerregistry/pkg/registry"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: APP}
spec:
  selector: {matchLabels: {app: APP}}
  template:
    metadata: {labels: {app: APP}}
    spec: {containers: [{name: APP, image: APP}]}
`

// provenTogether is a talk with a registry and a renderer, in which dev has proven 1.1.0 of
// payments and of shop.
func provenTogether(t *testing.T) (k *talk, digests map[string]string) {
	t.Helper()
	k = newTalk(t, false)
	ctx, db := t.Context(), k.worker.Store
	server := httptest.NewServer(images.New(images.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	at := server.Listener.Addr().String()
	k.images = registrytest.At(at)
	k.worker.Registry = registry.New(registry.Config{Endpoints: []registry.Endpoint{{Host: "registry.example.com", API: at, Insecure: true}}})
	pool := render.NewPool(render.Options{Workers: 1})
	t.Cleanup(func() { must(t, pool.Close()) })
	k.worker.Render = render.NewCache(pool, renderingsKept)
	files, digests := map[string]string{}, map[string]string{}
	var targets []store.NewTarget
	for _, app := range []string{"payments", "shop"} {
		dir := "apps/" + app + "/overlays/prod/"
		for _, tag := range []string{"1.0.0", "1.1.0"} {
			digest, err := k.images.Push(ctx, app, tag, registrytest.Content{Seed: app + tag})
			must(t, err)
			digests[app+" "+tag] = digest
		}
		files[dir+"kustomization.yaml"] = fmt.Sprintf("resources: [deployment.yaml]\nimages:\n  - {name: %s, newName: registry.example.com/%s, newTag: 1.0.0, digest: %q}\n", app, app, digests[app+" 1.0.0"])
		files[dir+"deployment.yaml"] = strings.ReplaceAll(deployment, "APP", app)
		targets = append(targets, store.NewTarget{App: app, Env: "dev", Cluster: "dev", Branch: "main"})
	}
	_, err := k.sim.As("carol").Push("acme/env", "main", "Deployments", files)
	must(t, err)
	must(t, db.KeepTargets(ctx, k.envRepo().ID, "a", targets, syncJob))
	for _, app := range []string{"payments", "shop"} {
		a, err := k.worker.known(ctx, "registry.example.com/"+app, "1.1.0")
		must(t, err)
		of, err := db.TargetsOfPair(ctx, k.envRepo().ID, app, "dev")
		must(t, err)
		must(t, db.FinishSync(ctx, of[0], 0, store.Reached{Commit: "a", Image: a.Image, Tag: a.Tag, Digest: a.Digest, State: store.TargetHealthy}, afterSync()))
	}
	return k, digests
}

// moves does what a promotion's job does, until it rests, and gives the effects.
func (k *talk) moves(id int64) (effects []promotion.Effect) {
	k.Helper()
	ctx := k.Context()
	for range 30 {
		l, err := k.worker.look(ctx, id, false)
		must(k.T, err)
		d := promotion.Decide(l.facts, l.shown, k.worker.Now())
		must(k.T, k.worker.observe(ctx, l, d.Gates))
		must(k.T, k.worker.observeCompanions(ctx, l, d.Gates))
		if d.Effect == promotion.Rest {
			return effects
		}
		effects = append(effects, d.Effect)
		if err := k.worker.perform(ctx, l, d); err != nil {
			k.Fatalf("%s: %v (after %v)", d.Effect, err, effects)
		}
	}
	k.Fatalf("it does not come to rest: %v", effects)
	return nil
}

func (k *talk) pulls() (all []githubsim.PullView) { return k.sim.Pulls("acme/env") }

func (k *talk) newest(env string) (all []store.Promotion) {
	k.Helper()
	for _, app := range []string{"payments", "shop"} {
		p, err := k.worker.Store.LatestPromotion(k.Context(), k.envRepo().ID, app, env)
		must(k.T, err)
		all = append(all, p)
	}
	return all
}

// One acts for all: one commit, one pull request, one merge, one way back.
func TestASetIsMergedByOneCommitAndComesBackByOne(t *testing.T) {
	k, digests := provenTogether(t)
	ctx := t.Context()
	text, err := k.asksFor(nil)
	if err != nil || !strings.Contains(text, "go to prod together") {
		t.Fatalf("asked for: %q, %v", text, err)
	}
	set := k.newest("prod")
	// Whoever looks at the one that rests first does nothing.
	if effects := k.moves(set[1].ID); len(effects) != 0 {
		t.Errorf("the other acts: %v", effects)
	}
	shop := store.Scope{Owner: "acme", Repo: k.envRepo().ID, Env: "prod", App: "shop"}
	carol := store.Actor{ID: 1, Login: "carol"}
	must(t, k.worker.Store.Stop(ctx, store.NewStop{Scope: shop, Reason: "the stock is counted", By: carol}, reconcileJob))
	if effects := k.moves(set[0].ID); slices.Contains(effects, promotion.Merge) || !slices.Contains(effects, promotion.OpenPull) {
		t.Errorf("while shop is on hold: %v", effects)
	}
	p := k.pulls()[0]
	files := []string{"apps/payments/overlays/prod/kustomization.yaml", "apps/shop/overlays/prod/kustomization.yaml"}
	slices.Sort(p.Files)
	if len(k.pulls()) != 1 || len(p.Commits) != 1 || !slices.Equal(p.Files, files) || p.Title != "prod: payments and shop from dev" {
		t.Errorf("the pull request is %+v", p)
	}
	for _, part := range []string{"| payments | `1.0.0` | `1.1.0` | `" + digests["payments 1.1.0"], "| shop | `1.0.0` | `1.1.0` | `" + digests["shop 1.1.0"], "shop: stopped"} {
		if !strings.Contains(p.Body, part) {
			t.Errorf("the description lacks “%s”:\n%s", part, p.Body)
		}
	}
	explained, err := k.worker.explainPromotion(ctx, set[0].ID)
	if err != nil || !strings.Contains(explained, "shop waits for stopped.") {
		t.Errorf("payments is explained by %s, %v", explained, err)
	}
	_, err = k.worker.Store.Lift(ctx, shop, carol, 0, reconcileJob)
	must(t, err)
	must(t, k.worker.Store.KeepTargets(t.Context(), k.envRepo().ID, "heads", []store.NewTarget{
		{App: "payments", Env: "prod", Cluster: "prod-eu", Branch: "main"}, {App: "shop", Env: "prod", Cluster: "prod-eu", Branch: "main"},
	}, syncJob))
	if effects := k.moves(set[0].ID); !slices.Contains(effects, promotion.Merge) {
		t.Errorf("when nothing is in the way: %v", effects)
	}
	set = k.newest("prod")
	if set[0].State != "merged" || set[1].State != "merged" || set[0].MergeSHA != set[1].MergeSHA || set[1].OldTag != "1.0.0" {
		t.Fatalf("merged are %+v", set)
	}
	if effects := k.moves(set[1].ID); !slices.Contains(effects, promotion.CreateDeployment) {
		t.Errorf("shop after the merge: %v", effects)
	}
	var made []int64
	for _, p := range set {
		of, err := k.worker.Store.Deployments(ctx, p.ID)
		must(t, err)
		for _, d := range of {
			made = append(made, d.GithubID)
		}
	}
	if len(made) != 2 || made[0] == made[1] || made[0] < 1 || made[1] < 1 {
		t.Errorf("the deployments are %d", made)
	}

	text, err = k.worker.rollback(ctx, request{command: store.Command{AuthorID: 2, Author: "bob", SaidAt: k.worker.Now(), ReceivedAt: k.worker.Now()}, env: "prod", repo: k.envRepo()}, command.Rollback{Env: "prod", Words: []string{"shop", "it", "is", "slow"}})
	if err != nil || !strings.Contains(text, "was merged as one, and goes back as one: payments `1.0.0`, shop `1.0.0`.") {
		t.Fatalf("rolled back: %q, %v", text, err)
	}
	back := k.newest("prod")
	k.moves(back[0].ID)
	back = k.newest("prod")
	if back[0].State != "merged" || back[1].State != "merged" || back[0].MergeSHA != back[1].MergeSHA || back[1].Kind != store.KindRollback {
		t.Errorf("gone back are %+v", back)
	}
	log, err := k.sim.Log("acme/env", "main")
	must(t, err)
	want := fmt.Sprintf("Revert \"prod: payments and shop from dev (#%d)\"\n\nThis reverts commit %s.\n", set[0].PullNumber, set[0].MergeSHA)
	if !slices.ContainsFunc(log, func(c githubsim.Commit) bool {
		return c.SHA == back[0].MergeSHA && strings.HasPrefix(c.Message, want)
	}) {
		t.Errorf("no commit begins with %q: %+v", want, log)
	}
	for _, app := range []string{"payments", "shop"} {
		if _, denied, err := k.worker.Store.Denial(ctx, k.envRepo().ID, app, "prod", "registry.example.com/"+app, digests[app+" 1.1.0"]); err != nil || !denied {
			t.Errorf("1.1.0 is not denied to %s (%v)", app, err)
		}
		on, err := k.worker.Store.Stops(ctx, store.Scope{Owner: "acme", Repo: k.envRepo().ID, Env: "prod", App: app})
		if err != nil || len(on) != 1 || on[0].Actor != "bob" {
			t.Errorf("%s is not on hold: %+v, %v", app, on, err)
		}
	}
}

// opensSet has the set's pull request opened.
func (k *talk) opensSet() ([]store.Promotion, githubsim.PullView) {
	k.Helper()
	_, err := k.asksFor(nil)
	must(k.T, err)
	set := k.newest("prod")
	l, err := k.worker.look(k.Context(), set[0].ID, true)
	must(k.T, err)
	must(k.T, k.worker.openPull(k.Context(), l))
	return k.newest("prod"), k.pulls()[0]
}

// What one of a set is brought comes of the commit that carries all of it: its overlay may
// take in what another's edit changes.
func TestASetIsRenderedWithTheEditsOfAll(t *testing.T) {
	k, digests := provenTogether(t)
	ctx := t.Context()
	text, err := k.sim.File("acme/env", "main", "apps/shop/overlays/prod/kustomization.yaml")
	must(t, err)
	taken := strings.Replace(string(text), "[deployment.yaml]", "[deployment.yaml, ../../../payments/overlays/prod]", 1)
	_, err = k.sim.As("carol").Push("acme/env", "main", "Shop takes in payments", map[string]string{
		"tagboat.yaml": strings.Replace(talkedAbout, "{name: prod,", "{name: prod, dryRun: enforce,", 1),
		"apps/shop/overlays/prod/kustomization.yaml": taken,
	})
	must(t, err)
	_, err = k.asksFor(nil)
	must(t, err)
	set := k.newest("prod")
	l, err := k.worker.look(ctx, set[0].ID, true)
	must(t, err)
	for _, m := range l.together() {
		is, was, err := k.worker.brings(ctx, m, "prod")
		must(t, err)
		with, without := strings.Contains(string(is), "payments:1.1.0@"), strings.Contains(string(was), "payments:1.1.0@")
		if !strings.Contains(m.model.Rendered, "1.1.0") || !strings.Contains(m.facts.Rendered.Summary, "payments 1.0.0 -> 1.1.0") || !with || without {
			t.Errorf("%s is rendered as %q (%s): the cluster is asked about\n%s\nwhere there was\n%s", m.row.App, m.model.Rendered, m.facts.Rendered.Summary, is, was)
		}
		if hash(string(is), string(was)) != m.contents["prod"] {
			t.Errorf("prod is asked about something else than what is shown of %s", m.row.App)
		}
	}

	// Somebody else has brought shop there meanwhile: its edit is none, but payments' still
	// is, and that it takes in.
	has := strings.NewReplacer("1.0.0", "1.1.0", digests["shop 1.0.0"], digests["shop 1.1.0"])
	for _, now := range []struct {
		what, kustomization, says string
		trying                    promotion.Trying
	}{
		{"it takes in payments", has.Replace(taken), "payments 1.0.0 -> 1.1.0", promotion.TryEnforce},
		{"it takes in nothing", has.Replace(string(text)), "has this version already; nothing changes in the clusters.", promotion.TryNothing},
	} {
		_, err = k.sim.As("carol").Push("acme/env", "main", now.what, map[string]string{"apps/shop/overlays/prod/kustomization.yaml": now.kustomization})
		must(t, err)
		l, err := k.worker.look(ctx, set[0].ID, true)
		must(t, err)
		if shop := l.of("shop"); !shop.facts.Plan.Nothing || !strings.Contains(shop.facts.Rendered.Summary, now.says) || shop.facts.Rule.Trying != now.trying {
			t.Errorf("shop is there already, and %s: %q, tried %q (%+v)", now.what, shop.facts.Rendered.Summary, shop.facts.Rule.Trying, shop.facts.Plan)
		}
	}
}

// One acts for all, but clusters are asked about each: also those that only another process
// reaches, which is told of that one alone.
func TestAnotherProcessAsksItsClustersAboutEachOfASet(t *testing.T) {
	k, _ := provenTogether(t)
	ctx := t.Context()
	_, err := k.sim.As("carol").Push("acme/env", "main", "Clusters are asked", map[string]string{"tagboat.yaml": strings.Replace(talkedAbout, "{name: prod,", "{name: prod, dryRun: enforce,", 1)})
	must(t, err)
	_, err = k.asksFor(nil)
	must(t, err)
	for _, p := range k.newest("prod") {
		must(t, k.worker.try(ctx, &river.Job[job.Try]{Args: job.Try{Promotion: p.ID, Cluster: "prod"}}))
		if runs, err := k.worker.Store.DryRuns(ctx, p.ID); err != nil || len(runs) != 1 || runs[0].Rendered == "" {
			t.Errorf("the answers about %s are %+v, %v", p.App, runs, err)
		}
	}
}

// A rollback of one goes first. What it leaves behind, nobody judges any more, so that
// nobody may merge it either.
func TestARollbackOfOneClosesThePullRequestOfTheSet(t *testing.T) {
	k, _ := provenTogether(t)
	ctx, db := t.Context(), k.worker.Store
	set, p := k.opensSet()
	k.goesBackAlone()
	k.moves(set[1].ID)
	if now, err := k.sim.Pull("acme/env", p.Number); err != nil || now.State != "open" {
		t.Errorf("one of it closed #%d: %s, %v", p.Number, now.State, err)
	}
	if effects := k.moves(set[0].ID); !slices.Equal(effects, []promotion.Effect{promotion.DeleteBranch}) {
		t.Errorf("what is left to do: %v", effects)
	}
	if now, err := k.sim.Pull("acme/env", p.Number); err != nil || now.State != "closed" || now.Merged || len(now.Comments) != 1 || !strings.Contains(now.Comments[0].Body, "a rollback of what it would change in **prod** was asked for, and goes first") {
		t.Errorf("#%d is %+v, %v", p.Number, now, err)
	}
	if left, err := db.Leftovers(ctx); err != nil || len(left) != 0 {
		t.Errorf("there is left to do: %+v, %v", left, err)
	}
}

// goesBackAlone has bob take payments back by itself, while the set is on its way.
func (k *talk) goesBackAlone() {
	k.Helper()
	older, err := k.worker.known(k.Context(), "registry.example.com/payments", "1.0.0")
	must(k.T, err)
	_, err = k.worker.Store.Propose(k.Context(), store.Proposal{
		Repo: k.envRepo().ID, App: "payments", Env: "prod", Artifact: older.ID, Requester: store.Actor{ID: 2, Login: "bob"}, Branch: "tagboat/prod/payments", BaseBranch: "main",
		Back: &store.NewRollback{BadTag: "1.0.1", Reason: "it is slow", Reverts: []string{strings.Repeat("9", 40)}},
	}, reconcileJob)
	must(k.T, err)
}

// The set was merged, and the answer to that was lost, or people merged it: then a rollback
// is asked for. What was merged is known of each app, in whatever order they are looked at.
func TestASetThatWasMergedBeforeARollbackIsKnownToBe(t *testing.T) {
	k, _ := provenTogether(t)
	set, p := k.opensSet()
	_, err := k.sim.As("carol").MergePull("acme/env", p.Number, "squash")
	must(t, err)
	k.goesBackAlone()
	k.moves(set[1].ID)
	k.moves(set[0].ID)
	for _, m := range set {
		now, err := k.worker.Store.Promotion(t.Context(), m.ID)
		if err != nil || now.State != "merged" || now.MergeSHA == "" {
			t.Errorf("%s is %s by %q, %v", m.App, now.State, now.MergeSHA, err)
		}
	}
	if now, err := k.sim.Pull("acme/env", p.Number); err != nil || !now.Merged || len(now.Comments) != 0 && strings.Contains(now.Comments[0].Body, "closes this pull request") {
		t.Errorf("#%d is %+v, %v", p.Number, now, err)
	}
}

// Whose image is gone stays, and is told, when a person takes another back. Whoever is named
// has to be able to go back; and what goes back by itself goes back whole.
func TestWhoHasNoWayBackStaysWhenAnotherGoesBack(t *testing.T) {
	k, digests := provenTogether(t)
	ctx := t.Context()
	_, err := k.asksFor(nil)
	must(t, err)
	k.moves(k.newest("prod")[0].ID)
	set := k.newest("prod")
	must(t, k.images.Delete(ctx, "payments", digests["payments 1.0.0"]))
	if _, _, _, err := k.worker.rollbackTogether(ctx, k.envRepo(), "shop", set, store.NewRollback{Reason: "it crashes", Automatic: true}, store.NewSet{}); !fault.Is(err, fault.Denied) {
		t.Errorf("by itself: %v", err)
	}
	says := func(app string) (string, error) {
		return k.worker.rollback(ctx, request{command: store.Command{AuthorID: 2, Author: "bob", SaidAt: k.worker.Now(), ReceivedAt: k.worker.Now()}, env: "prod", repo: k.envRepo()}, command.Rollback{Env: "prod", Words: []string{app, "it", "is", "slow"}})
	}
	if text, err := says("payments"); !fault.Is(err, fault.Denied) {
		t.Errorf("payments is taken back: %q, %v", text, err)
	}
	text, err := says("shop")
	if err != nil || !strings.Contains(text, "goes back as one: shop `1.0.0`.") || !strings.Contains(text, "- payments: The registry does not have") {
		t.Errorf("shop is taken back: %q, %v", text, err)
	}
	if apps := k.activeIn("prod"); !slices.Equal(apps, []string{"shop"}) {
		t.Errorf("on their way are %v", apps)
	}
}

// Reviews that no webhook told of are read before a merge, whichever app of the set asks for
// approvals.
func TestReviewsAreReadForWhicheverOfASetAsks(t *testing.T) {
	k, _ := provenTogether(t)
	ctx := t.Context()
	set, p := k.opensSet()
	_, err := k.sim.As("bob").Review("acme/env", p.Number, "REQUEST_CHANGES", "not today")
	must(t, err)
	l, err := k.worker.look(ctx, set[0].ID, true)
	must(t, err)
	l.facts.Rule.Approvals, l.companions[0].facts.Rule.Approvals = false, true
	_, err = k.worker.reread(ctx, l)
	must(t, err)
	for _, m := range set {
		if reviews, err := k.worker.Store.Reviews(ctx, m.ID); err != nil || len(reviews) != 1 || reviews[0].Reviewer != "bob" {
			t.Errorf("%s has the reviews %+v, %v", m.App, reviews, err)
		}
	}
}

// One commit edits a file once. Whom people named goes along.
func TestOneOfAFileGoesAlong(t *testing.T) {
	in := func(app, file string) wish { return wish{use: use{pair: envrepo.Pair{App: app, File: file}}} }
	wishes := []wish{in("payments", "one"), in("shop", "one"), in("web", "other")}
	for named, want := range map[string]string{"": "payments web", "shop": "shop web", "web": "payments web"} {
		kept, left := onePerFile(named, wishes, []string{"catalog: it is ill."})
		var apps []string
		for _, one := range kept {
			apps = append(apps, one.use.pair.App)
		}
		if got := strings.Join(apps, " "); got != want || len(left) != 2 || !strings.Contains(left[1], "one commit cannot edit that twice") {
			t.Errorf("named %q: %q go along, and %q do not", named, got, left)
		}
	}
}

// What goes back by itself has no comment to answer: its reason says what stays.
func TestTheReasonSaysWhatStays(t *testing.T) {
	wishes := []wish{{reason: "shop crashes.", back: &store.NewRollback{}}}
	alsoSay(wishes, nil)
	if wishes[0].reason != "shop crashes." {
		t.Errorf("the reason is %q", wishes[0].reason)
	}
	alsoSay(wishes, []string{"web: it has 1.2.0 by now, and stays."})
	if want := "shop crashes. Not along: web: it has 1.2.0 by now, and stays."; wishes[0].reason != want || wishes[0].back.Reason != want {
		t.Errorf("the reasons are %q and %q", wishes[0].reason, wishes[0].back.Reason)
	}
}

// A person closes the one pull request: all of its apps are held, and it is told once.
func TestClosingThePullRequestOfASetHoldsAllOfIt(t *testing.T) {
	k, _ := provenTogether(t)
	ctx, db := t.Context(), k.worker.Store
	set, p := k.opensSet()
	must(t, k.sim.As("bob").ClosePull("acme/env", p.Number))
	must(t, db.SawPull(ctx, set[0].ID, store.SeenPull{State: "closed", HeadSHA: set[0].HeadSHA}))
	if effects := k.moves(set[0].ID); !slices.Equal(effects, []promotion.Effect{promotion.RecordClosed, promotion.DeleteBranch, promotion.TellClosed}) {
		t.Errorf("the one that acts: %v", effects)
	}
	if effects := k.moves(set[1].ID); !slices.Equal(effects, []promotion.Effect{promotion.DeleteBranch}) {
		t.Errorf("the other: %v", effects)
	}
	for _, m := range k.newest("prod") {
		on, err := db.Stops(ctx, store.Scope{Owner: "acme", Repo: m.RepoID, Env: "prod", App: m.App})
		if err != nil || len(on) != 1 || on[0].ClosedPull != int32(p.Number) || m.ClosedBy != "bob" {
			t.Errorf("%s is held by %+v, closed by %q, %v", m.App, on, m.ClosedBy, err)
		}
	}
	now, err := k.sim.Pull("acme/env", p.Number)
	must(t, err)
	if len(now.Comments) != 1 || !strings.Contains(now.Comments[0].Body, "`1.1.0` of **payments**, together with `1.1.0` of **shop**, does not go to **prod**") {
		t.Errorf("bob reads %+v", now.Comments)
	}
}

// The commit is guarded whole: nothing but the planned edit of each file, and no file less.
func TestTheCommitOfASetIsGuardedWhole(t *testing.T) {
	k, _ := provenTogether(t)
	ctx := t.Context()
	set, p := k.opensSet()
	l, err := k.worker.look(ctx, set[0].ID, true)
	must(t, err)
	must(t, k.worker.guard(ctx, l, l.row.BaseSHA, l.row.HeadSHA))
	text := func(app string) string {
		data, err := k.sim.File("acme/env", p.HeadRef, "apps/"+app+"/overlays/prod/kustomization.yaml")
		must(t, err)
		return string(data)
	}
	payments, shop := "apps/payments/overlays/prod/kustomization.yaml", "apps/shop/overlays/prod/kustomization.yaml"
	for name, files := range map[string]map[string]string{
		"one file is missing":       {payments: text("payments")},
		"a file more":               {payments: text("payments"), shop: text("shop"), "README.md": "hello"},
		"one of them does more":     {payments: text("payments"), shop: text("shop") + "namespace: elsewhere\n"},
		"one is another version's":  {payments: text("payments"), shop: strings.Replace(text("shop"), "1.1.0", "1.2.0", 1)},
		"nothing at all is changed": {"NOTES": "hello"},
	} {
		branch := "trial-" + strings.ReplaceAll(name, " ", "-")
		sha, err := k.sim.As("carol").Push("acme/env", branch, name, files)
		must(t, err)
		if err := k.worker.guard(ctx, l, l.row.BaseSHA, sha); err == nil {
			t.Errorf("%s: it is merged", name)
		}
	}
}
