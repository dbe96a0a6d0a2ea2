package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/health"
	"github.com/tagboat/tagboat/internal/policy"
	"github.com/tagboat/tagboat/internal/store"
)

// base is one commit of an env repo's branch, with the configuration that holds
// for it. Configuration always comes from the default branch (I10), whichever
// branch an environment's overlays live on.
type base struct {
	commit string
	tree   *gitmirror.Tree
	config *envrepo.Config
	pairs  []envrepo.Pair
	rules  *policy.Source  // the team's, of the configuration's commit (I10)
	from   string          // the configuration's commit
	health *health.Rules   // of tagboat.yaml
	trust  *gitmirror.Tree // the configuration's: keys are as much configuration as who they are of
}

// pair is one (app, environment), and its environment's rules.
func (b *base) pair(app, env string) (envrepo.Pair, envrepo.Environment, error) {
	e, ok := b.config.Environment(env)
	if !ok {
		return envrepo.Pair{}, e, fault.Errorf(fault.NotFound, "tagboat.yaml names no environment %q.", env)
	}
	for _, p := range b.pairs {
		if p.App == app && p.Env == env {
			return p, e, p.Err
		}
	}
	return envrepo.Pair{}, e, fault.Errorf(fault.NotFound, "There is no overlay of %s for %s that sets an image. Add an images: entry to its kustomization.", app, env)
}

// recentEnough is how old a look at a branch may be where the answer is looked
// at again before anything is changed.
const recentEnough = 5 * time.Second

// bases reads env repos. Heads are kept for a moment, commits for longer.
type bases struct {
	w          *Worker
	mu         sync.Mutex
	mirrors    map[mirrorKey]*gitmirror.Mirror
	discovered map[int64]*envrepo.Memory
	heads      map[branchKey]head
	commits    map[commitKey]*base
}

type branchKey struct {
	repo   int64
	branch string
}

// mirrorKey is a repository as it is reached now. Under another name, or by another
// installation, it is reached otherwise.
type mirrorKey struct {
	repo, installation int64
	owner, name        string
}

type commitKey struct {
	repo           int64
	config, commit string
}

type head struct {
	commit string
	at     time.Time
}

func newBases(w *Worker) *bases {
	return &bases{w: w, mirrors: map[mirrorKey]*gitmirror.Mirror{}, discovered: map[int64]*envrepo.Memory{}, heads: map[branchKey]head{}, commits: map[commitKey]*base{}}
}

// fresh reads a branch of an env repo as it is now; branch "" is the default.
func (b *bases) fresh(ctx context.Context, repo store.Repo, branch string) (*base, error) {
	return b.read(ctx, repo, branch, 0)
}

// recent reads a branch as it was a moment ago.
func (b *bases) recent(ctx context.Context, repo store.Repo, branch string) (*base, error) {
	return b.read(ctx, repo, branch, recentEnough)
}

func (b *bases) read(ctx context.Context, repo store.Repo, branch string, age time.Duration) (_ *base, err error) {
	defer fault.Wrap(&err, "read %s/%s", repo.Owner, repo.Name)
	if branch == "" {
		branch = repo.DefaultBranch
	}
	config, err := b.head(ctx, repo, repo.DefaultBranch, age)
	if err != nil {
		return nil, err
	}
	commit := config
	if branch != repo.DefaultBranch {
		if commit, err = b.head(ctx, repo, branch, age); fault.Is(err, fault.NotFound) {
			return nil, fault.Errorf(fault.Invalid, "tagboat.yaml names the branch %q, which %s/%s does not have. Make the branch, or mend the environment that names it.", branch, repo.Owner, repo.Name)
		} else if err != nil {
			return nil, err
		}
	}
	return b.at(ctx, repo, config, commit)
}

