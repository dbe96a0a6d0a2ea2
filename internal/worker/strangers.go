package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/store"
)

// strangers answers a pull request of the env repo that is not ours: the branch
// may require our check, and people must be able to change tagboat.yaml, a base,
// or an overlay by hand. Their review is GitHub's business. But a version does
// not get into an environment that way without evidence (I1): only one that the
// environment had before, which is how people go back.
//
// A check run belongs to a commit, not to a pull request. So a commit of ours
// never gets this one, whichever branch somebody points at it.
func (w *Worker) strangers(ctx context.Context, e github.PullChanged) (string, error) {
	if e.Action != "opened" && e.Action != "synchronize" && e.Action != "reopened" {
		return "", errNotOurs
	}
	repo, err := w.envRepo(ctx, e.Repo)
	if err != nil {
		return "", err
	}
	ours, err := w.Store.KnownHead(ctx, e.Pull.HeadSHA)
	if err != nil || ours || strings.HasPrefix(e.Pull.HeadRef, branchPrefix) {
		return "one of our commits or branches", err
	}
	door := w.repo(repo)
	if _, found, err := door.FindCheck(ctx, e.Pull.HeadSHA, CheckName); err != nil || found {
		return "its check is there already", err
	}
	moved, err := w.movedVersions(ctx, repo, e.Pull)
	if err != nil {
		return "", err
	}
	_, err = door.CreateCheck(ctx, strangersCheck(e.Pull.HeadSHA, moved))
	return fmt.Sprintf("not a promotion, %d versions moved", len(moved)), err
}

func strangersCheck(head string, moved []string) github.CheckRun {
	run := github.CheckRun{
		Name: CheckName, HeadSHA: head, Status: "completed", Conclusion: "success", Title: "Not a promotion",
		Summary: "This pull request is not Tagboat's, and moves no version to where it was not before. Review it as any change.",
	}
	if len(moved) > 0 {
		run.Conclusion, run.Title = "failure", "Moves a version without evidence"
		run.Summary = "This pull request is not Tagboat's, and moves versions that were never verified for their environment:\n\n- " +
			strings.Join(moved, "\n- ") + "\n\nTake them out of it, and comment `/promote <env> <app> <tag>` instead: then the digest is verified, " +
			"and the environment's gates are asked. Going back to a version that the environment had before is allowed."
	}
	return run
}

// movedVersions lists, for people, the versions that a pull request sets and that
// their (app, environment) never had.
func (w *Worker) movedVersions(ctx context.Context, repo store.Repo, pull github.Pull) ([]string, error) {
	mirror, err := w.bases.mirror(repo)
	if err != nil {
		return nil, err
	}
	changes, err := mirror.Changed(ctx, pull.BaseSHA, pull.HeadSHA)
	if err != nil {
		return nil, err
	}
	b, err := w.bases.at(ctx, repo, pull.BaseSHA, pull.BaseSHA)
	if fault.Is(err, fault.Invalid) {
		return nil, nil // a broken tagboat.yaml, which this pull request may mend
	}
	if err != nil {
		return nil, err
	}
	after, err := mirror.At(ctx, pull.HeadSHA)
	if err != nil {
		return nil, err
	}
	var moved []string
	for _, c := range changes {
		for _, pair := range b.pairs {
			if pair.File != c.Path {
				continue
			}
			refs, err := w.unknownVersions(ctx, repo, pair.App, pair.Env, versionsIn(b.tree, c.Path), versionsIn(after, c.Path))
			if err != nil {
				return nil, err
			}
			for _, ref := range refs {
				moved = append(moved, fmt.Sprintf("%s in %s: %s", checklist.Escape(pair.App), checklist.Escape(pair.Env), checklist.Code(ref.String())))
			}
		}
	}
	return moved, nil
}

// versionsIn are the versions that a file pins, of images and of charts. One that
// cannot be read pins none that a cluster would get: it does not render either.
func versionsIn(tree fs.FS, file string) []image.Ref {
	data, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil
	}
	sites, err := overlay.Sites(file, data)
	if err != nil {
		return nil
	}
	var versions []image.Ref
	for _, s := range sites {
		if s.Kind != overlay.KindRevision {
			versions = append(versions, image.Ref{Name: s.Name, Tag: s.Version, Digest: s.Digest})
		}
	}
	return versions
}

func (w *Worker) unknownVersions(ctx context.Context, repo store.Repo, app, env string, before, after []image.Ref) ([]image.Ref, error) {
	var unknown []image.Ref
	var errs []error
	for _, ref := range after {
		if slices.Contains(before, ref) || slices.Contains(unknown, ref) || ref.Tag == "" && ref.Digest == "" {
			continue
		}
		had, err := w.Store.WasThere(ctx, repo.ID, app, env, ref.Tag, ref.Digest)
		if err != nil {
			errs = append(errs, err)
		} else if !had {
			unknown = append(unknown, ref)
		}
	}
	return unknown, errors.Join(errs...)
}
