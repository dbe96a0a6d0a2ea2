package nested_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/nested"
)

// tinyCheckout is a checkout of "Tagboat" with one nested module that prints a
// word and what the linker told it.
func tinyCheckout(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	write(t, root, "go.mod", "module github.com/tagboat/tagboat\n\ngo 1.26.0\n")
	write(t, root, "deep/inside/doc.txt", "")
	write(t, root, "tools/hello/go.mod", "module github.com/tagboat/tagboat/tools/hello\n\ngo 1.26.0\n")
	write(t, root, "tools/hello/main.go", greeting("hello"))
	return root
}

func greeting(word string) string {
	return "package main\n\nvar version string\n\nfunc main() { print(\"" + word + " \" + version) }\n"
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func hello(ldflags ...string) nested.Module {
	return nested.Module{Name: "hello", Dir: "tools/hello", LDFlags: ldflags}
}

func build(t *testing.T, m nested.Module, o nested.Options) (path, output string) {
	t.Helper()
	path, err := nested.Build(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return path, string(out)
}

func TestBuildOncePerContent(t *testing.T) {
	root := tinyCheckout(t)
	var said []string
	o := nested.Options{Root: root, Cache: t.TempDir(), Progress: func(s string) { said = append(said, s) }}

	first, out := build(t, hello("-X main.version=1"), o)
	if out != "hello 1" {
		t.Fatalf("the binary says %q", out)
	}
	if len(said) == 0 || !strings.Contains(said[0], "building hello") {
		t.Errorf("progress while building: %q", said)
	}

	said = nil
	if again, _ := build(t, hello("-X main.version=1"), o); again != first {
		t.Errorf("the same sources gave %s, then %s", first, again)
	}
	if len(said) != 0 {
		t.Errorf("something was built or waited for the second time: %q", said)
	}

	other, out := build(t, hello("-X main.version=2"), o)
	if other == first || out != "hello 2" {
		t.Errorf("other flags gave %s that says %q", other, out)
	}

	write(t, root, "tools/hello/main.go", greeting("goodbye"))
	changed, out := build(t, hello("-X main.version=1"), o)
	if changed == first || out != "goodbye 1" {
		t.Errorf("changed sources gave %s that says %q", changed, out)
	}
}

func TestBuildersAtTheSameTimeAgree(t *testing.T) {
	o := nested.Options{Root: tinyCheckout(t), Cache: t.TempDir()}
	paths := make([]string, 4)
	var all sync.WaitGroup
	for i := range paths {
		all.Go(func() {
			var err error
			if paths[i], err = nested.Build(t.Context(), hello(), o); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, p := range paths {
		if p != paths[0] {
			t.Errorf("one builder got %s, another %s", paths[0], p)
		}
	}
	left, err := filepath.Glob(filepath.Join(o.Cache, "bin", "*.tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestCheckoutIsFoundUpward(t *testing.T) {
	root := tinyCheckout(t)
	t.Chdir(filepath.Join(root, "deep", "inside"))
	if _, out := build(t, hello(), nested.Options{Cache: t.TempDir()}); out != "hello " {
		t.Errorf("the binary says %q", out)
	}
}

func TestOutsideACheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := nested.Build(t.Context(), hello(), nested.Options{Cache: t.TempDir()})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "run it inside a checkout") {
		t.Errorf("got %v", err)
	}
}

func TestBrokenSourcesSayWhere(t *testing.T) {
	root := tinyCheckout(t)
	write(t, root, "tools/hello/main.go", "package main\n\nfunc main() { oops }\n")
	cache := t.TempDir()
	_, err := nested.Build(t.Context(), hello(), nested.Options{Root: root, Cache: cache})
	if !strings.Contains(fault.HintOf(err), "main.go:3") {
		t.Errorf("hint: %q", fault.HintOf(err))
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "bin", "hello-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNPMFetchesAndKeeps(t *testing.T) {
	o := nested.Options{Cache: t.TempDir()}
	dir, err := nested.NPM(t.Context(), "is-number", "7.0.0", o)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(manifest, []byte(`"version": "7.0.0"`)) {
		t.Errorf("package.json:\n%s", manifest)
	}
	t.Setenv("PATH", "") // no npm to ask any more
	if again, err := nested.NPM(t.Context(), "is-number", "7.0.0", o); err != nil || again != dir {
		t.Errorf("the second time: %q, %v", again, err)
	}
}

func TestNPMRefusesRanges(t *testing.T) {
	for _, spec := range [][2]string{{"is-number", "latest"}, {"is-number", "^7"}, {"../is-number", "7.0.0"}, {"--registry", "7.0.0"}} {
		if _, err := nested.NPM(t.Context(), spec[0], spec[1], nested.Options{Cache: t.TempDir()}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: got %v", spec, err)
		}
	}
}

// fakeNPM puts a program named npm first in PATH that leaves tarball where npm
// pack would.
func fakeNPM(t *testing.T, tarball []byte) {
	t.Helper()
	bin := t.TempDir()
	write(t, bin, "ready.tgz", string(tarball))
	write(t, bin, "npm", "#!/bin/sh\nexec cp '"+bin+"/ready.tgz' ./package.tgz\n")
	if err := os.Chmod(filepath.Join(bin, "npm"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

func tarball(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, name := range names {
		if err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 2}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte("hi")); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNPMRefusesNamesThatLeadOut(t *testing.T) {
	for _, name := range []string{"package/../../evil", "package//etc/evil", "evil"} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			fakeNPM(t, tarball(t, "package/ok", name))
			cache := t.TempDir()
			_, err := nested.NPM(t.Context(), "evil", "1.0.0", nested.Options{Cache: cache})
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Stat(filepath.Join(cache, "npm", "evil-1.0.0")); err == nil {
				t.Error("the refused package is in the cache")
			}
		})
	}
}
