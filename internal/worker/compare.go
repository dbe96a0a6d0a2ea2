package worker

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/policy"
	"github.com/tagboat/tagboat/internal/store"
)

// comparison is a branch with and without somebody's pull request. Both sides are
// read under the configuration that holds without it (I10).
type comparison struct {
	w       *Worker
	repo    store.Repo
	config  *envrepo.Config
	rules   *policy.Source // those of config's commit
	was, is *gitmirror.Tree
	changes []gitmirror.Change
}

// compared finds what a pull request moves. It is not deployed when no environment
// lives on the branch that it goes to: a verdict would be about nothing, and the same
// commit could be proposed to another branch with it.
func (w *Worker) compared(ctx context.Context, repo store.Repo, a job.Stranger) (f findings, deployed bool, err error) {
	c, unread, err := w.comparison(ctx, repo, a)
	if err != nil {
		return f, false, err
	}
	if unread != nil {
		return findings{unread: []string{"commit " + checklist.Code(short(a.HeadSHA)) + ": " + checklist.Escape(explain(unread))}}, true, nil
	}
	onDefault := a.BaseRef == repo.DefaultBranch
	if onDefault {
		if f, err = c.configuration(); err != nil {
			return f, true, err
		}
	}
	holds, err := w.baseFor(ctx, repo, a)
	if err != nil {
		return f, true, err
	}
	if holds == nil {
		f.notes = append(f.notes, envrepo.File+" cannot be used as it is, and none is known that could be: there was nothing to compare with.")
		return f, onDefault, nil
	}
	c.config, c.rules = holds.config, holds.rules
	if deployed = onDefault || len(c.environments(a.BaseRef)) > 0; !deployed {
		return f, false, nil
	}
	found, err := c.overlays(ctx, c.environments(a.BaseRef))
	f.add(found)
	return f, true, err
}

// comparison reads both commits. What is wrong with the pull request's own is
// unread.
func (w *Worker) comparison(ctx context.Context, repo store.Repo, a job.Stranger) (c *comparison, unread, err error) {
	mirror, err := w.bases.mirror(repo)
	if err != nil {
		return nil, nil, err
	}
	c = &comparison{w: w, repo: repo}
	if c.was, err = mirror.At(ctx, a.BaseSHA); err != nil {
		return nil, nil, err
	}
	if c.is, err = mirror.At(ctx, a.HeadSHA); fault.Is(err, fault.Invalid) {
		return nil, err, nil
	} else if err != nil {
		return nil, nil, err
	}
	c.changes, err = mirror.Changed(ctx, a.BaseSHA, a.HeadSHA)
	return c, nil, err
}

// baseFor has the configuration that holds for a branch without the pull request:
// the base's own on the default branch, else the default branch's. Where it is
// broken, which the pull request may mend, it is the last one that could be used; nil
// where none is known.
func (w *Worker) baseFor(ctx context.Context, repo store.Repo, a job.Stranger) (*base, error) {
	commit := a.BaseSHA
	if a.BaseRef != repo.DefaultBranch {
		var err error
		if commit, err = w.bases.head(ctx, repo, repo.DefaultBranch, recentEnough); err != nil {
			return nil, err
		}
	}
	b, err := w.bases.at(ctx, repo, commit, commit)
	if surveyed := strings.Fields(repo.Surveyed); fault.Is(err, fault.Invalid) && len(surveyed) > 0 {
		b, err = w.bases.at(ctx, repo, surveyed[0], surveyed[0])
	}
	switch {
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return b, nil
}

// configuration refuses a tagboat.yaml that the pull request would break. One that is
// as broken without it is not its doing.
func (c *comparison) configuration() (f findings, err error) {
	if sameFile(c.was, c.is, envrepo.File) {
		return f, nil
	}
	before, after := usable(c.was), usable(c.is)
	switch {
	case after == nil:
	case !ofCommit(after):
		return f, after
	case before != nil && !ofCommit(before):
		return f, before
	case before == nil || explain(before) != explain(after):
		f.unread = append(f.unread, checklist.Escape(explain(after)))
		f.remarks = located(after)
	}
	return f, nil
}

// usable is why a tree's tagboat.yaml cannot be used.
func usable(tree *gitmirror.Tree) error {
	data, err := tree.ReadFile(envrepo.File)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Errorf(fault.Invalid, "%s is missing; without it nothing is deployed", envrepo.File)
	}
	if err == nil {
		_, err = envrepo.Parse(envrepo.File, data)
	}
	return err
}

// environments are those that live on a branch.
func (c *comparison) environments(branch string) (on []envrepo.Environment) {
	for _, e := range c.config.Environments {
		if e.Branch == branch || e.Branch == "" && branch == c.repo.DefaultBranch {
			on = append(on, e)
		}
	}
	return on
}

// overlays compares what all pairs render to that can differ, and then the files that
// carry their versions: not everything that moves shows in rendered objects.
func (c *comparison) overlays(ctx context.Context, on []envrepo.Environment) (f findings, err error) {
	before, err := c.pairs(c.was, on)
	if err != nil {
		return f, err
	}
	after, err := c.pairs(c.is, on)
	if err != nil {
		if !ofCommit(err) {
			return f, err
		}
		f.unread = append(f.unread, checklist.Escape(explain(err)))
		return f, nil
	}
	twins := paired(before, after)
	places := c.affected(c.places(twins, on))
	found := make([]findings, len(places))
	work, rendering := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0)) // as many as there are children, so that a sync never waits long for its turn
	for i := range places {
		work.Go(func() (err error) {
			found[i], err = c.comparePlace(rendering, &places[i])
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return f, err
	}
	for i := range found {
		f.add(found[i])
	}
	files, err := c.compareFiles(ctx, twins, places)
	f.add(files)
	return f, err
}

// ofCommit reports whether an error is about what a commit holds, so that reading it
// again gives the same. The tree's own errors have no kind, and are none of the
// operating system's.
func ofCommit(err error) bool {
	if !fault.KindOf(err).Retryable() {
		return true
	}
	at, ofTree := errors.AsType[*fs.PathError](err)
	_, ofSystem := errors.AsType[syscall.Errno](err)
	return fault.Is(err, fault.Broken) && ofTree && at != nil && !ofSystem
}
