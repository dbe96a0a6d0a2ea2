package rendertest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Change is a kind of commit. What it touches moves on from commit to commit.
type Change string

// The kinds of commits, by how far they reach.
const (
	BumpTag        Change = "bump one tag"
	EditBase       Change = "change a base"
	EditMonitoring Change = "change the component of every tenth app"
	EditCommon     Change = "change the component of all"
	EditReadme     Change = "change nothing that is rendered"
)

// Commit is one commit on top of a history.
type Commit struct {
	ID       string   // 40 hex digits
	Files    []string // that it changed
	Affected []string // overlays that render to something else now, sorted
}

// History is a bare git repository with a generated repo on its branch main.
type History struct {
	Dir   string
	Head  string // 40 hex digits
	world *world
	count int // of commits on top of the first
}

// Git makes a bare repository with the repo's files at dir, which must not exist.
// It needs the git command.
func (r Repo) Git(ctx context.Context, dir string) (_ *History, err error) {
	defer fault.Wrap(&err, "make a repository of %d apps", r.Apps)
	h := &History{Dir: dir, world: r.start()}
	if _, err := git(ctx, nil, "init", "--quiet", "--bare", "--initial-branch=main", dir); err != nil {
		return nil, err
	}
	for _, setting := range []string{"uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"} {
		if _, err := git(ctx, nil, "-C", dir, "config", setting, "true"); err != nil {
			return nil, err
		}
	}
	return h, h.commit(ctx, "Import", h.world.files())
}

// FS is the head in memory.
func (h *History) FS() fs.FS { return newMemory(h.world.files()) }

// Commit adds one commit to main.
func (h *History) Commit(ctx context.Context, c Change) (_ Commit, err error) {
	defer fault.Wrap(&err, "%s", c)
	h.count++
	files, affected, err := h.change(c)
	if err != nil {
		return Commit{}, err
	}
	if err := h.commit(ctx, string(c), files); err != nil {
		return Commit{}, err
	}
	return Commit{h.Head, slices.Sorted(maps.Keys(files)), affected}, nil
}

// change makes a change to the world.
func (h *History) change(c Change) (files map[string][]byte, affected []string, err error) {
	w := h.world
	a := &w.Apps[h.count*7%len(w.Apps)]
	p, pattern, meant := page{world: w}, "", func(app) bool { return true }
	switch c {
	case BumpTag:
		env := w.Envs[h.count%len(w.Envs)]
		a.Tags[env] = fmt.Sprintf("v5.%d.0", h.count)
		p.Env, pattern = env, "apps/APP/overlays/ENV/kustomization.yaml"
	case EditBase:
		a.Revisions = 10 + h.count
		pattern = "apps/APP/base/deployment.yaml"
	case EditMonitoring:
		w.Metrics = fmt.Sprintf("/metrics/%d", h.count)
		pattern, meant = "components/monitoring/scrape.yaml", func(a app) bool { return a.Monitored }
	case EditCommon:
		w.Owner = fmt.Sprintf("platform-%d", h.count)
		pattern = "components/common-meta/kustomization.yaml"
	case EditReadme:
		w.Edition = h.count
		pattern, meant = "README.md", func(app) bool { return false }
	default:
		return nil, nil, fault.Errorf(fault.Invalid, "there is no such kind of commit")
	}
	if strings.Contains(pattern, "APP") {
		p.App, meant = *a, func(b app) bool { return b.Name == a.Name }
	}
	affected = w.overlays(meant)
	if p.Env != "" {
		affected = slices.DeleteFunc(affected, func(overlay string) bool { return !strings.HasSuffix(overlay, "/"+p.Env) })
	}
	name, data := p.file(pattern)
	return map[string][]byte{name: data}, affected, nil
}

// commit writes files on top of main. Times are fixed, so that the same changes are
// the same commits.
func (h *History) commit(ctx context.Context, message string, files map[string][]byte) error {
	var stream bytes.Buffer
	w := bufio.NewWriter(&stream)
	const start = 1735689600 // 2025-01-01
	fmt.Fprintf(w, "commit refs/heads/main\ncommitter Acme <acme@example.com> %d +0000\ndata %d\n%s\n", start+600*h.count, len(message), message)
	if h.Head != "" {
		fmt.Fprintf(w, "from %s\n", h.Head)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(files[name]), files[name])
	}
	fmt.Fprint(w, "done\n")
	if err := w.Flush(); err != nil {
		return err
	}
	if _, err := git(ctx, &stream, "-C", h.Dir, "fast-import", "--quiet", "--done"); err != nil {
		return err
	}
	head, err := git(ctx, nil, "-C", h.Dir, "rev-parse", "refs/heads/main")
	h.Head = strings.TrimSpace(string(head))
	return err
}

// git runs git without the user's configuration.
func git(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull}
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.Bytes(), nil
}
