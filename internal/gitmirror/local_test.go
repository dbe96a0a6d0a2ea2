package gitmirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tagboat/tagboat/internal/fault"
)

func hintHas(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(fault.HintOf(err), want) {
		t.Errorf("%v (hint %q); want a hint with %q", err, fault.HintOf(err), want)
	}
}

func openLocal(t *testing.T, dir string) *Local {
	t.Helper()
	l, err := OpenLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func localAt(t *testing.T, l *Local, rev string) *Tree {
	t.Helper()
	tree, err := l.At(rev)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// history is a checkout with what a history may have: branches, a merge, tags of
// both kinds, a remote.
func history(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.write("apps/payments/kustomization.yaml", "newTag: 1.0.0")
	s.commit("main", "first")
	s.git(s.clone, "tag", "v1.0.0")
	s.git(s.clone, "branch", "feed") // also the beginning of an id, to whom it pleases
	s.write("apps/payments/kustomization.yaml", "newTag: 1.1.0")
	s.commit("main", "second")
	s.git(s.clone, "tag", "-a", "-m", "a tag with a text", "v1.1.0")
	s.git(s.clone, "tag", "-a", "-m", "a tag of a tag", "stable", "v1.1.0")
	s.git(s.clone, "checkout", "-q", "-b", "team/side", "HEAD~1")
	s.write("apps/orders/kustomization.yaml", "newTag: 2.0.0")
	s.commit("team/side", "beside")
	s.git(s.clone, "tag", "main") // of the same name as a branch
	s.git(s.clone, "checkout", "-q", "heads/main")
	s.git(s.clone, "merge", "-q", "--no-ff", "-m", "a merge", "team/side")
	s.git(s.clone, "push", "-q", "origin", "HEAD:refs/heads/main")
	s.git(s.clone, "fetch", "-q", "origin")
	s.git(s.clone, "remote", "set-head", "origin", "main")
	return s
}

func TestRevisionsMeanWhatGitSaysTheyMean(t *testing.T) {
	s := history(t)
	id := s.git(s.clone, "rev-parse", "HEAD~1")
	revisions := []string{
		"HEAD", "@", "HEAD~1", "HEAD~", "HEAD~2", "HEAD~1~1", "HEAD^", "HEAD^2", "HEAD^2~1", "HEAD^^", "HEAD^0", "HEAD~0",
		"HEAD^{commit}", "v1.1.0^{}", "v1.1.0^{}~1",
		"main", "heads/main", "refs/heads/main", "tags/main", "team/side", "feed", "origin/main", "origin/team/side",
		"refs/remotes/origin/main", "v1.0.0", "v1.1.0", "v1.1.0~1", "stable",
		id, id[:4], id[:7], id[:8], strings.ToUpper(id[:9]), id[:12] + "^",
		s.git(s.clone, "rev-parse", "v1.1.0"), s.git(s.clone, "rev-parse", "v1.1.0")[:10], // of the tag itself
	}
	check := func(t *testing.T, dir string, revisions []string) {
		t.Helper()
		l := openLocal(t, dir)
		for _, rev := range revisions {
			tree, err := l.At(rev)
			if err != nil {
				t.Errorf("At(%q): %v", rev, err)
				continue
			}
			if want := s.git(dir, "-c", "core.warnAmbiguousRefs=false", "rev-parse", rev+"^{commit}"); tree.Commit() != want {
				t.Errorf("At(%q) is commit %s, git says %s", rev, tree.Commit(), want)
			}
			if diff := cmp.Diff(s.files(tree.Commit()), contents(t, tree)); diff != "" {
				t.Errorf("At(%q) differs from git's own reading (-git +tree):\n%s", rev, diff)
			}
		}
	}
	beside := t.TempDir()
	common := []string{"HEAD", "HEAD^2~1", "v1.1.0", "v1.0.0", id, id[:7]}
	t.Run("in a checkout", func(t *testing.T) { check(t, s.clone, revisions) })
	t.Run("in its .git", func(t *testing.T) { check(t, filepath.Join(s.clone, ".git"), revisions) })
	t.Run("in a worktree", func(t *testing.T) {
		dir := filepath.Join(beside, "worktree")
		s.git(s.clone, "worktree", "add", "-q", dir, "team/side")
		check(t, dir, []string{"HEAD", "HEAD~1", "heads/main", "origin/main", "v1.1.0", id[:8]})
	})
	t.Run("in a bare repository", func(t *testing.T) {
		check(t, s.bare, []string{"HEAD", "main", "team/side", "main~1", id[:8]})
	})
	t.Run("in a clone that borrows its objects", func(t *testing.T) {
		lender, dir := filepath.Join(beside, "lender"), filepath.Join(beside, "borrower")
		s.git("", "clone", "-q", "--shared", s.clone, lender)
		s.git("", "clone", "-q", "--shared", lender, dir) // over two corners
		check(t, dir, common)
	})
	t.Run("through a symbolic link", func(t *testing.T) {
		link := filepath.Join(beside, "link")
		if err := os.Symlink(filepath.Join(s.clone, "apps"), link); err != nil {
			t.Fatal(err)
		}
		if tree := localAt(t, openLocal(t, link), "HEAD"); len(contents(t, tree)) != 2 {
			t.Errorf("it shows %v, want the apps", contents(t, tree))
		}
	})
	t.Run("when all is packed", func(t *testing.T) {
		s.git(s.clone, "gc", "-q")
		check(t, s.clone, revisions)
	})
	t.Run("with settings that make no difference to a reader", func(t *testing.T) {
		for _, setting := range []string{"extensions.worktreeConfig", "extensions.preciousObjects"} {
			s.git(s.clone, "config", setting, "true")
		}
		s.git(s.clone, "config", "core.repositoryFormatVersion", "1")
		s.git(s.clone, "config", "remote.backup.pushurl", "https://git.example.com/env.git") // no url to fetch from
		check(t, s.clone, common)
	})
}

func TestWhatIsNoRevisionSaysWhatToDo(t *testing.T) {
	s := history(t)
	l := openLocal(t, s.clone)
	for rev, want := range map[string]struct {
		kind fault.Kind
		text string
	}{
		"":                        {fault.Invalid, "name a branch"},
		"~1":                      {fault.Invalid, "name a branch"},
		"HEAD@{1}":                {fault.Invalid, "name a branch"},
		"@{upstream}":             {fault.Invalid, "name a branch"},
		"HEAD:apps":               {fault.Invalid, "name a branch"},
		":/second":                {fault.Invalid, "name a branch"},
		"HEAD^{/second}":          {fault.Invalid, "name a branch"},
		"HEAD^{tree}":             {fault.Invalid, "name a branch"},
		"HEAD~x":                  {fault.Invalid, "name a branch"},
		"v1.0.0..HEAD":            {fault.Invalid, "name a branch"},
		"--all":                   {fault.Invalid, "name a branch"},
		"../../etc/passwd":        {fault.Invalid, "name a branch"},
		"config":                  {fault.NotFound, "git fetch origin config"}, // a file in .git
		"release":                 {fault.NotFound, "git fetch origin release"},
		"abc":                     {fault.NotFound, "git fetch origin abc"},
		strings.Repeat("ab", 20):  {fault.NotFound, "git fetch origin abab"},
		"HEAD~9":                  {fault.NotFound, "nothing is before it"},
		"HEAD^3":                  {fault.NotFound, "no parent number 3"},
		"HEAD~999999":             {fault.NotFound, "nothing is before it"},
		blob(s, "HEAD:apps"):      {fault.Invalid, "is a tree, not a commit"},
		blob(s, "HEAD:apps")[:12]: {fault.NotFound, "git fetch origin"},
	} {
		_, err := l.At(rev)
		if !fault.Is(err, want.kind) {
			t.Errorf("At(%q): %v is %s, want %s", rev, err, fault.KindOf(err), want.kind)
		}
		hintHas(t, err, want.text)
	}
	s.git(s.clone, "branch", "-q", "-D", "team/side")
	_, err := l.At("team/side")
	hintHas(t, err, "origin/team/side is there")
}

func blob(s *server, name string) string { return s.git(s.clone, "rev-parse", name) }

func TestAShallowCloneSaysThatItIs(t *testing.T) {
	s := history(t)
	dir := filepath.Join(t.TempDir(), "shallow")
	s.git("", "clone", "-q", "--depth", "1", "file://"+s.bare, dir)
	l := openLocal(t, dir)
	if diff := cmp.Diff(s.files("HEAD"), contents(t, localAt(t, l, "HEAD"))); diff != "" {
		t.Error(diff)
	}
	for _, rev := range []string{"HEAD~1", "v1.0.0"} {
		_, err := l.At(rev)
		hintHas(t, err, "git fetch --unshallow")
	}
}

func TestAPartialCloneSaysWhatItLacks(t *testing.T) {
	s := history(t)
	s.git(s.bare, "config", "uploadpack.allowFilter", "true")
	dir := filepath.Join(t.TempDir(), "partial")
	s.git("", "clone", "-q", "--no-checkout", "--filter=blob:none", "file://"+s.bare, dir)
	tree := localAt(t, openLocal(t, dir), "HEAD~1")
	if _, _, err := tree.ID("apps/payments/kustomization.yaml"); err != nil {
		t.Error(err) // ids are known without the contents
	}
	_, err := tree.ReadFile("apps/payments/kustomization.yaml")
	hintHas(t, err, "--filter")
}

func TestADirectoryOfACheckoutShowsWhatIsBelow(t *testing.T) {
	s := newServer(t)
	s.write("shared/base.yaml", "base")
	s.write("clusters/eu/apps/payments.yaml", "payments")
	if err := os.Symlink("../../shared", filepath.Join(s.clone, "clusters/eu/shared")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../outside", filepath.Join(s.clone, "clusters/eu/outside")); err != nil {
		t.Fatal(err)
	}
	first := s.commit("main", "one cluster")
	s.write("clusters/us/apps/payments.yaml", "payments")
	s.write("clusters/eu/apps/payments.yaml", "payments 2")
	s.commit("main", "two clusters")

	eu := openLocal(t, filepath.Join(s.clone, "clusters", "eu"))
	tree := localAt(t, eu, "HEAD")
	for path, want := range map[string]string{"apps/payments.yaml": "payments 2", "shared/base.yaml": "base"} {
		if got, err := tree.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("ReadFile(%q) = %q, %v; want %q", path, got, err, want)
		}
	}
	if want := s.git(s.clone, "rev-parse", "HEAD:clusters/eu"); tree.TreeID() != want {
		t.Errorf("TreeID = %s, want %s", tree.TreeID(), want)
	}
	if mustID(t, tree, "shared") != mustID(t, localAt(t, openLocal(t, s.clone), "HEAD"), "shared") {
		t.Error("a link to another directory of the checkout has not that directory's id")
	}
	if _, err := tree.Stat("outside"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a link out of the checkout: %v; want permission denied", err)
	}
	got, err := eu.Changed(context.Background(), "HEAD~1", "HEAD")
	if diff := cmp.Diff([]Change{{"apps/payments.yaml", Modified}}, got); err != nil || diff != "" {
		t.Errorf("Changed: %v (-want +got):\n%s", err, diff)
	}
	us := openLocal(t, filepath.Join(s.clone, "clusters", "us"))
	_, err = us.At(first)
	hintHas(t, err, "has no directory clusters/us")
}

func TestWhatIsNoRepositorySaysSo(t *testing.T) {
	s := newServer(t)
	_, err := openLocal(t, s.clone).At("HEAD")
	hintHas(t, err, "no commit yet")

	_, err = OpenLocal(t.TempDir())
	hintHas(t, err, "is not in a git repository")
	if _, err = OpenLocal(filepath.Join(s.clone, "missing")); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing directory: %v; want not found", err)
	}
	stray := t.TempDir()
	if err := os.WriteFile(filepath.Join(stray, ".git"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = OpenLocal(stray)
	hintHas(t, err, "gitdir: PATH")
	s.git(s.clone, "config", "core.repositoryFormatVersion", "1")
	s.git(s.clone, "config", "extensions.objectFormat", "sha256")
	_, err = OpenLocal(s.clone)
	hintHas(t, err, "objectformat = sha256")
	s.git(s.clone, "config", "core.repositoryFormatVersion", "2")
	_, err = OpenLocal(s.clone)
	hintHas(t, err, "format version 2")
}

func TestADamagedRepositoryIsNamed(t *testing.T) {
	s := history(t)
	id := blob(s, "HEAD:apps/payments/kustomization.yaml")
	file := filepath.Join(s.clone, ".git", "objects", id[:2], id[2:])
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("not an object"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := localAt(t, openLocal(t, s.clone), "HEAD").ReadFile("apps/payments/kustomization.yaml")
	hintHas(t, err, "git fsck")
	if !strings.Contains(err.Error(), "apps/payments/kustomization.yaml") {
		t.Errorf("%v does not name the file", err)
	}
}

// While people work in their checkout, many read it, and nothing in it is touched.
func TestReadingACheckoutLeavesItAlone(t *testing.T) {
	s := history(t)
	state := func() map[string]string {
		files := map[string]string{}
		err := filepath.WalkDir(s.clone, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			files[path] = info.ModTime().String() + info.Mode().String()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	before := state()
	l := openLocal(t, s.clone)
	want := s.files("HEAD")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, rev := range []string{"HEAD", "HEAD~1", "v1.1.0", "HEAD"} {
				tree, err := l.At(rev)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := tree.ReadFile("apps/payments/kustomization.yaml"); err != nil || string(got) != want["apps/payments/kustomization.yaml"] {
					t.Errorf("%s: %q, %v", rev, got, err)
				}
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("the checkout was changed:\n%s", diff)
	}
}
