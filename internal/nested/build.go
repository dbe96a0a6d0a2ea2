package nested

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// modulePath is the line by which a directory is known as Tagboat's checkout.
const modulePath = "github.com/tagboat/tagboat"

// Module is a Go module inside this checkout whose main package is at its root.
type Module struct {
	Name    string   // name of the binary: "controlplane"
	Dir     string   // directory, slash separated, relative to the checkout
	LDFlags []string // arguments of the linker; none with a space in it
}

// Build returns the path of m's binary, building it if the cache has none for
// these sources, this Go version and these flags. The first build of a big
// module takes minutes; a process that finds another one building waits for it.
//
// The flags keep to what shares Go's build cache with a plain "CGO_ENABLED=0 go
// build" (no -trimpath), so that a changed module costs a relink only.
func Build(ctx context.Context, m Module, o Options) (binary string, err error) {
	defer fault.Wrap(&err, "build %s", m.Name)
	root, err := checkout(o.Root)
	if err != nil {
		return "", err
	}
	src := filepath.Join(root, filepath.FromSlash(m.Dir))
	if _, err := os.Stat(filepath.Join(src, "go.mod")); err != nil {
		return "", fault.E(fault.Invalid, fmt.Sprintf("%s holds no Go module: is the checkout complete?", src), err)
	}
	key, err := moduleKey(ctx, src, m)
	if err != nil {
		return "", err
	}
	dir, err := o.dir("bin")
	if err != nil {
		return "", err
	}
	binary = filepath.Join(dir, m.Name+"-"+key)
	if executable(binary) {
		touch(binary)
		return binary, nil
	}
	unlock, err := o.lock(ctx, filepath.Join(dir, m.Name+".lock"), "building "+m.Name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if executable(binary) { // whoever held the lock made it
		return binary, nil
	}
	if err := compile(ctx, src, binary, m, o); err != nil {
		return "", err
	}
	dropStale(dir, m.Name, binary)
	return binary, nil
}

func compile(ctx context.Context, src, binary string, m Module, o Options) error {
	tmp := fmt.Sprintf("%s.%d.tmp", binary, os.Getpid())
	defer os.Remove(tmp)
	stop := o.report("building " + m.Name + " from source (once; kept in the cache)")
	defer stop()
	args := []string{"build", "-o", tmp}
	if len(m.LDFlags) > 0 {
		args = append(args, "-ldflags", strings.Join(m.LDFlags, " "))
	}
	if out, err := goTool(ctx, src, append(args, ".")...); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.E(fault.Broken, fmt.Sprintf("%s does not build: %s", m.Name, lastLines(out, 5)), err)
	}
	return os.Rename(tmp, binary)
}

// goTool runs the go command in dir with a fixed environment, so that the same
// sources come to the same binary whatever the caller builds for itself.
func goTool(ctx context.Context, dir string, args ...string) (output []byte, err error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets go stop its compilers
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fault.E(fault.Invalid, "This needs the go command, which is not in PATH: install Go and try again.", err)
	}
	return out.Bytes(), err
}

// moduleKey is a hash of everything that the binary depends on. The modules that
// src requires are covered by its go.sum.
func moduleKey(ctx context.Context, src string, m Module) (string, error) {
	version, err := goTool(ctx, src, "env", "GOVERSION")
	if err != nil {
		return "", fmt.Errorf("go env GOVERSION: %s: %w", lastLines(version, 2), err)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %s/%s\n%q\n", bytes.TrimSpace(version), runtime.GOOS, runtime.GOARCH, m.LDFlags)
	err = filepath.WalkDir(src, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != src && strings.HasPrefix(d.Name(), ".") { // an editor's file
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		return hashFile(h, filepath.ToSlash(rel), path)
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func hashFile(h io.Writer, name, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(b))
	return err
}

// checkout finds the root of Tagboat's sources.
func checkout(root string) (string, error) {
	if root != "" {
		if !isCheckout(root) {
			return "", fault.Errorf(fault.Invalid, "%s is not a checkout of Tagboat: its go.mod does not say module %s", root, modulePath)
		}
		return filepath.Abs(root)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for !isCheckout(dir) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fault.Errorf(fault.Invalid, "the demo builds its control plane and registry from Tagboat's sources; run it inside a checkout of Tagboat")
		}
		dir = parent
	}
	return dir, nil
}

var moduleLine = regexp.MustCompile(`(?m)^module ` + regexp.QuoteMeta(modulePath) + `\s*$`)

func isCheckout(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && moduleLine.Match(b)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o100 != 0
}

// touch notes in the file's time that it is in use, for dropStale. A cache that
// somebody else owns cannot be noted in, and is not ours to clean either.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(path, now, now)
}

// dropStale removes older binaries of the same module: each is up to 140 MB, and
// one that was not used for a week belongs to sources that are gone. A running
// process keeps its binary until it ends.
func dropStale(dir, name, keep string) {
	old, _ := filepath.Glob(filepath.Join(dir, name+"-*"))
	for _, path := range old {
		info, err := os.Stat(path)
		if err != nil || path == keep || time.Since(info.ModTime()) < 7*24*time.Hour {
			continue
		}
		_ = os.Remove(path) // left for the next build if it cannot go
	}
}

// lastLines is the end of a program's output, which is where compilers and
// package managers say what was wrong.
func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
