package pages

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/githubsim"
)

const cookieName = "acting-as"

// visitor is one of the people that a visitor can be.
type visitor struct {
	Login, About string
	Acting       bool
}

func (s *site) people(actor string) []visitor {
	var people []visitor
	for _, login := range s.github.Users() {
		people = append(people, visitor{login, s.about[login], login == actor})
	}
	return people
}

// actor is whom the visitor chose to be, or the first of the people.
func (s *site) actor(r *http.Request) string {
	users := s.github.Users()
	if c, err := r.Cookie(cookieName); err == nil && slices.Contains(users, c.Value) {
		return c.Value
	}
	if len(users) == 0 {
		return ""
	}
	return users[0]
}

func (s *site) actAs(w http.ResponseWriter, r *http.Request) {
	login := r.PostFormValue("login")
	if !slices.Contains(s.github.Users(), login) {
		s.missing(w, r, "There is nobody called "+login+".")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: login, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	http.Redirect(w, r, localPath(r.PostFormValue("back")), http.StatusSeeOther)
}

// localPath is path if it stays on this server, else the front page.
func localPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(path, "/") ||
		strings.HasPrefix(path, "//") || strings.Contains(path, `\`) {
		return "/"
	}
	return u.EscapedPath()
}

const (
	maxForm        = 8 << 20
	securityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// guard refuses deeds that no visitor of these pages wanted.
func guard(github *githubsim.Server, next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", securityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method == http.MethodPost {
			if err := origin.Check(r); err != nil {
				http.Error(w, "Refused: another web site wanted to act here in your name. Use the forms of these pages.", http.StatusForbidden)
				return
			}
			if !ownName(r.Host, github.URL()) {
				http.Error(w, "Refused: these pages take deeds only at an IP address or localhost, not as "+r.Host+". Open "+github.URL()+" instead.", http.StatusForbidden)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if err := r.ParseForm(); err != nil {
				http.Error(w, "The form could not be read: it is broken or larger than 8 MiB.", http.StatusBadRequest)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// ownName reports whether a Host header names this server by something that
// nobody else's DNS can point here.
func ownName(host, server string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	own, err := url.Parse(server)
	return net.ParseIP(name) != nil || strings.EqualFold(name, "localhost") ||
		err == nil && strings.EqualFold(name, own.Hostname())
}
