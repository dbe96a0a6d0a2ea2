package app

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

// pool is what the tests share, so that each does not start children of its own.
var pool *render.Pool

func TestMain(m *testing.M) {
	render.RunIfChild()
	pool = render.NewPool(render.Options{Workers: 2})
	code := m.Run()
	if err := pool.Close(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// write puts files into a new directory.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// commit makes a directory a git repository of one commit, and returns its id.
func commit(t *testing.T, dir string) string {
	t.Helper()
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "one"}} {
		git(t, dir, args...)
	}
	return git(t, dir, "rev-parse", "HEAD")
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	// Newer git leaves its maintenance behind in the background, which would
	// write into a directory while the test removes it.
	cmd := exec.Command("git", append([]string{"-c", "maintenance.auto=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=Erin", "GIT_AUTHOR_EMAIL=erin@example.com", "GIT_COMMITTER_NAME=Erin", "GIT_COMMITTER_EMAIL=erin@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// gitServer serves the repositories below a directory as git does.
func gitServer(t *testing.T, dir string) (url string) {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&cgi.Handler{Path: program, Args: []string{"http-backend"}, Dir: dir,
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "HOME=" + dir}})
	t.Cleanup(server.Close)
	return server.URL
}

func TestAPersonCanRenderABaseOfAnotherRepository(t *testing.T) {
	repos := write(t, map[string]string{
		"acme/base.git/shop/kustomization.yaml": "resources: [pod.yaml]\n",
		"acme/base.git/shop/pod.yaml":           podText,
	})
	pinned := commit(t, filepath.Join(repos, "acme", "base.git"))
	url := gitServer(t, repos)
	dir := write(t, map[string]string{"prod/kustomization.yaml": "namePrefix: prod-\nresources: [\"" + url + "/acme/base.git//shop?ref=" + pinned + "\"]\n"})

	if _, err := Render(t.Context(), dir, "prod", nil); !fault.Is(err, fault.Denied) && !fault.Is(err, fault.Invalid) {
		t.Errorf("without leave: %v", err)
	}
	if _, err := Render(t.Context(), dir, "prod", []string{url + "/acme/bas"}); err == nil {
		t.Error("a prefix allows what only begins like it")
	}
	manifests, err := Render(t.Context(), dir, "prod", []string{url + "/acme/"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(manifests), "name: prod-shop") {
		t.Errorf("rendered %s", manifests)
	}
}

func TestWhatAPrefixAllows(t *testing.T) {
	for _, c := range []struct {
		prefix, address string
		want            bool
	}{
		{"https://github.com/acme/", "https://github.com/acme/base", true},
		{"https://github.com/acme", "https://github.com/acme/base.git", true},
		{"github.com/acme", "https://GitHub.com/acme/base", true},
		{"https://github.com/acme/base", "git::https://github.com/acme/base.git", true},
		{"https://github.com/acme/base", "https://github.com/acme/base2", false},
		{"https://github.com/acme", "https://github.com/acme-evil/base", false},
		{"https://github.com/acme", "http://github.com/acme/base", false},
		{"https://github.com", "https://github.com.evil.example/acme/base", false},
		{"https://github.com/acme", "https://github.com/acme/../evil/base", false},
		{"https://github.com/acme", "oci://github.com/acme/base", false},
		{"oci://registry.example.com/charts", "oci://registry.example.com/charts/payments", true},
		{"oci://registry.example.com/charts", "oci://registry.example.com/images/payments", false},
	} {
		r, err := newRemotes([]string{c.prefix}, nil)
		if err != nil {
			t.Fatal(err)
		}
		address, err := parseAddress(c.address)
		if got := err == nil && r.allows(address); got != c.want {
			t.Errorf("%s allows %s: %v, want %v", c.prefix, c.address, got, c.want)
		}
	}
	for _, text := range []string{"", "https://", "ssh://git@github.com/acme/base", "git@github.com:acme/base", "file:///etc", "https://erin:hunter2@github.com/acme"} {
		if _, err := newRemotes([]string{text}, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is taken for an address: %v", text, err)
		}
		if _, err := newRemotes([]string{text}, nil); err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error tells a password: %v", text, err)
		}
	}
}