// at is the base for a commit, under the configuration of another.
func (b *bases) at(ctx context.Context, repo store.Repo, config, commit string) (*base, error) {
	key := commitKey{repo.ID, config, commit}
	b.mu.Lock()
	known := b.commits[key]
	b.mu.Unlock()
	if known != nil {
		return known, nil
	}
	mirror, err := b.mirror(repo)
	if err != nil {
		return nil, err
	}
	tree, err := mirror.At(ctx, config)
	if err != nil {
		return nil, err
	}
	got := &base{commit: commit, from: config, tree: tree, trust: tree}
	memory := b.memory(repo)
	if got.config, got.pairs, err = memory.Load(tree); fault.Is(err, fault.Transient) {
		return nil, err // nothing is wrong with the file
	} else if err != nil {
		return nil, fault.E(fault.Invalid, explain(err), err)
	}
	got.health, _ = health.Compile(got.config.Health) // what does not compile is no configuration
	got.rules = policy.Read(tree, PolicySettings(got.config))
	if commit != config {
		if got.tree, err = mirror.At(ctx, commit); err != nil {
			return nil, err
		}
		if got.pairs, err = memory.Discover(got.tree, got.config); err != nil {
			return nil, err
		}
	}
	envrepo.RefuseSeveral(got.pairs)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.commits) > 64 {
		clear(b.commits)
	}
	b.commits[key] = got
	return got, nil
}

// surveyed is the tree that an environment had when its env repo was surveyed
// last, under the configuration that still holds; nil where that is not known.
func (b *bases) surveyed(ctx context.Context, repo store.Repo, env string) *gitmirror.Tree {
	commits := strings.Fields(repo.Surveyed)
	at := slices.IndexFunc(commits, func(c string) bool { return strings.HasPrefix(c, env+"@") })
	if at < 0 {
		return nil
	}
	mirror, err := b.mirror(repo)
	if err != nil {
		return nil
	}
	was, err := mirror.At(ctx, commits[0])
	if err != nil {
		return nil
	}
	root, err := b.recent(ctx, repo, "")
	if err != nil || !sameFile(was, root.tree, envrepo.File) {
		return nil
	}
	tree, err := mirror.At(ctx, strings.TrimPrefix(commits[at], env+"@"))
	if err != nil {
		return nil
	}
	return tree
}

func sameFile(a, b *gitmirror.Tree, name string) bool {
	was, _, errA := a.ID(name)
	is, _, errB := b.ID(name)
	return errA == nil && errB == nil && was == is
}

// memory is what discovery has read of an env repo.
func (b *bases) memory(repo store.Repo) *envrepo.Memory {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.discovered[repo.ID] == nil {
		b.discovered[repo.ID] = &envrepo.Memory{}
	}
	return b.discovered[repo.ID]
}

func (b *bases) head(ctx context.Context, repo store.Repo, branch string, age time.Duration) (string, error) {
	key := branchKey{repo.ID, branch}
	now := b.w.Now()
	b.mu.Lock()
	known, ok := b.heads[key]
	b.mu.Unlock()
	if ok && now.Sub(known.at) < age {
		return known.commit, nil
	}
	mirror, err := b.mirror(repo)
	if err != nil {
		return "", err
	}
	commit, err := mirror.Head(ctx, branch)
	if err != nil {
		return "", err
	}
	if !ok || commit != known.commit {
		if err := b.w.isStill(ctx, repo); err != nil {
			return "", err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heads[key] = head{commit: commit, at: now}
	return commit, nil
}

func (b *bases) mirror(repo store.Repo) (*gitmirror.Mirror, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := mirrorKey{repo: repo.ID, installation: repo.InstallationID, owner: repo.Owner, name: repo.Name}
	if m := b.mirrors[key]; m != nil {
		return m, nil
	}
	door := b.w.repo(repo)
	// Two repositories never share a copy, however they are called.
	m, err := gitmirror.Open(filepath.Join(b.w.Mirrors, fmt.Sprintf("%d-%s-%s.git", repo.ID, repo.Owner, repo.Name)), gitmirror.Remote{
		URL: door.CloneURL(), Token: door.Token,
	})
	if err != nil {
		return nil, err
	}
	b.mirrors[key] = m
	return m, nil
}
