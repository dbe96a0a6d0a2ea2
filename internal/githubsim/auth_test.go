package githubsim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
)

func contains(er *github.ErrorResponse, part string) bool {
	if strings.Contains(er.Message, part) {
		return true
	}
	for _, e := range er.Errors {
		if strings.Contains(e.Message, part) || strings.Contains(e.Error(), part) {
			return true
		}
	}
	return false
}

func TestAppIntroducesItself(t *testing.T) {
	w := newWorld(t)
	app, _, err := w.jwtClient(w.app.PrivateKey).Apps.Get(t.Context(), "")
	must(t, err)
	if app.GetID() != w.app.ID || app.GetSlug() != "tagboat" || app.GetPermissions().GetContents() != "write" {
		t.Errorf("got %v", app)
	}
	_, _, err = w.jwtClient(w.ci.PrivateKey).Apps.Get(t.Context(), "")
	refused(t, err, 401, "A JSON web token could not be decoded")
}

func TestJWTLivesOnTheClockOfGitHub(t *testing.T) {
	w := newWorld(t)
	now := w.clock.now()
	cases := []struct {
		name     string
		iat, exp time.Duration
		message  string
	}{
		{"good", -30 * time.Second, 9 * time.Minute, ""},
		{"issued in the future", time.Minute, 5 * time.Minute, "'Issued at' claim"},
		{"expired", -10 * time.Minute, -time.Second, "future time at which the assertion expires"},
		{"too long", 0, 11 * time.Minute, "too far in the future"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			token, err := w.app.SignJWT(now.Add(tc.iat), now.Add(tc.exp))
			must(t, err)
			_, _, err = w.client(nil).WithAuthToken(token).Apps.Get(t.Context(), "")
			if tc.message == "" {
				must(t, err)
				return
			}
			refused(t, err, 401, tc.message)
		})
	}
}

func TestInstallationTokenIsLongNarrowAndShortLived(t *testing.T) {
	w := newWorld(t)
	apps := w.jwtClient(w.app.PrivateKey).Apps
	inst, _, err := apps.FindRepositoryInstallation(t.Context(), "acme", "env")
	must(t, err)
	if inst.GetID() != w.inst {
		t.Fatalf("installation %d, want %d", inst.GetID(), w.inst)
	}
	tok, _, err := apps.CreateInstallationToken(t.Context(), w.inst, &github.InstallationTokenOptions{
		Repositories: []string{"env"}, Permissions: &github.InstallationPermissions{Contents: github.String("read")},
	})
	must(t, err)
	if v := tok.GetToken(); !strings.HasPrefix(v, "ghs_") || len(v) <= 40 {
		t.Errorf("token has the old shape: %d characters", len(v))
	}
	c := w.client(nil).WithAuthToken(tok.GetToken())
	_, _, err = c.Repositories.Get(t.Context(), "acme", "env")
	must(t, err)
	_, _, err = c.Issues.CreateComment(t.Context(), "acme", "env", 1, &github.IssueComment{Body: github.String("hi")})
	er := refused(t, err, 403, "Resource not accessible by integration")
	if got := er.Response.Header.Get("X-Accepted-GitHub-Permissions"); got != "issues=write; pull_requests=write" {
		t.Errorf("accepted permissions %q", got)
	}
	_, _, err = c.Repositories.Get(t.Context(), "acme", "secret")
	refused(t, err, 404, "Not Found")

	w.clock.advance(61 * time.Minute)
	_, _, err = c.Repositories.Get(t.Context(), "acme", "env")
	refused(t, err, 401, "Bad credentials")

	_, _, err = apps.CreateInstallationToken(t.Context(), w.inst, &github.InstallationTokenOptions{Repositories: []string{"secret"}})
	if err == nil {
		t.Error("a token for a repository outside the installation was given out")
	}
}

