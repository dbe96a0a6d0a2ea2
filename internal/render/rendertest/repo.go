package rendertest

import (
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"text/template"

	"github.com/rogpeppe/go-internal/txtar"
)

// Repo describes an env repo of any size: bases and overlays, a component that
// every overlay uses and one that every tenth app uses, generators, patches and
// autoscalers. The same description is the same bytes.
type Repo struct {
	Apps int
	Envs []string // in the order of promotion; none means dev, staging, prod
	Seed uint64   // what makes two repos of one size differ
}

// FS is the repo in memory.
func (r Repo) FS() fs.FS { return newMemory(r.start().files()) }

// Overlays lists the directories that are rendered, sorted.
func (r Repo) Overlays() []string {
	w := r.start()
	return w.overlays(func(app) bool { return true })
}

// app is one application of a generated repo.
type app struct {
	Name, Team string
	Port, TTL  int
	Revisions  int               // revisionHistoryLimit of its base
	Settings   []int             // values in its ConfigMap
	Tags       map[string]string // by environment
	Scales     bool              // has an autoscaler: every second app
	Flags      bool              // has a configMapGenerator: every fourth
	Shipper    bool              // has a second container: every fifth
	Monitored  bool              // uses components/monitoring: every tenth
}

// world is what a repo looks like at one commit.
type world struct {
	Apps           []app
	Envs           []string
	Owner, Metrics string // what the two components set
	Edition        int    // of the README
	random         *rand.Rand
}

// start is the world at the first commit.
func (r Repo) start() *world {
	w := &world{Envs: r.Envs, Owner: "platform", Metrics: "/metrics", random: rand.New(rand.NewPCG(r.Seed, 1))}
	if len(w.Envs) == 0 {
		w.Envs = []string{"dev", "staging", "prod"}
	}
	for i := range r.Apps {
		a := app{
			Name: fmt.Sprintf("app-%04d", i), Team: fmt.Sprintf("team-%02d", w.random.IntN(1+r.Apps/25)),
			Port: 8000 + w.random.IntN(1000), TTL: w.random.IntN(600), Revisions: 3, Tags: map[string]string{},
			Scales: i%2 == 0, Flags: i%4 == 0, Shipper: i%5 == 0, Monitored: i%10 == 0,
		}
		for range 12 {
			a.Settings = append(a.Settings, w.random.IntN(100000))
		}
		for _, env := range w.Envs {
			a.Tags[env] = w.tag()
		}
		w.Apps = append(w.Apps, a)
	}
	return w
}

func (w *world) tag() string {
	return fmt.Sprintf("v%d.%d.%d", 1+w.random.IntN(4), w.random.IntN(40), w.random.IntN(20))
}

// overlays are the overlays of the apps that are meant.
func (w *world) overlays(meant func(app) bool) []string {
	var all []string
	for _, a := range w.Apps {
		if meant(a) {
			for _, env := range w.Envs {
				all = append(all, path.Join("apps", a.Name, "overlays", env))
			}
		}
	}
	slices.Sort(all)
	return all
}

//go:embed repo.txtar
var repoFiles []byte

// templates are the templates of a repo's files, by their names with APP and ENV.
var templates = func() map[string]*template.Template {
	all := map[string]*template.Template{}
	for _, f := range txtar.Parse(repoFiles).Files {
		all[f.Name] = template.Must(template.New(f.Name).Parse(string(f.Data)))
	}
	return all
}()

// page is what one file is made from.
type page struct {
	*world
	App app
	Env string
}

// First and Last are the ends of the way that a version takes.
func (p page) First() string { return p.Envs[0] }

// Last is the environment that customers see.
func (p page) Last() string { return p.Envs[len(p.Envs)-1] }

// Size is the number of replicas: later environments are larger.
func (p page) Size() int { return 1 + slices.Index(p.Envs, p.Env) }

// file is a file's name and content; nothing for one that does not exist.
func (p page) file(pattern string) (name string, data []byte) {
	var b bytes.Buffer
	if err := templates[pattern].Execute(&b, p); err != nil {
		panic(err) // a mistake in repo.txtar
	}
	return strings.NewReplacer("APP", p.App.Name, "ENV", p.Env).Replace(pattern), b.Bytes()
}

// files are all files of the repo.
func (w *world) files() map[string][]byte {
	files := map[string][]byte{}
	add := func(p page, pattern string) {
		if name, data := p.file(pattern); len(data) > 0 {
			files[name] = data
		}
	}
	for pattern := range templates {
		switch {
		case strings.Contains(pattern, "ENV"):
			for _, a := range w.Apps {
				for _, env := range w.Envs {
					add(page{w, a, env}, pattern)
				}
			}
		case strings.Contains(pattern, "APP"):
			for _, a := range w.Apps {
				add(page{world: w, App: a}, pattern)
			}
		default:
			add(page{world: w}, pattern)
		}
	}
	return files
}
