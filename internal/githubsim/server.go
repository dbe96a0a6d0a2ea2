package githubsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Options configure a Server. Only Dir is needed.
type Options struct {
	Dir    string           // where the bare repositories live; made if absent
	Now    func() time.Time // the clock of this GitHub; time.Now if nil
	Logger *slog.Logger     // discarded if nil
	Pages  http.Handler     // answers paths that are neither API nor git; 404 if nil

	// Wrap, if set, is put around everything that Listen serves: a log, or a
	// judge of the traffic.
	Wrap func(http.Handler) http.Handler

	// MergeableUnknown is how many reads of a pull request answer
	// mergeable=null after its head or base moved, while GitHub "computes".
	MergeableUnknown int
	// RateLimit is the number of requests an installation or user may make
	// per hour; 15,000 if zero, as in an enterprise organization.
	RateLimit int
	// SecondaryLimits, if set, are enforced. They are off otherwise, as by default
	// on a GitHub Enterprise Server: the demo and the benchmarks promote in seconds
	// what github.com allows in an hour. Tests of whoever has to keep within limits
	// turn them on.
	SecondaryLimits *SecondaryLimits
}

// Server is one GitHub: an http.Handler with its own state.
type Server struct {
	opt    Options
	log    *slog.Logger
	router *router

	mu            sync.Mutex
	url           string
	lastID        int64
	accounts      map[string]*account // by lower-case login
	apps          map[int64]*App
	installations []*installation
	tokens        map[string]*token
	repos         map[string]*repo // by lower-case owner/name
	moved         map[string]*repo // by the names that they had before, where nobody else has them
	deliveries    []*delivery
	used          map[string]*allowance // rate limit by caller
	spent         map[string]*secondary // secondary rate limits by caller
	flying        map[string]int        // requests under way by caller
	trips         []Trip
	cache         map[string]any // facts about immutable git objects
	hookPolicy    HookPolicy
	outbox        []queued // events of the request at hand
	observers     []func(Event)

	knobs     knobs
	pending   pending
	observing chan []Event
	stop      context.CancelFunc
	ctx       context.Context
	running   sync.WaitGroup
	http      *http.Server
}

// New returns a GitHub without accounts. Listen serves it; as a handler it
// may also be mounted elsewhere, with SetURL saying where.
func New(opt Options) (*Server, error) {
	if opt.Dir == "" {
		return nil, errors.New("githubsim: Options.Dir names no directory for the git repositories")
	}
	if err := checkGit(); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("githubsim: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("githubsim: make the repository directory: %w", err)
	}
	opt.Dir = dir
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if opt.RateLimit == 0 {
		opt.RateLimit = 15000
	}
	s := &Server{
		opt: opt, log: opt.Logger, url: "http://127.0.0.1", lastID: 1000,
		accounts: map[string]*account{}, apps: map[int64]*App{}, tokens: map[string]*token{},
		repos: map[string]*repo{}, moved: map[string]*repo{}, used: map[string]*allowance{}, spent: map[string]*secondary{}, flying: map[string]int{}, cache: map[string]any{},
	}
	s.router = newRouter(s.routes())
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.startObserving()
	return s, nil
}

// Listen serves on addr ("127.0.0.1:0" for any free port) until Close.
func (s *Server) Listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("githubsim: %w", err)
	}
	var h http.Handler = s
	if s.opt.Wrap != nil {
		h = s.opt.Wrap(s)
	}
	s.http = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.SetURL("http://" + l.Addr().String())
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the GitHub simulator stopped serving", "err", err)
		}
	}()
	return nil
}

// Close stops serving and delivering; requests at work get a moment to end.
// The repositories stay on disk.
func (s *Server) Close() error {
	s.stop()
	if s.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			_ = s.http.Close() // cuts what would not end
		}
	}
	s.running.Wait()
	return nil
}

// SetPages replaces Options.Pages, for pages that are made from the Server.
func (s *Server) SetPages(h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Pages = h
}

func (s *Server) pages() http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opt.Pages
}

// SetURL says where people and Apps reach this server, without a final slash.
func (s *Server) SetURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = strings.TrimSuffix(url, "/")
}

// URL is the address of the web pages; the API is at URL()+"/api/v3/".
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// APIURL is the base address for an API client, with a final slash.
func (s *Server) APIURL() string { return s.URL() + "/api/v3/" }

// ServeHTTP answers the API, git's smart HTTP, and leaves the rest to Pages.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case isGitPath(r.URL.Path):
		s.serveGit(w, r)
		return
	case strings.HasPrefix(r.URL.Path, "/api/v3/") || s.router.knows(r.URL.EscapedPath()):
		s.serveAPI(w, r)
		return
	}
	if pages := s.pages(); pages != nil {
		pages.ServeHTTP(w, r)
		return
	}
	s.serveAPI(w, r) // answers GitHub's 404
}

func (s *Server) now() time.Time { return s.opt.Now().UTC().Truncate(time.Second) }

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// change runs fn with the state locked and hands the events it caused to the
// deliverers afterwards.
func (s *Server) change(fn func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	return fn()
}

func (s *Server) account(login string) *account { return s.accounts[strings.ToLower(login)] }

func (s *Server) repo(fullName string) *repo { return s.repos[strings.ToLower(fullName)] }

// knownRepo is repo with an error that names what is missing.
func (s *Server) knownRepo(fullName string) (*repo, error) {
	if r := s.repo(fullName); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("githubsim: there is no repository %q", fullName)
}
