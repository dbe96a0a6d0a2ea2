package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

// crowd is how many apps use one image, and the limits of the GitHub that they live
// on. Its “minutes” and “hours” are short, so that there is time for several.
type crowd struct {
	apps int
	githubsim.SecondaryLimits
}

// TestBurst releases one image that 40 apps use, on a GitHub that enforces limits in
// fast motion: less in an hour, in proportion, than the 40 need. Every promotion is
// merged and reported once, and no limit is ever met. In the middle of it somebody
// promotes to production, and does not wait for the rest.
//
// How 200 fare under github.com's own limits and in hours that are hours is
// internal/github's TestABurstOf200Promotions; BenchmarkBurst is 200 of these.
func TestBurst(t *testing.T) {
	playBurst(t, crowd{40, githubsim.SecondaryLimits{
		Minute: 2 * time.Second, Hour: 10 * time.Second, Points: 450, ContentMinute: 40, ContentHour: 120,
	}})
}

// BenchmarkBurst is the burst with github.com's numbers, and a minute of three
// seconds. It tells how long it takes, and how long the limits make it take at best.
func BenchmarkBurst(b *testing.B) {
	for b.Loop() {
		playBurst(b, crowd{200, githubsim.SecondaryLimits{
			Minute: 3 * time.Second, Hour: 20 * time.Second, Points: 900, ContentMinute: 80, ContentHour: 500,
		}})
	}
}

// playBurst plays it. No cluster is there to be reached: what is limited is GitHub.
func playBurst(t testing.TB, c crowd) {
	ctx := context.Background()
	w := newCrowd(t, c)
	within(t, 10*time.Minute, "Tagboat knows all overlays", func() error {
		n, err := w.count(ctx, `SELECT count(*) FROM target WHERE got = want AND state = 'failed'`)
		if err == nil && n != 2*c.apps {
			err = fmt.Errorf("%d are known", n)
		}
		return err
	})
	began := time.Now()
	digest, err := w.pushImage(ctx, "crowd", "1.1.0", "1.1.0", "")
	must(t, err)
	body, err := json.Marshal(map[string]string{"image": imageHost + "/crowd", "tag": "1.1.0", "digest": digest})
	must(t, err)
	must(t, w.callback(ctx, body))

	// Not later: where the machine is what all wait for, and not the limits, all go on alike.
	within(t, 10*time.Minute, "the first ones are merged", func() error { return w.mergedTo("dev", c.apps/40) })
	issue, err := w.GitHub.As("alice").OpenIssue(envRepo, "Talk", "")
	must(t, err)
	asked := time.Now()
	_, err = w.GitHub.As("alice").Comment(envRepo, issue, "/promote prod app000 1.1.0")
	must(t, err)
	within(t, 10*time.Minute, "production is merged", func() error { return w.mergedTo("prod", 1) })
	waited, behind := time.Since(asked), c.apps-w.countMerged("dev")
	if behind == 0 {
		t.Error("production was merged last")
	}

	within(t, 15*time.Minute, "all are merged", func() error { return w.mergedTo("dev", c.apps) })
	within(t, 10*time.Minute, "all are reported", func() error {
		return w.none(ctx, `SELECT $1 - count(*) FROM promotion WHERE comment_id > 0`, c.apps+1)
	})
	took := time.Since(began)
	for _, p := range w.GitHub.Pulls(envRepo) {
		once(t, w, p.Number)
	}
	for _, trip := range w.GitHub.Trips() {
		t.Errorf("a limit was met: %s", trip)
	}
	must(t, w.soundAudit(ctx))
	content, allowed := c.allowed(w.GitHub.Requests())
	t.Logf("%d promotions, %d requests, %d of them content: %.1f s; the limits allow %.1f s at best (ratio %.2f)",
		c.apps+1, callsFor(w.GitHub.Requests()), content, took.Seconds(), allowed.Seconds(), took.Seconds()/allowed.Seconds())
	t.Logf("production was merged %.1f s after it was asked for, before %d others", waited.Seconds(), behind)
}

// allowed is how many requests created content, and the least time in which they
// can: a whole hour's at the beginning of every hour, as fast as the minutes allow.
func (c crowd) allowed(journal []githubsim.Request) (content int, least time.Duration) {
	for _, r := range journal {
		if r.App == "tagboat" && (r.Method == http.MethodPost || r.Route == mergeRoute) && strings.HasPrefix(r.Path, "/repos/") {
			content++
		}
	}
	hours := (content - 1) / c.ContentHour
	rest := content - hours*c.ContentHour
	return content, time.Duration(hours)*c.Hour + time.Duration((rest-1)/c.ContentMinute)*c.Minute
}

// stall is how much later than Tagboat has written it down a request may be counted, or
// sooner, than those before and after it: what keeps Tagboat within limits allows for a
// second in a minute, and here a minute is two seconds, on a machine that has more to do.
const stall = 250 * time.Millisecond

