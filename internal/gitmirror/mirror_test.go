package gitmirror

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tagboat/tagboat/internal/fault"
)

// contents reads every file of a tree.
func contents(t *testing.T, tree *Tree) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := tree.ReadFile(path)
		files[path] = strings.TrimSpace(string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (s *server) same(tree *Tree) {
	s.t.Helper()
	if diff := cmp.Diff(s.files(tree.Commit()), contents(s.t, tree)); diff != "" {
		s.t.Errorf("commit %s differs from git's own reading (-git +mirror):\n%s", tree.Commit(), diff)
	}
}

// unpressable is text that packs to about n bytes.
func unpressable(n int) string {
	b := make([]byte, n/2)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func TestThirtyCommitsArriveOneByOne(t *testing.T) {
	s := newServer(t)
	s.write("ballast.txt", unpressable(400_000))
	s.write("apps/payments/base/deployment.yaml", "image: payments")
	s.commit("main", "the history before the mirror began")
	m := s.mirror()
	var trees []*Tree
	for i := range 30 {
		s.write("apps/payments/overlays/prod/kustomization.yaml", fmt.Sprintf("newTag: 1.%d.0", i))
		s.write(fmt.Sprintf("apps/app%d/kustomization.yaml", i%7), fmt.Sprintf("newTag: %d", i))
		commit := s.commit("main", fmt.Sprintf("release %d", i))
		head, err := m.Head(context.Background(), "main")
		if err != nil {
			t.Fatal(err)
		}
		if head != commit {
			t.Fatalf("Head = %s, want %s", head, commit)
		}
		tree := s.at(m, head)
		if want := s.git(s.clone, "rev-parse", "HEAD^{tree}"); tree.TreeID() != want {
			t.Errorf("TreeID = %s, want %s", tree.TreeID(), want)
		}
		s.same(tree)
		trees = append(trees, tree)
	}
	for _, tree := range trees { // a tree that was handed out stays good
		s.same(tree)
	}
	var bytes int64
	for _, size := range m.now.packs() {
		bytes += size
	}
	if bytes > 400_000 { // one snapshot of about 240 kB and 29 small packs
		t.Errorf("30 commits took %d bytes on disk; each seems to bring the whole tree", bytes)
	}

	asks := s.asks.Load()
	s.at(m, trees[3].Commit())
	s.at(m, s.git(s.clone, "rev-parse", "HEAD"))
	if n := s.asks.Load() - asks; n != 0 {
		t.Errorf("commits that are held cost %d requests, want none", n)
	}

	again := s.open(m.dir) // after a restart
	asks = s.asks.Load()
	s.same(s.at(again, trees[29].Commit()))
	s.same(s.at(again, trees[11].Commit()))
	if n := s.asks.Load() - asks; n != 0 {
		t.Errorf("a restart cost %d requests for commits that are held, want none", n)
	}
	s.write("new.txt", "after the restart")
	s.same(s.at(again, s.commit("main", "after the restart")))
}

func TestForcePushedBranchAndCommitsOnNoBranch(t *testing.T) {
	s := newServer(t)
	s.write("a.txt", "first")
	s.commit("main", "first")
	s.write("a.txt", "second")
	second := s.commit("main", "second")
	s.write("a.txt", "third")
	lost := s.commit("main", "third, about to be forced away")
	m := s.mirror()
	s.same(s.at(m, lost))

	s.git(s.clone, "reset", "-q", "--hard", second)
	s.write("b.txt", "other third")
	forced := s.commit("main", "other third")
	if head, err := m.Head(context.Background(), "main"); err != nil || head != forced {
		t.Errorf("Head after the force push = %s, %v; want %s", head, err, forced)
	}
	s.same(s.at(m, forced))

	fresh := s.mirror() // has never seen the forced-away commit
	s.same(s.at(fresh, forced))
	s.same(s.at(fresh, lost))
	s.same(s.at(fresh, second))
	s.same(s.at(fresh, s.git(s.clone, "rev-list", "--max-parents=0", "HEAD")))
}

func TestUnrelatedAndOldCommitsDoNotDragTheHistoryAlong(t *testing.T) {
	s := newServer(t)
	var commits []string
	for i := range 12 {
		s.write("big.txt", unpressable(100_000))
		s.write("version", fmt.Sprint(i))
		commits = append(commits, s.commit("main", fmt.Sprint(i)))
	}
	m := s.mirror()
	m.slack = 10_000
	s.same(s.at(m, commits[11]))
	s.same(s.at(m, commits[9])) // older than the snapshot
	var bytes int64
	for _, size := range m.now.packs() {
		bytes += size
	}
	if bytes > 200_000 {
		t.Errorf("two snapshots of about 60 kB take %d bytes", bytes)
	}
	s.git(s.clone, "checkout", "-q", "--orphan", "unrelated")
	s.write("version", "unrelated")
	s.same(s.at(m, s.commit("unrelated", "no common history")))
	s.git(s.clone, "checkout", "-q", "main", "--force")
	s.write("version", "12")
	s.same(s.at(m, s.commit("main", "12")))
	for _, c := range commits {
		s.same(s.at(m, c))
	}
}

func TestWorkersShareOneMirror(t *testing.T) {
	s := newServer(t)
	var commits []string
	for i := range 6 {
		s.write("version", fmt.Sprint(i))
		commits = append(commits, s.commit("main", fmt.Sprint(i)))
	}
	m := s.mirror()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range commits {
				tree, err := m.At(context.Background(), commits[(i+worker)%len(commits)])
				if err != nil {
					t.Error(err)
					return
				}
				got, err := tree.ReadFile("version")
				if want := fmt.Sprint((i + worker) % len(commits)); err != nil || string(got) != want {
					t.Errorf("version = %q, %v; want %s", got, err, want)
				}
			}
		})
	}
	all.Wait()
	if n := s.packs.Load(); n > int64(len(commits)) {
		t.Errorf("%d packs were asked for, want at most one per commit", n)
	}
}

