package worker

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

// newcomer is a worker that knows of no env repo yet, whose time passes when a test says
// so, and a GitHub with repositories of some files, on which it has a permission for the contents.
type newcomer struct {
	*testing.T
	*Worker
	sim *githubsim.Server
	now time.Time // for less than an hour: then GitHub's tokens end
}

func newNewcomer(t *testing.T, contents string, repos map[string]map[string]string) *newcomer {
	t.Helper()
	t.Parallel()
	n := &newcomer{T: t, now: time.Now().UTC().Truncate(time.Second)}
	clock := func() time.Time { return n.now }
	var err error
	n.sim, err = githubsim.New(githubsim.Options{Dir: t.TempDir(), Now: clock})
	must(t, err)
	server := httptest.NewServer(n.sim)
	t.Cleanup(func() { must(t, n.sim.Close()); server.Close() })
	n.sim.SetURL(server.URL)
	n.sim.AddOrg("acme")
	var names []string
	for name, files := range repos {
		names = append(names, name)
		must(t, n.sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: name, Private: true, Files: files}))
	}
	permissions := map[string]string{"metadata": "read"}
	if contents != "" {
		permissions["contents"] = contents
	}
	app, err := n.sim.AddApp(githubsim.AppSpec{Slug: "tagboat", Name: "Tagboat", Owner: "acme", Permissions: permissions})
	must(t, err)
	_, err = n.sim.Install(app.ID, "acme", names...)
	must(t, err)
	door, err := github.New(github.Config{APIURL: server.URL + "/api/v3/", GitURL: server.URL, AppID: app.ID, PrivateKey: app.PrivateKey, Now: clock})
	must(t, err)
	var entries []string
	for _, name := range names {
		entries = append(entries, "acme/"+name)
	}
	n.Worker = New(Config{Store: storetest.OpenWith(t, store.Options{Now: clock}), GitHub: door, EnvRepos: selection(t, entries...), Mirrors: t.TempDir(),
		Now: clock, Log: slog.New(slog.DiscardHandler)})
	return n
}

func (n *newcomer) learns() {
	n.Helper()
	must(n.T, n.learn(n.Context(), &river.Job[job.Learn]{}))
}

func (n *newcomer) surveys(name string) error {
	n.Helper()
	r, err := n.Store.RepoByName(n.Context(), "acme", name)
	must(n.T, err)
	return n.survey(n.Context(), &river.Job[job.Survey]{Args: job.Survey{Repo: r.ID}})
}

// wantJobs counts the jobs of a kind that were ever asked for.
func (n *newcomer) wantJobs(kind string, want int, when string) {
	n.Helper()
	var got int
	must(n.T, n.Store.Pool().QueryRow(n.Context(), "SELECT count(*) FROM river.river_job WHERE kind = $1", kind).Scan(&got))
	if got != want {
		n.Errorf("%s: %d jobs of kind %s were asked for, want %d", when, got, kind, want)
	}
}

// An env repo that is there and cannot be read, because the App lacks the permission, is
// looked at by each sweep, and what is found out of it asks for nothing more.
func TestWhatCannotBeReadIsNotAskedForWithoutEnd(t *testing.T) {
	n := newNewcomer(t, "", map[string]map[string]string{"env": nil})
	n.learns()
	n.wantJobs("survey", 1, "when it is new")
	for range 3 {
		if err := n.surveys("env"); err == nil {
			t.Fatal("what cannot be read was surveyed")
		}
	}
	n.wantJobs("learn", 1, "after it could not be read for the third time")
	n.learns()
	n.wantJobs("survey", 1, "when nothing new was learnt")
	n.now = n.now.Add(wonderEvery)
	if err := n.surveys("env"); err == nil {
		t.Fatal("what cannot be read was surveyed")
	}
	n.wantJobs("learn", 2, "when it cannot be read a minute later")

	// One that comes back is surveyed at once.
	r, err := n.Store.RepoByName(t.Context(), "acme", "env")
	must(t, err)
	must(t, n.Store.RepoAway(t.Context(), r.ID, store.PresenceSuspended, "", reconcileJob))
	n.learns()
	n.wantJobs("survey", 2, "when it is back")
	n.learns()
	n.wantJobs("survey", 2, "when it was back already")
}

// One env repo that cannot be read, or is broken, does not keep the images of others from
// being looked for.
func TestABrokenEnvRepoStopsNoOthersImages(t *testing.T) {
	n := newNewcomer(t, "read", map[string]map[string]string{
		"abroken": {"tagboat.yaml": "environments: nonsense\n"},
		"env": {"tagboat.yaml": "apiVersion: tagboat.dev/v1\nenvironments:\n  - {name: dev, clusters: [dev]}\n",
			"apps/payments/overlays/dev/kustomization.yaml": "images:\n  - {name: payments, newName: registry.example.com/payments, newTag: 1.0.0}\n"},
	})
	asked := 0
	registries := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/payments/tags/list") {
			asked++
			fmt.Fprint(rw, `{"name": "payments", "tags": ["1.0.0", "1.1.0"]}`)
		}
	}))
	t.Cleanup(registries.Close)
	n.Registry = registry.New(registry.Config{Endpoints: []registry.Endpoint{{Host: "registry.example.com", API: registries.Listener.Addr().String(), Insecure: true}}})
	n.Polls.Registries = time.Minute
	n.learns()
	must(t, n.pollRegistries(t.Context()))
	n.wantJobs("tags", 1, "beside a broken env repo")
	look := &river.Job[job.Tags]{Args: job.Tags{Image: "registry.example.com/payments"}}
	must(t, n.tags(t.Context(), look))
	n.wantJobs("verify", 1, "beside a broken env repo")
	if asked != 1 {
		t.Errorf("the registry was asked %d times", asked)
	}

	// An image that no env repo is known to have, because one is broken, is not looked for
	// at every sweep, either.
	other := &river.Job[job.Tags]{Args: job.Tags{Image: "registry.example.com/shop"}}
	must(t, n.tags(t.Context(), other))
	due, err := n.Store.DuePolls(t.Context(), store.PollTags, []string{other.Args.Image})
	must(t, err)
	if len(due) != 0 || asked != 1 {
		t.Errorf("it is due at once: %+v; the registry was asked %d times", due, asked)
	}
}

// What another process has seen since a round of learning began is not away because this
// round's lists are older.
func TestWhatAnotherProcessHasSeenIsNotAway(t *testing.T) {
	n := newNewcomer(t, "read", map[string]map[string]string{"env": nil})
	n.learns()
	r, err := n.Store.RepoByName(t.Context(), "acme", "env")
	must(t, err)
	presence := func(began time.Time) string {
		l := &learning{w: n.Worker, began: began, known: []store.Repo{r}, seen: map[int64]bool{}, installations: map[int64]string{r.InstallationID: store.PresenceInstalled}}
		must(t, l.away(t.Context()))
		now, err := n.Store.Repo(t.Context(), r.ID)
		must(t, err)
		return now.Presence
	}
	if is := presence(n.now.Add(-time.Second)); is != store.PresenceInstalled {
		t.Errorf("seen after the round began, it is %s", is)
	}
	if is := presence(n.now.Add(time.Second)); is != store.PresenceRemoved {
		t.Errorf("not seen since the round began, it is %s", is)
	}
}
