package githubsim

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// actor is who made a request: an App itself (jwt), an App as an installation
// (token), a person (user), or nobody.
type actor struct {
	app   *App
	token *token
	user  *account
}

// account is the user that the actor's deeds are attributed to.
func (a actor) account() *account {
	if a.app != nil {
		return a.app.bot
	}
	return a.user
}

func (a actor) names() (app, user string) {
	if a.app != nil {
		app = a.app.Slug
	}
	if acc := a.account(); acc != nil {
		user = acc.login
	}
	return app, user
}

// key tells callers apart for rate limits.
func (a actor) key() string {
	switch {
	case a.token != nil:
		return "installation " + strconv.FormatInt(a.token.installation.id, 10)
	case a.app != nil:
		return "app " + a.app.Slug
	case a.user != nil:
		return "user " + a.user.login
	}
	return "anonymous"
}

// credential reads the secret out of an Authorization header.
func credential(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "token") {
		return strings.TrimSpace(secret)
	}
	return ""
}

func (s *Server) authenticate(c *call) (err error) {
	c.actor, err = s.identify(credential(c.r))
	return err
}

// identify finds who holds a secret. No secret is nobody; a wrong one is 401.
func (s *Server) identify(secret string) (actor, error) {
	switch {
	case secret == "":
		return actor{}, nil
	case strings.HasPrefix(secret, "ghs_"):
		return s.identifyInstallation(secret)
	case strings.HasPrefix(secret, "ghp_"):
		for _, a := range s.accounts {
			if a.token == secret {
				return actor{user: a}, nil
			}
		}
	case strings.Count(secret, ".") == 2:
		app, err := s.verifyJWT(secret)
		return actor{app: app}, err
	}
	return actor{}, fail(http.StatusUnauthorized, "Bad credentials")
}

func (s *Server) identifyInstallation(secret string) (actor, error) {
	t := s.tokens[secret]
	if t == nil || !s.opt.Now().Before(t.expires) {
		return actor{}, fail(http.StatusUnauthorized, "Bad credentials")
	}
	if t.installation.suspended {
		return actor{}, fail(http.StatusForbidden, "This installation has been suspended")
	}
	return actor{app: t.installation.app, token: t}, nil
}

