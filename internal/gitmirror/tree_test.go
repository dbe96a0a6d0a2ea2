package gitmirror

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tagboat/tagboat/internal/fault"
)

// richTree is a commit with everything a git tree can hold.
func richTree(t *testing.T) (*server, *Tree) {
	t.Helper()
	s := newServer(t)
	s.write("apps/payments/base/kustomization.yaml", "resources: [deployment.yaml]\n")
	s.write("apps/payments/overlays/prod/kustomization.yaml", "resources: [../../base]\n")
	s.write("apps-notes.txt", "sorts before the directory apps in git, after it here\n")
	s.write("empty", "")
	s.write("bin/run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(s.clone, "bin/run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"current": "apps/payments/overlays/prod", "apps/shared.yaml": "../apps-notes.txt",
		"apps/payments/base/up": "../../../apps",
	} {
		if err := os.Symlink(target, filepath.Join(s.clone, link)); err != nil {
			t.Fatal(err)
		}
	}
	s.git(s.clone, "add", "-A")
	s.git(s.clone, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("12", 20)+",vendor/library")
	s.git(s.clone, "commit", "-q", "-m", "everything")
	s.git(s.clone, "push", "-q", "origin", "HEAD:refs/heads/main")
	return s, s.at(s.mirror(), s.git(s.clone, "rev-parse", "HEAD"))
}

func TestTreeIsAFileSystem(t *testing.T) {
	s, tree := richTree(t)
	if err := fstest.TestFS(tree, "apps/payments/base/kustomization.yaml", "apps-notes.txt", "empty", "bin/run.sh", "vendor/library"); err != nil {
		t.Error(err)
	}
	overlay, err := fs.Sub(tree, "apps/payments/overlays")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(overlay, "prod/kustomization.yaml"); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]string{
		"current/kustomization.yaml":             "resources: [../../base]\n",
		"apps/shared.yaml":                       "sorts before the directory apps in git, after it here\n",
		"apps/payments/base/up/shared.yaml":      "sorts before the directory apps in git, after it here\n",
		"apps/payments/base/kustomization.yaml":  "resources: [deployment.yaml]\n",
		"apps/payments/base/up/../no/such/thing": "",
	} {
		got, err := tree.ReadFile(path)
		if want == "" {
			if err == nil {
				t.Errorf("ReadFile(%q) = %q, want an error", path, got)
			}
			continue
		}
		if err != nil || string(got) != want {
			t.Errorf("ReadFile(%q) = %q, %v; want %q", path, got, err, want)
		}
	}
	for path, mode := range map[string]string{
		"bin/run.sh": "100755", "empty": "100644", "apps": "040000", "current": "120000", "vendor/library": "160000",
	} {
		if got, err := tree.Mode(path); err != nil || got != mode {
			t.Errorf("Mode(%q) = %q, %v; want %s", path, got, err, mode)
		}
	}
	want := s.git(s.clone, "rev-parse", "HEAD:bin/run.sh")
	if got, err := tree.BlobID("bin/run.sh"); err != nil || got != want {
		t.Errorf("BlobID = %s, %v; want %s", got, err, want)
	}
	if _, err := tree.BlobID("apps"); err == nil {
		t.Error("a directory has a blob id")
	}
	if link, err := tree.ReadLink("current"); err != nil || link != "apps/payments/overlays/prod" {
		t.Errorf("ReadLink = %q, %v", link, err)
	}
	if inside, err := tree.ReadDir("vendor/library"); err != nil || len(inside) != 0 {
		t.Errorf("a submodule holds %v, %v; want nothing", inside, err)
	}
	for _, path := range []string{"missing", "apps/missing", "empty/below-a-file"} {
		if _, err := tree.Open(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q): %v; want it not to exist", path, err)
		}
	}
}

func TestLinksStayInside(t *testing.T) {
	s := newServer(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.write("sub/file", "file")
	links := map[string]string{
		"absolute": secret, "up": "../../../../../../../../etc/passwd", "sub/just-out": "../..",
		"loop-a": "loop-b", "loop-b": "loop-a", "dangling": "nowhere",
	}
	for link, target := range links {
		if err := os.Symlink(target, filepath.Join(s.clone, link)); err != nil {
			t.Fatal(err)
		}
	}
	tree := s.at(s.mirror(), s.commit("main", "links"))
	for link := range links {
		for _, path := range []string{link, link + "/file"} {
			if got, err := tree.ReadFile(path); err == nil {
				t.Errorf("ReadFile(%q) = %q, want an error", path, got)
			}
			if _, err := tree.Stat(path); err == nil {
				t.Errorf("Stat(%q) works", path)
			}
		}
		if info, err := tree.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("Lstat(%q) = %v, %v; want a symbolic link", link, info, err)
		}
	}
	if _, err := tree.ReadFile("up"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a link out of the repository: %v; want permission denied", err)
	}
}

func TestLinksLongerThanAnySystemTakesAreRefused(t *testing.T) {
	s := newServer(t)
	s.write("target", strings.Repeat("sub/../", 600)+"sub")
	s.write("sub/file", "file")
	id := s.git(s.clone, "hash-object", "-w", "target")
	s.git(s.clone, "add", "-A")
	s.git(s.clone, "update-index", "--add", "--cacheinfo", "120000,"+id+",link")
	s.git(s.clone, "commit", "-q", "-m", "a link that no file system could hold")
	s.git(s.clone, "push", "-q", "origin", "HEAD:refs/heads/main")
	tree := s.at(s.mirror(), s.git(s.clone, "rev-parse", "HEAD"))
	if _, err := tree.Stat("link/file"); !errors.Is(err, errTarget) {
		t.Errorf("Stat: %v, want that the target is too long", err)
	}
}

func TestLargeFilesAreRefused(t *testing.T) {
	s := newServer(t)
	s.write("limit.bin", strings.Repeat("x", maxBlob))
	s.write("over.bin", strings.Repeat("x", maxBlob+1))
	tree := s.at(s.mirror(), s.commit("main", "large"))
	if b, err := tree.ReadFile("limit.bin"); err != nil || len(b) != maxBlob {
		t.Errorf("a file of 4 MiB: %d bytes, %v", len(b), err)
	}
	if _, err := tree.ReadFile("over.bin"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "over.bin") {
		t.Errorf("a larger file: %v; want invalid, naming the file", err)
	}
	if info, err := tree.Stat("over.bin"); err != nil || info.Size() != maxBlob+1 {
		t.Errorf("Stat of a larger file: %v, %v", info, err)
	}
	if _, err := tree.Open("over.bin"); err == nil {
		t.Error("a larger file opens")
	}
}

func TestReadersMayChangeWhatTheyGot(t *testing.T) {
	_, tree := richTree(t)
	first, err := tree.ReadFile("bin/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	clear(first)
	f, err := tree.Open("bin/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if again, err := io.ReadAll(f); err != nil || string(again) != "#!/bin/sh\n" {
		t.Errorf("after a reader cleared its copy: %q, %v", again, err)
	}
}
