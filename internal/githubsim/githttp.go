package githubsim

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

var gitPath = regexp.MustCompile(`^/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)$`)

func isGitPath(path string) bool { return gitPath.MatchString(path) }

// backend is the path of git's own server side for HTTP.
var backend = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "", err
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), nil
})

// serveGit speaks git's smart HTTP for clone, fetch and push.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	m := gitPath.FindStringSubmatch(r.URL.Path)
	service := strings.TrimPrefix(m[3], "git-")
	if m[3] == "info/refs" {
		service = strings.TrimPrefix(r.URL.Query().Get("service"), "git-")
	}
	push := service == "receive-pack"
	s.mu.Lock()
	repo := s.repo(m[1] + "/" + m[2])
	if moved := s.moved[strings.ToLower(m[1]+"/"+m[2])]; repo == nil && moved != nil {
		if who, err := s.identify(credential(r)); err == nil && s.maySee(who, moved) {
			http.Redirect(w, r, s.url+"/"+moved.fullName()+".git/"+m[3]+query(r), http.StatusMovedPermanently)
			s.mu.Unlock()
			return
		}
	}
	who, err := s.identify(credential(r))
	status := s.gitAccess(who, err, repo, push)
	admin := repo != nil && who.user != nil && s.role(who.user, repo) == "admin"
	s.mu.Unlock()
	if status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		http.Error(w, map[int]string{
			http.StatusUnauthorized: "Invalid username or token.", http.StatusForbidden: "Permission to " + m[1] + "/" + m[2] + " denied.",
			http.StatusNotFound: "Repository not found.",
		}[status], status)
		return
	}
	// CGI knows no chunked bodies, and git sends big pushes chunked.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	r.Header.Del("Authorization")
	if push && m[3] == "git-receive-pack" {
		s.receivePack(w, r, repo, who, admin, m[3])
		return
	}
	s.runBackend(w, r, repo, who, admin, m[3])
}

// gitAccess is the status to refuse with, or 0.
func (s *Server) gitAccess(who actor, err error, r *repo, push bool) int {
	switch {
	case err != nil || (who.app != nil && who.token == nil):
		return http.StatusUnauthorized
	case r == nil || !s.maySee(who, r):
		if who.account() == nil {
			return http.StatusUnauthorized // git then asks for a password
		}
		return http.StatusNotFound
	case !push && who.token != nil && r.private && !who.token.allows("contents=read"):
		return http.StatusForbidden
	case !push:
		return 0
	case who.account() == nil:
		return http.StatusUnauthorized
	case r.archived:
		return http.StatusForbidden
	case who.token != nil && (!who.token.covers(r) || !who.token.allows("contents=write")):
		return http.StatusForbidden
	case who.user != nil && roleRank[s.role(who.user, r)] < roleRank["write"]:
		return http.StatusForbidden
	}
	return 0
}

func query(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}

func (s *Server) runBackend(w http.ResponseWriter, r *http.Request, repo *repo, who actor, admin bool, tail string) {
	path, err := backend()
	if err != nil {
		http.Error(w, "git is not installed", http.StatusInternalServerError)
		return
	}
	env := append(gitEnv(), "GIT_PROJECT_ROOT="+repo.git.dir, "GIT_HTTP_EXPORT_ALL=1")
	if a := who.account(); a != nil {
		env = append(env, "REMOTE_USER="+a.login)
	}
	if admin {
		env = append(env, "TAGBOAT_ADMIN=1")
	}
	r.URL.Path = "/" + tail
	h := &cgi.Handler{Path: path, Dir: repo.git.dir, Env: env, Stderr: io.Discard, InheritEnv: []string{"TMPDIR"}}
	h.ServeHTTP(w, r)
}

// receivePack lets git take a push and then tells the world what moved. The
// lock is held: a push is one step like any API request.
func (s *Server) receivePack(w http.ResponseWriter, r *http.Request, repo *repo, who actor, admin bool, tail string) {
	err := s.change(func() error {
		s.runBackend(w, r, repo, who, admin, tail)
		moved, err := repo.git.reread()
		if err != nil || len(moved) == 0 {
			return err
		}
		return s.receive(repo, who, moved)
	})
	if err != nil {
		s.log.Error("a push could not be followed up", "repo", repo.fullName(), "err", err)
	}
}
