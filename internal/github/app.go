package github

import (
	"context"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/golang-jwt/jwt/v4"
	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/fault"
)

// Config says which App this is and where its GitHub lives.
type Config struct {
	APIURL     string // "https://api.github.com", or "https://HOST/api/v3" of a GitHub Enterprise Server
	GitURL     string // "https://github.com"
	AppID      int64
	PrivateKey []byte            // PEM, as GitHub hands it out
	Transport  http.RoundTripper // nil: http.DefaultTransport
	Now        func() time.Time  // nil: time.Now
	Logger     *slog.Logger      // nil: nothing is logged
	Limits     Limits            // of each installation; none: only what GitHub says of limits is heeded
	Ledger     Ledger            // shared with the other replicas; nil: there are none
}

// App is the GitHub App itself. It is safe for concurrent use.
type App struct {
	id     int64
	key    *rsa.PrivateKey
	base   *url.URL
	gitURL string
	now    func() time.Time
	wire   *wire
	client client // as the App, not as an installation
	limits Limits
	ledger Ledger

	mu       sync.Mutex
	slug     string
	sessions map[int64]*installation
	repos    map[repoKey]*Repo
}

type repoKey struct {
	installation int64
	owner, name  string
}

type installation struct {
	session *session
	client  client
}

// New checks the configuration; it does not talk to GitHub.
func New(cfg Config) (*App, error) {
	base, err := url.Parse(strings.TrimRight(cfg.APIURL, "/") + "/")
	if err != nil || base.Host == "" {
		return nil, fault.Errorf(fault.Invalid, "GitHub API address %q is not a URL such as https://api.github.com", cfg.APIURL)
	}
	if git, err := url.Parse(cfg.GitURL); err != nil || git.Host == "" {
		return nil, fault.Errorf(fault.Invalid, "GitHub git address %q is not a URL such as https://github.com", cfg.GitURL)
	}
	if cfg.AppID <= 0 {
		return nil, fault.Errorf(fault.Invalid, "the GitHub App's id is missing: it stands on the App's settings page")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(cfg.PrivateKey)
	if err != nil {
		return nil, fault.E(fault.Invalid, "The GitHub App's private key is not a PEM file with an RSA key: "+
			"generate and download one on the App's settings page.", fmt.Errorf("read the App's private key: %w", err))
	}
	a := &App{
		id: cfg.AppID, key: key, base: base, gitURL: strings.TrimRight(cfg.GitURL, "/"), now: cfg.Now,
		sessions: map[int64]*installation{}, repos: map[repoKey]*Repo{}, limits: cfg.Limits, ledger: cfg.Ledger,
	}
	if a.ledger == nil {
		a.ledger = &alone{kept: map[int64]entry{}}
	}
	if a.now == nil {
		a.now = time.Now
	}
	a.wire = &wire{next: cfg.Transport, origin: base, now: a.now, log: cfg.Logger, timeout: requestTimeout, calls: map[Call]int64{}}
	if a.wire.next == nil {
		a.wire.next = http.DefaultTransport
	}
	if a.wire.log == nil {
		a.wire.log = slog.New(slog.DiscardHandler)
	}
	a.client = a.newClient(a.appTransport())
	return a, nil
}

// appTransport signs requests as the App. Each installation has its own:
// ghinstallation v2.10 writes to it whenever it renews a token.
func (a *App) appTransport() *ghinstallation.AppsTransport {
	t := ghinstallation.NewAppsTransportFromPrivateKey(a.wire, a.id, a.key)
	t.BaseURL = strings.TrimRight(a.base.String(), "/")
	return t
}

func (a *App) installation(id int64) *installation {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found, ok := a.sessions[id]; ok {
		return found
	}
	budget := &purse{installation: id, limits: a.limits, ledger: a.ledger, now: a.now}
	s := newSession(newGovernor(budget, a.wire.log), func() *ghinstallation.Transport {
		t := ghinstallation.NewFromAppsTransport(a.appTransport(), id)
		// Without options ghinstallation sends the body "null", which GitHub's
		// own description does not allow.
		t.InstallationTokenOptions = &gh.InstallationTokenOptions{}
		return t
	})
	made := &installation{session: s, client: a.newClient(s)}
	a.sessions[id] = made
	return made
}

// fail classifies *err and says what was attempted. Deferred by every method
// that talks to GitHub.
func (a *App) fail(err *error, format string, args ...any) {
	*err = classify(*err, a.now())
	fault.Wrap(err, format, args...)
}

// ID is the App's id.
func (a *App) ID() int64 { return a.id }

// Host is where people find repositories: "github.com".
func (a *App) Host() string {
	u, err := url.Parse(a.gitURL)
	if err != nil {
		return "" // New has read it before
	}
	return u.Host
}

// Calls is how many requests were sent so far, by method and class.
func (a *App) Calls() map[Call]int64 { return a.wire.counts() }

// Login is the name under which GitHub shows what the App does: "<slug>[bot]".
func (a *App) Login(ctx context.Context) (_ string, err error) {
	defer a.fail(&err, "read the App")
	a.mu.Lock()
	slug := a.slug
	a.mu.Unlock()
	if slug == "" {
		app, _, err := a.client.Apps.Get(ctx, "")
		if err != nil {
			return "", err
		}
		if slug = app.GetSlug(); slug == "" {
			return "", fault.Errorf(fault.Broken, "GitHub's description of App %d has no slug", a.id)
		}
		a.mu.Lock()
		a.slug = slug
		a.mu.Unlock()
	}
	return slug + "[bot]", nil
}