func TestGenerationsAreReplacedWhilePeopleRead(t *testing.T) {
	s := newServer(t)
	m := s.mirror()
	m.packs = 3
	var old []*Tree
	for i := range 8 {
		s.write("version", fmt.Sprint(i))
		tree := s.at(m, s.commit("main", fmt.Sprint(i)))
		s.same(tree)
		if len(old) > 0 {
			s.same(old[len(old)-1])
		}
		old = append(old, tree)
	}
	dirs, err := filepath.Glob(filepath.Join(m.dir, "gen-*"))
	if err != nil || len(dirs) != 2 {
		t.Errorf("on disk: %v, %v; want the generation in use and the one before", dirs, err)
	}
}

func TestDamagedMirrorHealsItself(t *testing.T) {
	ctx := context.Background()
	wreck := func(t *testing.T, dir, pattern string, content []byte) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "gen-*", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s in %s: %v", pattern, dir, err)
		}
		for _, f := range files {
			if err := os.Chmod(f, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(f, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct{ name, pattern string }{
		{"packs are empty", "objects/pack/*.pack"},
		{"indexes are empty", "objects/pack/*.idx"},
		{"references are garbage", "refs/held/*"},
		{"the shallow file is garbage", "shallow"},
	} {
		t.Run("at the start "+c.name, func(t *testing.T) {
			s := newServer(t)
			s.write("a.txt", "a")
			commit := s.commit("main", "a")
			m := s.mirror()
			s.at(m, commit)
			content := []byte(nil)
			if strings.Contains(c.name, "garbage") {
				content = []byte("\x00garbage\xff")
			}
			wreck(t, m.dir, c.pattern, content)
			s.same(s.at(s.open(m.dir), commit))
		})
	}
	t.Run("while it is open", func(t *testing.T) {
		s := newServer(t)
		s.write("a.txt", "a")
		commit := s.commit("main", "a")
		m := s.mirror()
		tree := s.at(m, commit)
		wreck(t, m.dir, "objects/pack/*.pack", []byte("PACK"))
		if _, err := tree.ReadFile("a.txt"); !fault.Is(err, fault.Transient) {
			t.Errorf("reading from a wrecked pack: %v; want a transient error", err)
		}
		s.same(s.at(m, commit))
	})
	t.Run("when a file's bytes are those of another", func(t *testing.T) {
		s := newServer(t)
		s.write("a.txt", "a")
		s.write("b.txt", "b")
		commit := s.commit("main", "a and b")
		m := s.mirror()
		s.at(m, commit)
		packs, err := filepath.Glob(filepath.Join(m.dir, "gen-*", "objects", "pack", "*.pack"))
		if err != nil || len(packs) != 1 {
			t.Fatalf("packs: %v, %v", packs, err)
		}
		objects := filepath.Dir(filepath.Dir(packs[0]))
		if err := os.Rename(filepath.Dir(packs[0]), filepath.Join(m.dir, "moved")); err != nil {
			t.Fatal(err)
		}
		pack, err := os.Open(filepath.Join(m.dir, "moved", filepath.Base(packs[0])))
		if err != nil {
			t.Fatal(err)
		}
		defer pack.Close()
		unpack := exec.Command("git", "--git-dir", filepath.Dir(objects), "unpack-objects", "-q")
		unpack.Stdin = pack
		if out, err := unpack.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		loose := func(name string) string {
			id := s.git(s.clone, "rev-parse", "HEAD:"+name)
			return filepath.Join(objects, id[:2], id[2:])
		}
		if err := os.Rename(loose("b.txt"), loose("a.txt")); err != nil {
			t.Fatal(err)
		}
		again := s.open(m.dir)
		if got, err := s.at(again, commit).ReadFile("a.txt"); !fault.Is(err, fault.Transient) {
			t.Errorf("a.txt = %q, %v; want a transient error", got, err)
		}
		s.same(s.at(again, commit))
	})
	t.Run("when the directory is gone", func(t *testing.T) {
		s := newServer(t)
		s.write("a.txt", "a")
		s.at(s.mirror(), s.commit("main", "a"))
		m := s.mirror()
		s.at(m, s.commit("main", "b"))
		if err := os.RemoveAll(m.dir); err != nil {
			t.Fatal(err)
		}
		s.write("a.txt", "c")
		s.same(s.at(m, s.commit("main", "c")))
	})
	t.Run("and says when it cannot", func(t *testing.T) {
		s := newServer(t)
		s.write("a.txt", "a")
		commit := s.commit("main", "a")
		dir := filepath.Join(t.TempDir(), "mirror")
		m := s.open(dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil { // where the directory should be
			t.Fatal(err)
		}
		if _, err := m.At(ctx, commit); !fault.Is(err, fault.Transient) || !strings.Contains(fault.HintOf(err), "disk") {
			t.Errorf("At = %v (hint %q); want a transient error about the disk", err, fault.HintOf(err))
		}
	})
}

func TestWhatTheRemoteDoesNotHave(t *testing.T) {
	ctx := context.Background()
	s := newServer(t)
	empty := s.mirror()
	if _, err := empty.Head(ctx, "main"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Head of an empty repository: %v; want not found", err)
	}
	s.write("a.txt", "a")
	commit := s.commit("main", "a")
	m := s.mirror()
	if _, err := m.Head(ctx, "release"); !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "release") {
		t.Errorf("Head of a missing branch: %v; want not found, naming it", err)
	}
	missing := strings.Repeat("ab", 20)
	for _, held := range []bool{false, true} { // a snapshot is refused in other words than an ordinary request
		if _, err := m.At(ctx, missing); !fault.Is(err, fault.NotFound) {
			t.Errorf("At a missing commit, something held %v: %v; want not found", held, err)
		}
		s.at(m, commit)
	}
	if _, err := m.At(ctx, s.git(s.clone, "rev-parse", "HEAD:a.txt")); !fault.Is(err, fault.NotFound) {
		t.Errorf("At a blob: %v; want not found", err)
	}
	if _, err := m.At(ctx, "main"); !fault.Is(err, fault.Invalid) {
		t.Errorf("At a branch name: %v; want invalid", err)
	}
	elsewhere, err := Open(t.TempDir(), Remote{URL: strings.Replace(s.URL, "env.git", "other.git", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Head(ctx, "main"); !fault.Is(err, fault.NotFound) {
		t.Errorf("Head in a missing repository: %v; want not found", err)
	}
}

func TestTroubleOnTheWay(t *testing.T) {
	ctx := context.Background()
	s := newServer(t)
	s.write("a.txt", "a")
	commit := s.commit("main", "a")
	const secret = "ghs_hunter2hunter2"
	m, err := Open(t.TempDir(), Remote{URL: s.URL, Token: func(context.Context) (string, error) { return secret, nil }})
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, kind fault.Kind, err error) {
		t.Helper()
		if !fault.Is(err, kind) {
			t.Errorf("%s: %v is %s, want %s", name, err, fault.KindOf(err), kind)
		}
		if text := fmt.Sprintf("%v %s", err, fault.HintOf(err)); strings.Contains(text, secret) || strings.Contains(text, "x-access-token") {
			t.Errorf("%s: the error shows the token: %s", name, text)
		}
	}
	answer := func(guard func(http.ResponseWriter, *http.Request) bool) { s.guard.Store(&guard) }
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "90")
			http.Error(w, "you sent "+r.Header.Get("Authorization"), code)
			return false
		}
	}
	for code, kind := range map[int]fault.Kind{401: fault.Denied, 403: fault.Denied, 429: fault.RateLimited, 500: fault.Transient, 503: fault.Transient} {
		answer(status(code))
		_, err := m.Head(ctx, "main")
		check(fmt.Sprintf("Head, status %d", code), kind, err)
		_, err = m.At(ctx, commit)
		check(fmt.Sprintf("At, status %d", code), kind, err)
		if code == 429 && time.Until(fault.UntilOf(err)) < time.Minute {
			t.Errorf("rate limited until %v, want what Retry-After says", fault.UntilOf(err))
		}
	}
	answer(func(w http.ResponseWriter, r *http.Request) bool { // the connection breaks within the pack
		if r.Method != http.MethodPost {
			return true
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		fmt.Fprint(w, "0034shallow "+commit+"00000008NAK\n0023\x02Counting objects: 1, done.\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	_, err = m.At(ctx, commit)
	check("broken connection", fault.Transient, err)

	answer(func(w http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return false })
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = m.At(short, commit)
	check("timeout", fault.Transient, err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the cause of %v is lost", err)
	}

	var user, password string
	answer(func(_ http.ResponseWriter, r *http.Request) bool { user, password, _ = r.BasicAuth(); return true })
	s.same(s.at(m, commit)) // and none of it did any harm
	if user != "x-access-token" || password != secret {
		t.Errorf("the remote was told user %q, password %q", user, password)
	}

	nobody, err := Open(t.TempDir(), Remote{URL: "http://127.0.0.1:1/acme/env.git"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = nobody.Head(ctx, "main")
	check("nobody listens", fault.Transient, err)
	for _, address := range []string{"", "file:///etc", "ssh://git@github.com/acme/env", "https://alice:" + secret + "@github.com/acme/env"} {
		_, err := Open(t.TempDir(), Remote{URL: address})
		check("address "+address[:min(10, len(address))], fault.Invalid, err)
	}
}

func TestTokenStaysWithItsServer(t *testing.T) {
	s := newServer(t)
	s.write("a.txt", "a")
	s.commit("main", "a")
	var leaked string
	thief := newServer(t)
	steal := func(_ http.ResponseWriter, r *http.Request) bool {
		leaked += r.Header.Get("Authorization")
		return true
	}
	thief.guard.Store(&steal)
	redirect := func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, strings.TrimSuffix(thief.URL, "/acme/env.git")+r.URL.RequestURI(), http.StatusFound)
		return false
	}
	s.guard.Store(&redirect)
	m, err := Open(t.TempDir(), Remote{URL: s.URL, Token: func(context.Context) (string, error) { return "ghs_secret", nil }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Head(context.Background(), "main"); err == nil {
		t.Error("the empty repository of another server had a branch")
	}
	if leaked != "" || thief.asks.Load() == 0 {
		t.Errorf("after %d redirected requests the other server has seen %q", thief.asks.Load(), leaked)
	}
}

// A remote base is fetched by its commit alone, from a repository that anybody may
// read.
func TestARemoteBaseIsReadWithoutCredentials(t *testing.T) {
	s := newServer(t)
	s.git(s.bare, "config", "uploadpack.allowAnySHA1InWant", "false") // as most servers have it
	s.write("base/kustomization.yaml", "resources: [deployment.yaml]")
	pinned := s.commit("main", "the pinned one")
	s.write("base/kustomization.yaml", "resources: [changed.yaml]")
	s.commit("main", "a later one")
	s.git(s.clone, "checkout", "-q", "--detach", pinned)
	s.write("base/kustomization.yaml", "resources: [lost.yaml]")
	lost := s.commit("side", "on a branch that goes away")
	s.git(s.bare, "update-ref", "-d", "refs/heads/side")

	m := s.mirror()
	s.same(s.at(m, pinned))
	_, err := m.At(context.Background(), lost)
	hintHas(t, err, "no branch or tag of it leads to the commit")

	for status, want := range map[int]string{401: "has to be public", 404: "no public repository"} {
		guard := func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") != "" {
				t.Error("it was asked for with credentials")
			}
			w.WriteHeader(status)
			return false
		}
		s.guard.Store(&guard)
		_, err := s.mirror().At(context.Background(), pinned)
		hintHas(t, err, want)
		if strings.Contains(fault.HintOf(err), "App") {
			t.Errorf("status %d: %q is about a GitHub App, which has no part in it", status, fault.HintOf(err))
		}
	}
}
