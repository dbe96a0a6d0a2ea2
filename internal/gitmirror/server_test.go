package gitmirror

import (
	"bytes"
	"context"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// server is a real git server (git http-backend) with one repository, acme/env,
// and a clone to commit in.
type server struct {
	t     *testing.T
	URL   string
	bare  string
	clone string
	// guard, where set, sees every request first and says whether it goes on.
	guard atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	packs atomic.Int64 // requests for a pack
	asks  atomic.Int64 // requests of any kind
}

func newServer(t *testing.T) *server {
	t.Helper()
	root := t.TempDir()
	s := &server{t: t, bare: filepath.Join(root, "srv", "acme", "env.git"), clone: filepath.Join(root, "clone")}
	s.git("", "init", "-q", "--bare", "-b", "main", s.bare)
	// As github.com does.
	s.git(s.bare, "config", "uploadpack.allowAnySHA1InWant", "true")
	s.git("", "init", "-q", "-b", "main", s.clone)
	s.git(s.clone, "remote", "add", "origin", s.bare)
	// Newer git leaves its maintenance behind in the background, which would
	// write into a directory while the test removes it.
	s.git(s.bare, "config", "receive.autogc", "false")
	s.git(s.clone, "config", "maintenance.auto", "false")

	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Dir: root,
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Join(root, "srv"), "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "HOME=" + root},
		Stderr: testWriter{t}, Logger: log.New(testWriter{t}, "", 0),
	}
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asks.Add(1)
		if r.Method == http.MethodPost {
			s.packs.Add(1)
		}
		if guard := s.guard.Load(); guard != nil && !(*guard)(w, r) {
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(hs.Close)
	s.URL = hs.URL + "/acme/env.git"
	return s
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("git http-backend: %s", bytes.TrimSpace(p))
	return len(p), nil
}

func (s *server) git(dir string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com",
		"GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// write puts a file into the clone's working tree.
func (s *server) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.clone, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// commit commits everything and pushes it to a branch by force.
func (s *server) commit(branch, message string) string {
	s.t.Helper()
	s.git(s.clone, "add", "-A")
	s.git(s.clone, "commit", "-q", "--allow-empty", "-m", message)
	s.git(s.clone, "push", "-q", "--force", "origin", "HEAD:refs/heads/"+branch)
	return s.git(s.clone, "rev-parse", "HEAD")
}

// files are a commit's files as git itself tells them.
func (s *server) files(commit string) map[string]string {
	s.t.Helper()
	files := map[string]string{}
	for _, name := range strings.Fields(s.git(s.clone, "ls-tree", "-r", "--name-only", commit)) {
		files[name] = s.git(s.clone, "show", commit+":"+name)
	}
	return files
}

func (s *server) open(dir string) *Mirror {
	s.t.Helper()
	m, err := Open(dir, Remote{URL: s.URL, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func (s *server) mirror() *Mirror { s.t.Helper(); return s.open(s.t.TempDir()) }

func (s *server) at(m *Mirror, commit string) *Tree {
	s.t.Helper()
	tree, err := m.At(context.Background(), commit)
	if err != nil {
		s.t.Fatal(err)
	}
	return tree
}