// verifyJWT checks what GitHub checks of an App's JWT: RS256 by the App's key,
// issued in the past, and at most ten minutes of life left.
func (s *Server) verifyJWT(raw string) (*App, error) {
	claims := jwt.MapClaims{}
	var app *App
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	_, err := parser.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) {
		if app = s.apps[issuer(claims["iss"])]; app == nil {
			return nil, fmt.Errorf("unknown issuer")
		}
		return app.key, nil
	})
	unauthorized := func(message string) (*App, error) { return nil, fail(http.StatusUnauthorized, message) }
	if app == nil && err != nil && claims["iss"] != nil {
		return nil, fail(http.StatusNotFound, "Integration not found")
	}
	if err != nil {
		return unauthorized("A JSON web token could not be decoded")
	}
	now := s.opt.Now()
	iat, hasIat := claims["iat"].(float64)
	exp, hasExp := claims["exp"].(float64)
	switch {
	case !hasExp:
		return unauthorized("Missing 'Expiration time' claim ('exp') in assertion")
	case !hasIat || time.Unix(int64(iat), 0).After(now):
		return unauthorized("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case !time.Unix(int64(exp), 0).After(now):
		return unauthorized("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case time.Unix(int64(exp), 0).After(now.Add(10 * time.Minute)):
		return unauthorized("'Expiration time' claim ('exp') is too far in the future")
	}
	return app, nil
}

func issuer(claim any) int64 {
	switch v := claim.(type) {
	case string:
		id, _ := strconv.ParseInt(v, 10, 64)
		return id
	case float64:
		return int64(v)
	}
	return 0
}

// authorize finds the repository of the route and checks that the actor may
// do this there.
func (s *Server) authorize(c *call) error {
	if c.route.app == "jwt" {
		if c.actor.app == nil || c.actor.token != nil {
			return fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
		}
	} else if c.actor.app != nil && c.actor.token == nil {
		return fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	if strings.HasPrefix(c.route.pattern, "/repos/") {
		c.repo = s.repo(c.vars["owner"] + "/" + c.vars["repo"])
		if c.repo == nil {
			return s.redirected(c)
		}
		if c.route.app != "jwt" && !s.maySee(c.actor, c.repo) {
			return errNotFound
		}
		if c.repo.archived && c.r.Method != http.MethodGet {
			return errArchived
		}
	}
	switch {
	case c.route.app == "jwt":
		return nil
	case c.actor.token != nil:
		return s.authorizeApp(c)
	case c.actor.user != nil:
		return s.authorizeUser(c)
	case c.r.Method != http.MethodGet || c.route.user != "":
		return fail(http.StatusUnauthorized, "Requires authentication")
	}
	return nil
}

// maySee reports whether a repository exists for the actor.
func (s *Server) maySee(a actor, r *repo) bool {
	switch {
	case !r.private:
		return true
	case a.token != nil:
		return a.token.covers(r)
	case a.user != nil:
		return roleRank[s.role(a.user, r)] > 0
	}
	return false
}

func (s *Server) authorizeApp(c *call) error {
	if c.route.app == "" {
		return nil
	}
	denied := &apiError{
		status: http.StatusForbidden, message: "Resource not accessible by integration",
		header: http.Header{"X-Accepted-Github-Permissions": {c.route.app}},
	}
	if c.repo != nil && !c.actor.token.covers(c.repo) {
		return denied
	}
	for alternative := range strings.SplitSeq(c.route.app, "; ") {
		if c.actor.token.allows(alternative) {
			return nil
		}
	}
	return denied
}

var levelRank = map[string]int{"read": 1, "write": 2, "admin": 3}

// allows checks one "permission=level" against the token and, because the
// App's permissions may have been cut since, against the App.
func (t *token) allows(need string) bool {
	name, level, _ := strings.Cut(need, "=")
	granted := t.installation.app.spec.Permissions
	return levelRank[granted[name]] >= levelRank[level] && levelRank[t.permissions[name]] >= levelRank[level]
}

// roleRank orders the roles a person can have in a repository.
var roleRank = map[string]int{"read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}

// role is a person's role in a repository; "" is none.
func (s *Server) role(user *account, r *repo) string {
	switch {
	case user == r.owner:
		return "admin"
	case r.collaborators[user.login] != "":
		return r.collaborators[user.login]
	case r.owner.isMember(user.login) || !r.private:
		return "read"
	}
	return ""
}

func (s *Server) authorizeUser(c *call) error {
	switch {
	case c.route.user == "":
		return nil
	case c.route.user == "-":
		return fail(http.StatusForbidden, "You must authenticate via a GitHub App.")
	case c.repo != nil && roleRank[s.role(c.actor.user, c.repo)] < roleRank[c.route.user]:
		return fail(http.StatusForbidden, "Must have "+c.route.user+" rights to Repository.")
	}
	return nil
}

// accessToken is POST /app/installations/{id}/access_tokens.
func (s *Server) accessToken(c *call) (any, error) {
	inst, err := c.installation()
	if err != nil {
		return nil, err
	}
	if inst.suspended {
		return nil, fail(http.StatusForbidden, "This installation has been suspended")
	}
	var in struct {
		Permissions   map[string]string `json:"permissions"`
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	t := &token{installation: inst, permissions: maps.Clone(inst.app.spec.Permissions), expires: s.now().Add(time.Hour)}
	if t.repos, err = inst.choose(in.Repositories, in.RepositoryIDs); err != nil {
		return nil, err
	}
	if len(in.Permissions) > 0 {
		for name, level := range in.Permissions {
			if levelRank[level] == 0 || levelRank[inst.app.spec.Permissions[name]] < levelRank[level] {
				return nil, fail(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
		}
		t.permissions = withMetadata(in.Permissions)
	}
	t.value = newInstallationToken(inst.app.ID)
	s.tokens[t.value] = t
	body := object{
		"token": t.value, "expires_at": stamp(t.expires), "permissions": t.permissions,
		"repository_selection": "selected",
	}
	if t.repos != nil {
		body["repositories"] = collect(t.repos, s.repository)
	}
	return created(body), nil
}

// choose narrows an installation to repositories by name or id; nil is all.
func (i *installation) choose(names []string, ids []int64) ([]*repo, error) {
	if len(names) == 0 && len(ids) == 0 {
		return nil, nil
	}
	var chosen []*repo
	for _, r := range i.repos {
		if slices.Contains(names, r.name) || slices.Contains(ids, r.id) {
			chosen = append(chosen, r)
		}
	}
	if len(chosen) < len(names)+len(ids) {
		return nil, fail(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
	}
	return chosen, nil
}

// newInstallationToken has the shape GitHub gives out since April 2026:
// ghs_APPID_JWT, longer than the 40 characters of old.
func newInstallationToken(appID int64) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return fmt.Sprintf("ghs_%d_%s.%s.%s", appID, part(`{"alg":"ES256","typ":"JWT"}`), part(randomHex(60)), part(randomHex(32)))
}

// revokeToken is DELETE /installation/token.
func (s *Server) revokeToken(c *call) (any, error) {
	if c.actor.token == nil {
		return nil, fail(http.StatusForbidden, "Resource not accessible by personal access token")
	}
	delete(s.tokens, c.actor.token.value)
	return noContent(), nil
}

// RevokeTokens makes every installation token given out so far invalid.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// allowance counts the requests of one caller in the current hour.
type allowance struct {
	used  int
	reset time.Time
}

// charge counts the request and writes the rate limit headers.
func (s *Server) charge(a actor, header http.Header) error {
	al := s.used[a.key()]
	if al == nil || !s.opt.Now().Before(al.reset) {
		al = &allowance{reset: s.now().Add(time.Hour)}
		s.used[a.key()] = al
	}
	if a.app == nil || a.token != nil {
		al.used++
	}
	over := al.used > s.opt.RateLimit
	al.tell(s.opt.RateLimit, header)
	if over {
		return failf(http.StatusForbidden, "API rate limit exceeded for %s.", a.key())
	}
	return nil
}

// refund gives back the request that was answered 304: GitHub does not count it.
func (s *Server) refund(a actor, header http.Header) {
	if al := s.used[a.key()]; al != nil && al.used > 0 {
		al.used--
		al.tell(s.opt.RateLimit, header)
	}
}

// tell says in an answer's headers what is left.
func (al *allowance) tell(limit int, header http.Header) {
	header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-al.used)))
	header.Set("X-RateLimit-Used", strconv.Itoa(min(al.used, limit)))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(al.reset.Unix(), 10))
	header.Set("X-RateLimit-Resource", "core")
}

func (s *Server) rateLimit(c *call) (any, error) {
	al := s.used[c.actor.key()]
	al.used-- // asking is free
	core := object{
		"limit": s.opt.RateLimit, "used": al.used, "remaining": max(0, s.opt.RateLimit-al.used),
		"reset": al.reset.Unix(), "resource": "core",
	}
	return object{"resources": object{"core": core, "search": core}, "rate": core}, nil
}
