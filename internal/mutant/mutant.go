// Package mutant proves that tests are worth something: it takes guards out of the
// code that they watch, one at a time, and wants each of these mutants caught.
package mutant

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Guard is one condition that keeps something from happening, and the edit that
// takes it away.
type Guard struct {
	Name     string
	File     string // relative to the directory of the tests
	Old, New string // Old stands in File exactly once
}

// patience is how long one mutant may take to be built and caught: seconds, but the
// machine may be busy: each links a program, two at a time.
const patience = 10 * time.Minute

// Caught wants the package's tests that match to pass as the code is, and some of them
// to fail without any one of the guards. Several patterns are run one after the other,
// until one catches the mutant. Random tests draw the same in every run, so that a
// mutant is caught always or never. In short mode only the list is looked at: that every
// guard is still in its place.
func Caught(t *testing.T, guards []Guard, tests ...string) {
	t.Helper()
	if !testing.Short() {
		binary := build(t)
		for _, pattern := range tests {
			if failed, out := run(t, binary, pattern); failed {
				t.Fatalf("with every guard in its place the tests fail:\n%s", out)
			}
		}
	}
	for _, g := range guards {
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			flag := overlay(t, g)
			if testing.Short() {
				return
			}
			binary := build(t, flag)
			for _, pattern := range tests {
				if failed, _ := run(t, binary, pattern); failed {
					return
				}
			}
			t.Errorf("nothing notices that %s does without this:\n%s", g.File, g.Old)
		})
	}
}

// overlay is the flag that has Go build without the guard: files on disk stay as
// they are.
func overlay(t *testing.T, g Guard) string {
	t.Helper()
	path, err := filepath.Abs(g.File)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), g.Old); n != 1 {
		t.Fatalf("%s has this %d times, not once; if the guard moved, change the list:\n%s", g.File, n, g.Old)
	}
	dir := t.TempDir()
	without := filepath.Join(dir, "without.go")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: without}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	for name, data := range map[string][]byte{without: bytes.Replace(text, []byte(g.Old), []byte(g.New), 1), file: replace} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "-overlay=" + file
}

// build builds the tests of the working directory. That they cannot be built is no
// failure of theirs.
func build(t *testing.T, flags ...string) (binary string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	binary = filepath.Join(t.TempDir(), "tests")
	args := append(append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", binary}, flags...), ".")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("it does not build: %v\n%s", err, out)
	}
	return binary
}

// run runs the tests that match. Those that do not come to an end fail this one.
func run(t *testing.T, binary, tests string) (failed bool, out []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "-test.run="+tests, "-test.v", "-test.failfast",
		"-rapid.seed=1", "-rapid.checks=500", "-rapid.shrinktime=0s", "-rapid.nofailfile").CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("the tests did not come to an end within %s", patience)
	}
	if !bytes.Contains(out, []byte("=== RUN")) {
		t.Fatalf("no test matches %s: %v\n%s", tests, err, out)
	}
	return err != nil, out
}