func TestOutsidersAndStrangers(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.person("mallory").Repositories.Get(t.Context(), "acme", "env")
	refused(t, err, 404, "Not Found")
	_, _, err = w.client(nil).WithAuthToken("ghp_wrong").Repositories.Get(t.Context(), "acme", "env")
	refused(t, err, 401, "Bad credentials")
	_, _, err = w.person("alice").Checks.CreateCheckRun(t.Context(), "acme", "env", github.CreateCheckRunOptions{Name: "x", HeadSHA: "y"})
	refused(t, err, 403, "GitHub App")
	level, _, err := w.bot().Repositories.GetPermissionLevel(t.Context(), "acme", "env", "carol")
	must(t, err)
	if level.GetPermission() != "write" || level.User.GetRoleName() != "maintain" {
		t.Errorf("carol: %s, %s", level.GetPermission(), level.User.GetRoleName())
	}
	members, _, err := w.bot().Teams.ListTeamMembersBySlug(t.Context(), "acme", "platform", nil)
	must(t, err)
	if len(members) != 3 {
		t.Errorf("platform has %d members", len(members))
	}
	_, res, err := w.bot().Teams.GetTeamMembershipBySlug(t.Context(), "acme", "platform", "mallory")
	if err == nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("mallory is in the team: %v", err)
	}
}

func TestRateLimit(t *testing.T) {
	w := newWorld(t, func(o *githubsim.Options) { o.RateLimit = 2 })
	c := w.bot()
	for range 2 {
		_, _, err := c.Repositories.Get(t.Context(), "acme", "env")
		must(t, err)
	}
	_, _, err := c.Repositories.Get(t.Context(), "acme", "env")
	if _, ok := err.(*github.RateLimitError); !ok {
		t.Fatalf("third request: %v", err)
	}
}

func TestSuspendedInstallation(t *testing.T) {
	w := newWorld(t)
	c := w.bot()
	_, _, err := c.Repositories.Get(t.Context(), "acme", "env")
	must(t, err)
	w.Suspend(w.inst, true)
	_, _, err = c.Repositories.Get(t.Context(), "acme", "env")
	refused(t, err, 403, "This installation has been suspended")
	w.Suspend(w.inst, false)
	_, _, err = c.Repositories.Get(t.Context(), "acme", "env")
	must(t, err)
}

func TestRightsCanBeTakenAway(t *testing.T) {
	w := newWorld(t)
	c := w.bot()
	_, _, err := c.PullRequests.List(t.Context(), "acme", "env", nil)
	must(t, err)
	w.SetPermissions(w.app.ID, map[string]string{"contents": "read"})
	_, _, err = c.PullRequests.List(t.Context(), "acme", "env", nil)
	er := refused(t, err, 403, "Resource not accessible by integration")
	if got := er.Response.Header.Get("X-Accepted-GitHub-Permissions"); got != "pull_requests=read" {
		t.Errorf("accepted permissions %q", got)
	}
	w.RevokeTokens()
	_, _, err = c.Repositories.Get(t.Context(), "acme", "env")
	refused(t, err, 401, "Bad credentials")
}

func TestPagesAnswerWhatIsNeitherAPINorGit(t *testing.T) {
	w := newWorld(t)
	get := func(path string) (int, string) {
		t.Helper()
		res, err := http.Get(w.URL() + path)
		must(t, err)
		defer res.Body.Close()
		return res.StatusCode, res.Header.Get("Content-Type")
	}
	if status, kind := get("/acme/env/pull/3"); status != 404 || !strings.HasPrefix(kind, "application/json") {
		t.Errorf("without pages: %d %s", status, kind)
	}
	w.SetPages(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		rw.WriteHeader(http.StatusTeapot)
	}))
	if status, _ := get("/acme/env/pull/3"); status != http.StatusTeapot {
		t.Errorf("with pages: %d", status)
	}
	for _, path := range []string{"/users/alice", "/api/v3/users/alice"} {
		if status, kind := get(path); status != 200 || !strings.HasPrefix(kind, "application/json") {
			t.Errorf("the API at %s: %d %s", path, status, kind)
		}
	}
}
