package github

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
)

var testKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
})

const noon = 1_795_435_200 // 2026-11-23 12:00:00 UTC

func clock() time.Time { return time.Unix(noon, 0) }

// answering is an App whose GitHub hands out a token and answers everything
// else by handler.
func answering(t *testing.T, handler http.HandlerFunc) (*App, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/access_tokens") {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"token":"ghs_x","expires_at":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
			return
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	app, err := New(Config{APIURL: server.URL + "/api/v3", GitURL: server.URL, AppID: 1, PrivateKey: testKey(), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return app, server
}

func TestEveryRefusalIsClassified(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		headers map[string]string
		body    string
		kind    fault.Kind
		until   time.Duration // after noon
		hint    string
	}{
		{"primary limit", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(noon + 90)}, `{"message":"API rate limit exceeded"}`, fault.RateLimited, 90 * time.Second, ""},
		{"primary limit as 429", 429, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(noon + 90)}, `{}`, fault.RateLimited, 90 * time.Second, ""},
		{"reset in the past", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(noon - 5)}, `{}`, fault.RateLimited, time.Second, ""},
		{"secondary limit", 403, map[string]string{"Retry-After": "17"}, `{"message":"You have exceeded a secondary rate limit"}`, fault.RateLimited, 17 * time.Second, ""},
		{"secondary limit with a date", 429, map[string]string{"Retry-After": clock().Add(30 * time.Second).UTC().Format(http.TimeFormat)}, `{}`, fault.RateLimited, 30 * time.Second, ""},
		{"secondary limit told by text only", 403, nil, `{"message":"You have exceeded a secondary rate limit. Please wait."}`, fault.RateLimited, time.Minute, ""},
		{"abuse told by plain text", 403, nil, `You have triggered an abuse detection mechanism`, fault.RateLimited, time.Minute, ""},
		{"429 that says nothing", 429, nil, ``, fault.RateLimited, time.Minute, ""},
		{"missing permission", 403, map[string]string{"X-Accepted-GitHub-Permissions": "checks=write,contents=read; checks=admin"}, `{"message":"Resource not accessible by integration"}`, fault.Denied, 0, "checks=write and contents=read or checks=admin"},
		{"suspended", 403, nil, `{"message":"This installation has been suspended"}`, fault.Denied, 0, "unsuspend"},
		{"not allowed", 403, nil, `{"message":"Branch is locked"}`, fault.Denied, 0, "Branch is locked"},
		{"not there", 404, nil, `{"message":"Not Found"}`, fault.NotFound, 0, "the App may not see it"},
		{"conflict", 409, nil, `{"message":"Git Repository is empty."}`, fault.Conflict, 0, ""},
		{"invalid", 422, nil, `{"message":"Validation Failed","errors":[{"resource":"Issue","field":"body","code":"missing_field"},"too long",{"message":"odd"}]}`, fault.Invalid, 0, "Issue body missing_field; too long; odd"},
		{"replica lag", 422, nil, `{"message":"Validation Failed","errors":["Could not resolve to a node with the global id"]}`, fault.Transient, 0, "tries again"},
		{"unwell", 502, nil, `<html>Bad Gateway</html>`, fault.Transient, 0, "tries again"},
		{"token revoked", 401, nil, `{"message":"Bad credentials"}`, fault.Transient, 0, "new one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range test.headers {
					w.Header().Set(name, value)
				}
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			_, err := app.Repo(1, "acme", "env").Pull(t.Context(), 7)
			if !fault.Is(err, test.kind) {
				t.Fatalf("kind %v, want %v: %v", fault.KindOf(err), test.kind, err)
			}
			if test.kind == fault.RateLimited {
				if got := fault.UntilOf(err).Sub(clock()); got != test.until {
					t.Errorf("until noon + %s, want %s", got, test.until)
				}
			}
			if !strings.Contains(fault.HintOf(err), test.hint) {
				t.Errorf("hint %q lacks %q", fault.HintOf(err), test.hint)
			}
			if !strings.Contains(err.Error(), "acme/env: read #7") {
				t.Errorf("the error does not say what was attempted: %v", err)
			}
		})
	}
}

