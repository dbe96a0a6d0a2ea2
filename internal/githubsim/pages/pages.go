package pages

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/githubsim"
)

//go:embed assets
var assets embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"short": func(sha string) string { return sha[:min(len(sha), 7)] },
	"firstLine": func(s string) string {
		line, _, _ := strings.Cut(s, "\n")
		return line
	},
	"at":       func(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05") },
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"words":    words,
	"mark":     mark,
	"httpOnly": httpOnly,
	"markdown": func(source string) template.HTML { return markdown(source, "") },
	"tickable": markdown,
	"numbered": numbered,
	"logOf":    func(p page, log []githubsim.Commit) logPart { return logPart{p.Repo, log} },
	"checksOf": func(p page, checks []githubsim.CheckView) checksPart { return checksPart{p.Repo, checks} },
	"pullsOf":  func(p page, pulls []pullRow) pullsPart { return pullsPart{p.Repo, pulls} },
	"pullOf":   func(p page, pull pullPage) pullPart { return pullPart{p.Repo, pull} },
}).ParseFS(assets, "assets/*.html"))

// site serves the pages of one GitHub.
type site struct {
	github *githubsim.Server
	about  map[string]string
}

// New returns the pages of a GitHub. about says a word about some of its
// people, by login: "outsider".
func New(github *githubsim.Server, about map[string]string) http.Handler {
	s := &site{github: github, about: about}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showRepos)
	mux.HandleFunc("GET /-/{file}", s.showAsset)
	mux.HandleFunc("POST /-/act-as", s.actAs)
	mux.HandleFunc("GET /{owner}", s.showAccount)
	mux.HandleFunc("GET /apps/{owner}", s.showAccount)

	const repo = "/{owner}/{repo}"
	for pattern, handle := range map[string]func(*visit){
		"GET " + repo:                      (*visit).showRepo,
		"GET " + repo + "/tree/{at...}":    (*visit).showTree,
		"GET " + repo + "/blob/{at...}":    (*visit).showBlob,
		"GET " + repo + "/raw/{at...}":     (*visit).showRaw,
		"GET " + repo + "/commits/{at...}": (*visit).showCommits,
		"GET " + repo + "/commit/{sha}":    (*visit).showCommit,
		"GET " + repo + "/compare/{at...}": (*visit).showComparison,
		"GET " + repo + "/runs/{id}":       (*visit).showRun,
		"GET " + repo + "/pulls":           (*visit).showPulls,
		"GET " + repo + "/pull/{n}":        (*visit).showPull,
		"GET " + repo + "/issues":          (*visit).showIssues,
		"GET " + repo + "/issues/{n}":      (*visit).showIssue,
		"POST " + repo:                     (*visit).push,
		"POST " + repo + "/blob/{at...}":   (*visit).push,
		"POST " + repo + "/pulls":          (*visit).openPull,
		"POST " + repo + "/pull/{n}":       (*visit).changePull,
		"POST " + repo + "/issues":         (*visit).openIssue,
		"POST " + repo + "/issues/{n}":     (*visit).commentIssue,
		"POST " + repo + "/runs/{id}":      (*visit).pressRun,
	} {
		mux.HandleFunc(pattern, s.inRepo(handle))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.missing(w, r, "There is no page at this address.") })
	return guard(github, mux)
}

// visit is one request about a repository.
type visit struct {
	*site
	w       http.ResponseWriter
	r       *http.Request
	repo    string // owner/name
	actor   string
	refusal string // why the visitor's deed was refused
	status  int    // to answer with; 200 if 0
}

func (s *site) inRepo(handle func(*visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		want := r.PathValue("owner") + "/" + r.PathValue("repo")
		for _, repo := range s.github.Repos() {
			if strings.EqualFold(repo, want) {
				handle(&visit{site: s, w: w, r: r, repo: repo, actor: s.actor(r)})
				return
			}
		}
		s.missing(w, r, "There is no repository "+want+".")
	}
}

func (v *visit) person() *githubsim.Person { return v.github.As(v.actor) }

func (v *visit) missing(what string) { v.site.missing(v.w, v.r, what) }

// field is what the visitor typed, with the line ends that people mean.
func (v *visit) field(name string) string {
	return strings.ReplaceAll(v.r.PostFormValue(name), "\r\n", "\n")
}

// page is what every template is given.
type page struct {
	Title   string
	People  []visitor
	Actor   string
	Path    string // of this page
	Repo    string // owner/name; empty outside of repositories
	Tab     string // code, issues, pulls
	Counts  counts
	Refusal string
	Body    any

	typed func(field string) string
}

// The parts that several pages have, with the repository that links need.
type (
	logPart struct {
		Repo string
		Log  []githubsim.Commit
	}
	checksPart struct {
		Repo   string
		Checks []githubsim.CheckView
	}
	pullsPart struct {
		Repo  string
		Pulls []pullRow
	}
	pullPart struct {
		Repo string
		pullPage
	}
)

// counts stand on the tabs of a repository.
type counts struct{ Issues, Pulls int }

// Typed is what the visitor typed into a field of a form that was refused.
func (p page) Typed(form, field string) string {
	if p.Refusal == "" || p.typed("form") != form {
		return ""
	}
	return p.typed(field)
}

// Owner is the first half of the repository's name, Name the second.
func (p page) Owner() string { return strings.Split(p.Repo, "/")[0] }

// Name is the repository's name without its owner.
func (p page) Name() string { return p.Repo[strings.Index(p.Repo, "/")+1:] }

func (v *visit) show(name, tab, title string, body any) {
	p := page{Title: title + " · " + v.repo, Repo: v.repo, Tab: tab, Refusal: v.refusal, Body: body, typed: v.field}
	for _, pull := range v.github.Pulls(v.repo) {
		if pull.State == "open" {
			p.Counts.Pulls++
		}
	}
	for _, issue := range v.github.Issues(v.repo) {
		if issue.State == "open" {
			p.Counts.Issues++
		}
	}
	v.render(v.w, v.r, v.status, name, p)
}

func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Actor, p.Path = s.actor(r), r.URL.Path
	p.People = s.people(p.Actor)
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, p); err != nil {
		http.Error(w, "The page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = out.WriteTo(w) // the visitor may be gone
}

func (s *site) missing(w http.ResponseWriter, r *http.Request, what string) {
	s.render(w, r, http.StatusNotFound, "missing", page{Title: "Not found", Body: what})
}

func (s *site) showAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if !strings.HasSuffix(name, ".css") && !strings.HasSuffix(name, ".js") {
		s.missing(w, r, "There is no page at this address.")
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, assets, "assets/"+name)
}

// words are a constant of the API in people's words: "CHANGES_REQUESTED".
func words(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", " ")) }

// mark is the shape and colour of a state: good, bad, wait or none. The word is
// always beside it.
func mark(state string) string {
	switch strings.ToLower(state) {
	case "success", "approved", "clean":
		return "good"
	case "failure", "error", "timed_out", "action_required", "cancelled", "startup_failure", "changes_requested", "dirty":
		return "bad"
	case "queued", "in_progress", "pending", "waiting", "requested", "blocked", "unstable", "behind", "unknown":
		return "wait"
	}
	return "none"
}