// newCrowd is a world of many apps with one image, without clusters.
func newCrowd(t testing.TB, c crowd) *World {
	t.Helper()
	log := &logBuffer{}
	w := &World{progress: func(s string) { t.Log(s) }, secrets: secrets{github: rand.Text(), registry: rand.Text(), ci: rand.Text()}}
	enforced := c.SecondaryLimits
	enforced.Minute -= stall
	enforced.Hour -= stall
	w.options = Options{
		Tagboat: []string{tagboat}, Log: log,
		Limits: &enforced,
		Env: []string{"TAGBOAT_CLUSTERS=", fmt.Sprintf("TAGBOAT_GITHUB_LIMITS=points=%d/%s,content=%d/%s,content=%d/%s",
			c.Points, c.Minute, c.ContentMinute, c.Minute, c.ContentHour, c.Hour)},
	}
	var err error
	w.dir, err = os.MkdirTemp("", "tagboat-crowd-")
	must(t, err)
	t.Cleanup(func() {
		w.Close()
		if t.Failed() {
			t.Logf("Tagboat's log:\n%s", log)
		}
	})
	address, err := w.keepAddress()
	must(t, err)
	must(t, w.startCrowd(context.Background(), "http://"+address, c.apps))
	w.Tagboat = w.process(address)
	must(t, w.Tagboat.Start(context.Background()))
	return w
}

func (w *World) startCrowd(ctx context.Context, tagboat string, apps int) error {
	if err := buildParts(ctx, false, w.progress); err != nil {
		return err
	}
	group, starting := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if w.Postgres, err = localpg.Start(starting, localpg.Options{Progress: w.progress}); err != nil {
			return err
		}
		return w.makeDatabase(starting)
	})
	group.Go(func() error { return w.startRegistry(starting, tagboat) })
	group.Go(w.startGitHub)
	if err := group.Wait(); err != nil {
		return err
	}
	digest, err := w.pushImage(ctx, "crowd", "1.0.0", "1.0.0", "")
	if err != nil {
		return err
	}
	w.people()
	files := map[string]string{"tagboat.yaml": crowdConfig}
	for i := range apps {
		for _, env := range []string{"dev", "prod"} {
			overlay := fmt.Sprintf("apps/app%03d/overlays/%s/", i, env)
			files[overlay+"deployment.yaml"] = crowdDeployment
			files[overlay+"kustomization.yaml"] = fmt.Sprintf(
				"resources: [deployment.yaml]\nimages:\n  - name: crowd\n    newName: %s/crowd\n    newTag: 1.0.0\n    digest: %s\n", imageHost, digest)
		}
	}
	if err := w.GitHub.AddRepo(githubsim.RepoSpec{Owner: org, Name: "env", Files: files,
		Collaborators: map[string]string{"alice": "write"}}); err != nil {
		return err
	}
	app, err := w.GitHub.AddApp(githubsim.AppSpec{
		Slug: "tagboat", Name: "Tagboat", Owner: org, Permissions: permissions, Events: events,
		WebhookURL: tagboat + "/hooks/github", WebhookSecret: w.secrets.github,
	})
	if err != nil {
		return err
	}
	w.AppID = app.ID
	if err := os.WriteFile(filepath.Join(w.dir, "app.pem"), app.PrivateKey, 0o600); err != nil {
		return err
	}
	if _, err := w.GitHub.Install(app.ID, org, "env"); err != nil {
		return err
	}
	return w.startCI(app.ID)
}

const crowdConfig = `apiVersion: tagboat.dev/v1
apps:
  - discover: apps/{app}/overlays/{env}
environments:
  - name: dev
    follow: {semver: ">=1.0.0"}
    checks: [lint]
    clusters: [nowhere]
  - name: prod
    follow: {env: dev}
    checks: [lint]
    clusters: [nowhere]
`

const crowdDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: crowd}
spec:
  selector: {matchLabels: {app: crowd}}
  template:
    metadata: {labels: {app: crowd}}
    spec: {containers: [{name: crowd, image: crowd}]}
`

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within waits until look is content. It does not look often: at hundreds of pull
// requests that would be most of the work.
func within(t testing.TB, patience time.Duration, what string, look func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for err := look(); err != nil; err = look() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", patience, what, err)
		}
		<-time.After(250 * time.Millisecond)
	}
}

func (w *World) countMerged(env string) (n int) {
	for _, r := range w.GitHub.Pulls(envRepo) {
		if r.Merged && strings.HasPrefix(r.HeadRef, "tagboat/"+env+"/") {
			n++
		}
	}
	return n
}

func (w *World) mergedTo(env string, want int) error {
	if n := w.countMerged(env); n < want {
		return fmt.Errorf("%d of %d are", n, want)
	}
	return nil
}