func TestRefusedAppSaysWhatToMend(t *testing.T) {
	for message, hint := range map[string]string{
		`'Expiration time' claim ('exp') is too far in the future`:                                         "clock",
		`'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued`: "clock",
		`A JSON web token could not be decoded`:                                                            "private key",
	} {
		app, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"message":%q}`, message)
		})
		_, err := app.Login(t.Context())
		if !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), hint) {
			t.Errorf("%s: %v, hint %q", message, err, fault.HintOf(err))
		}
	}
}

func TestBrokenConnectionsAreTransient(t *testing.T) {
	app, server := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/1") {
			io.WriteString(w, `{"number":`) // the answer breaks off
			return
		}
		panic(http.ErrAbortHandler)
	})
	repo := app.Repo(1, "acme", "env")
	for n := 1; n <= 2; n++ {
		if _, err := repo.Pull(t.Context(), n); !fault.Is(err, fault.Transient) {
			t.Errorf("#%d: %v is %v", n, err, fault.KindOf(err))
		}
	}
	server.Close()
	if _, err := repo.Pull(t.Context(), 3); !fault.Is(err, fault.Transient) {
		t.Errorf("server gone: %v is %v", err, fault.KindOf(err))
	}
}

func TestSlowAnswersEndInTime(t *testing.T) {
	app, server := answering(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	app.wire.timeout = 50 * time.Millisecond
	_, err := app.Repo(1, "acme", "env").Pull(t.Context(), 1)
	if !fault.Is(err, fault.Transient) || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("our own time limit: %v", err)
	}
	app.wire.timeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := app.Repo(1, "acme", "env").Pull(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller went away: %v", err)
	}
	server.CloseClientConnections()
}

func TestCredentialsGoNowhereElse(t *testing.T) {
	var stolen atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	app, server := answering(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v3/repos/acme/moved/pulls/1":
			http.Redirect(w, r, "/api/v3/repositories/9/pulls/1", http.StatusMovedPermanently)
		case "/api/v3/repositories/9/pulls/1":
			io.WriteString(w, `{"number":1}`)
		case "/api/v3/repos/acme/pages/pulls/1":
			http.Redirect(w, r, "/somewhere", http.StatusFound)
		default:
			http.Redirect(w, r, thief.URL+"/api/v3/x", http.StatusFound)
		}
	})
	if _, err := app.Repo(1, "acme", "moved").Pull(t.Context(), 1); err != nil {
		t.Errorf("a renamed repository: %v", err)
	}
	for _, name := range []string{"env", "pages"} {
		_, err := app.Repo(1, "acme", name).Pull(t.Context(), 1)
		if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "refused to send GitHub credentials") {
			t.Errorf("redirected away from the API at %s: %v", server.URL, err)
		}
	}
	if stolen.Load() != 0 {
		t.Error("another host was asked")
	}
}

func TestRevokedTokenIsReplaced(t *testing.T) {
	var minted, asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/access_tokens"):
			body, _ := io.ReadAll(r.Body)
			if got := strings.TrimSpace(string(body)); got != "{}" {
				t.Errorf("the token was asked for with body %q", got)
			}
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"token":"ghs_%d","expires_at":%q}`, minted.Add(1), time.Now().Add(time.Hour).Format(time.RFC3339))
		case r.Header.Get("Authorization") != "token ghs_2":
			asked.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"message":"Bad credentials"}`)
		default:
			io.WriteString(w, `{"number":1}`)
		}
	}))
	defer server.Close()
	app, err := New(Config{APIURL: server.URL, GitURL: server.URL, AppID: 1, PrivateKey: testKey()})
	if err != nil {
		t.Fatal(err)
	}
	repo := app.Repo(1, "acme", "env")
	if _, err := repo.Pull(t.Context(), 1); !fault.Is(err, fault.Transient) {
		t.Errorf("with the revoked token: %v", err)
	}
	if _, err := repo.Pull(t.Context(), 1); err != nil {
		t.Errorf("with the next token: %v", err)
	}
	if token, err := repo.Token(t.Context()); token != "ghs_2" || err != nil {
		t.Errorf("Token = %q, %v", token, err)
	}
}

func TestOneWriteAtATimePerInstallation(t *testing.T) {
	var writes, reads, most atomic.Int64
	released := make(chan struct{})
	app, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			// Reads do not wait for each other: all three arrive before any is answered.
			if reads.Add(1) == 3 {
				close(released)
			}
			<-released
			io.WriteString(w, `{"number":1}`)
			return
		}
		if now := writes.Add(1); now > most.Load() {
			most.Store(now)
		}
		for range 1000 {
			runtime.Gosched() // lets others collide
		}
		writes.Add(-1)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id":1}`)
	})
	var done sync.WaitGroup
	for i := range 8 {
		repo := app.Repo(1, "acme", fmt.Sprintf("env%d", i%2))
		done.Go(func() {
			if _, err := repo.Comment(t.Context(), 1, "hello"); err != nil {
				t.Error(err)
			}
		})
	}
	for range 3 {
		done.Go(func() {
			if _, err := app.Repo(1, "acme", "env").Pull(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if most.Load() != 1 {
		t.Errorf("%d writes at once", most.Load())
	}
	want := map[Call]int64{{"POST", Content}: 8, {"GET", Read}: 3, {"POST", Write}: 1}
	if diff := cmp.Diff(want, app.Calls()); diff != "" {
		t.Errorf("calls: %s", diff)
	}
}

func TestWaitingForATurnEndsWithTheCaller(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	app, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"id":1}`)
	})
	repo := app.Repo(1, "acme", "env")
	first := make(chan error, 1)
	go func() {
		_, err := repo.Comment(context.Background(), 1, "first")
		first <- err
	}()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := repo.Comment(ctx, 1, "second"); !errors.Is(err, context.Canceled) {
		t.Errorf("the second write: %v", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestUnknownRulesAreNoObstacle(t *testing.T) {
	app, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/rules/") {
			if r.URL.EscapedPath() != "/api/v3/repos/acme/env/rules/branches/release%2F1" {
				t.Errorf("asked for %s", r.URL.EscapedPath())
			}
			io.WriteString(w, `[{"type":"merge_queue","parameters":{"merge_method":"SQUASH"}},{"type":"from_the_future"},
				{"type":"required_status_checks","parameters":{"strict_required_status_checks_policy":true,
				 "required_status_checks":[{"context":"tagboat","integration_id":7},{"context":"lint"}]}}]`)
			return
		}
		io.WriteString(w, `{"protection":{"enabled":true,"required_status_checks":{
			"contexts":["lint","old"],"checks":[{"context":"lint","app_id":-1},{"context":"scan","app_id":9}]}}}`)
	})
	rules, err := app.Repo(1, "acme", "env").Rules(t.Context(), "release/1")
	want := BranchRules{Checks: []RequiredCheck{{"lint", 0}, {"old", 0}, {"scan", 9}, {"tagboat", 7}}, Strict: true, Queue: true}
	if diff := cmp.Diff(want, rules); diff != "" || err != nil {
		t.Errorf("err %v, %s", err, diff)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := Config{APIURL: "https://api.github.com", GitURL: "https://github.com", AppID: 1, PrivateKey: testKey()}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"API": func(c *Config) { c.APIURL = "api.github.com" },
		"git": func(c *Config) { c.GitURL = "" },
		"id":  func(c *Config) { c.AppID = 0 },
		"PEM": func(c *Config) { c.PrivateKey = []byte("secret words") },
	} {
		bad := good
		spoil(&bad)
		_, err := New(bad)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), name) || strings.Contains(err.Error(), "secret words") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUsedUpLimitIsRememberedWithoutAsking(t *testing.T) {
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	app, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Reset", fmt.Sprint(reset.Unix()))
		io.WriteString(w, `{"number":1}`)
	})
	app.now = time.Now
	repo := app.Repo(1, "acme", "env")
	if _, err := repo.Pull(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	_, err := repo.Pull(t.Context(), 1)
	if !fault.Is(err, fault.RateLimited) || !fault.UntilOf(err).Equal(reset) {
		t.Errorf("%v until %s, want %s", err, fault.UntilOf(err), reset)
	}
	if got := app.Calls()[Call{"GET", Read}]; got != 1 {
		t.Errorf("%d requests were sent", got)
	}
}
