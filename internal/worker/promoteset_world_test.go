package worker

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

func digestOf(c string) string { return "sha256:" + strings.Repeat(c, 64) }

// runsInDev has dev run versions of apps, each verified, and built from a commit of
// acme/shop; a version that begins with "!" is not healthy.
func (k *talk) runsInDev(commit string, versions map[string]string) {
	k.Helper()
	ctx, db := k.Context(), k.worker.Store
	repo := k.envRepo()
	var targets []store.NewTarget
	for app := range versions {
		targets = append(targets, store.NewTarget{App: app, Env: "dev", Cluster: "dev", Branch: "main"})
	}
	must(k.T, db.KeepTargets(ctx, repo.ID, commit, targets, syncJob))
	for app, version := range versions {
		tag, ill := strings.CutPrefix(version, "!")
		a, err := db.Ledger(ctx, store.Verified{
			Image: "registry.example.com/" + app, Tag: tag, Digest: digestOf(map[string]string{"payments": "a", "shop": "b"}[app]), MediaType: "m", Platforms: []string{"linux/amd64"},
			SourceRepo: "acme/shop", SourceCommit: commit,
		})
		must(k.T, err)
		of, err := db.TargetsOfPair(ctx, repo.ID, app, "dev")
		must(k.T, err)
		reached := store.Reached{Commit: commit, Image: a.Image, Tag: a.Tag, Digest: a.Digest, State: store.TargetHealthy}
		if ill {
			reached.State, reached.Message = store.TargetFailed, "it crashes"
		}
		must(k.T, db.FinishSync(ctx, of[0], 0, reached, afterSync()))
	}
}

func (k *talk) envRepo() store.Repo {
	k.Helper()
	repo, err := k.worker.Store.RepoByName(k.Context(), "acme", "env")
	must(k.T, err)
	return repo
}

// asksFor is what comes of /promote prod --from dev, with what the place of the comment says.
func (k *talk) asksFor(meant *store.Artifact) (string, error) {
	k.Helper()
	return k.worker.promoteFrom(k.Context(), request{
		command: store.Command{AuthorID: 1, Author: "alice"}, env: "prod", repo: k.envRepo(), meant: meant,
	}, command.Promote{Env: "prod", From: "dev"})
}

func (k *talk) activeIn(env string) (apps []string) {
	k.Helper()
	all, err := k.worker.Store.ActivePromotionsOf(k.Context(), k.envRepo().ID)
	must(k.T, err)
	for _, p := range all {
		if p.Env == env {
			apps = append(apps, p.App)
		}
	}
	return apps
}

func TestWhatIsProvenGoesTogether(t *testing.T) {
	commit := strings.Repeat("c", 40)
	for _, tt := range []struct {
		name     string
		versions map[string]string
		says     []string
		active   string
	}{
		{"both are new", map[string]string{"payments": "1.1.0", "shop": "1.2.0"}, []string{"payments `1.1.0`, shop `1.2.0` go to prod together, in one pull request."}, "payments shop"},
		{"one is not healthy, and the other goes alone", map[string]string{"payments": "1.1.0", "shop": "!1.2.0"}, []string{"Not along:", "shop: dev is not healthy with 1.2.0: dev has failed (it crashes)"}, "payments"},
		{"one is not there", map[string]string{"payments": "1.1.0"}, []string{"shop: it is not in dev."}, "payments"},
		{"all would go back, or are not healthy", map[string]string{"payments": "0.9.0", "shop": "!1.2.0"}, []string{"dev has nothing healthy that prod does not have already; there is nothing to promote.", "payments: 0.9.0 is older than 1.0.0"}, ""},
		{"all are here", map[string]string{"payments": "1.0.0", "shop": "1.0.0"}, []string{"there is nothing to promote."}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newTalk(t, true)
			k.runsInDev(commit, tt.versions)
			text, err := k.asksFor(nil)
			must(t, err)
			for _, part := range tt.says {
				if !strings.Contains(text, part) {
					t.Errorf("the answer lacks “%s”: %s", part, text)
				}
			}
			if got := strings.Join(k.activeIn("prod"), " "); got != tt.active {
				t.Errorf("on their way are %q, not %q", got, tt.active)
			}
		})
	}
}

// On the merged pull request of an application only what was built from it is meant.
func TestWhatWasBuiltFromOneCommitGoesTogether(t *testing.T) {
	k := newTalk(t, true)
	k.runsInDev(strings.Repeat("c", 40), map[string]string{"payments": "1.1.0", "shop": "1.2.0"})
	built, err := k.worker.Store.ArtifactBySource(t.Context(), "acme/shop", strings.Repeat("c", 40))
	must(t, err)
	other, err := k.worker.Store.Ledger(t.Context(), store.Verified{
		Image: "registry.example.com/shop", Tag: "1.3.0", Digest: digestOf("d"), MediaType: "m", Platforms: []string{"linux/amd64"}, SourceRepo: "acme/shop", SourceCommit: strings.Repeat("e", 40),
	})
	must(t, err)
	text, err := k.asksFor(&other)
	if err != nil || !strings.Contains(text, "shop: dev runs 1.2.0, which was not built from this commit.") || strings.Contains(text, "payments") {
		t.Errorf("of a commit whose images dev does not run: %q, %v", text, err)
	}
	text, err = k.asksFor(&built)
	if err != nil || !strings.Contains(text, "go to prod together") {
		t.Errorf("of the commit whose images dev runs: %q, %v", text, err)
	}
}

// Opening the pull request of a set again asks for all of it again.
func TestReopeningASetIsAskingForAllOfIt(t *testing.T) {
	k := newTalk(t, false)
	ctx, db := t.Context(), k.worker.Store
	k.runsInDev(strings.Repeat("c", 40), map[string]string{"payments": "1.1.0", "shop": "1.2.0"})
	_, err := k.asksFor(nil)
	must(t, err)
	head, err := k.sim.As("alice").Push("acme/env", "tagboat/prod/_from-dev", "a set", map[string]string{"new": "1\n"})
	must(t, err)
	number, err := k.sim.As("alice").OpenPull("acme/env", "tagboat/prod/_from-dev", "main", "a set", "")
	must(t, err)
	all, err := db.ActivePromotionsOf(ctx, k.envRepo().ID)
	must(t, err)
	c := store.Commit{HeadSHA: head, BaseSHA: head, EditHash: "edit", Digest: digestOf("a")}
	must(t, db.RecordOpened(ctx, all[0], c, store.Opened{Number: number}, store.Carried{Promotion: all[1], Commit: c}))
	must(t, db.RecordClosedBy(ctx, all[0], store.Closing{By: store.Actor{ID: 1, Login: "bob"}, Owner: "acme"}))
	p, err := db.PromotionByPull(ctx, k.envRepo().ID, number)
	must(t, err)
	got, err := k.worker.reopened(ctx, store.Delivery{}, p, github.PullChanged{Number: number, Action: "reopened", Sender: k.who("carol")})
	if err != nil || got != "reopened, and so asked for again" {
		t.Errorf("reopened: %q, %v", got, err)
	}
	if apps := k.activeIn("prod"); len(apps) != 2 {
		t.Errorf("on their way are %v", apps)
	}
	if _, err := db.ActivePromotion(ctx, k.envRepo().ID, "shop", "prod"); fault.Is(err, fault.NotFound) {
		t.Error("shop was left out")
	}
}
