package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/store"
)

// A tag may be announced before the registry serves it
// (distribution/distribution#2625): that many attempts are made before “not
// found” is believed, about 20 s with the retries' delays.
const believeNotFound = 7

// use is one (app, environment) that runs an image.
type use struct {
	repo store.Repo
	base *base
	pair envrepo.Pair
	env  envrepo.Environment
}

// verify asks the registry for an image that an env repo uses, enters it into
// the tag ledger, and proposes it to the environments that take new versions by
// themselves. Whatever is wrong with it is written down as a refusal.
func (w *Worker) verify(ctx context.Context, j *river.Job[job.Verify]) error {
	uses, err := w.uses(ctx, j.Args.Image)
	if err != nil && !fault.KindOf(err).Retryable() {
		// The env repo cannot be read, and the image may be meant for it: wait until
		// that is mended.
		return fault.E(fault.Transient, explain(err), err)
	}
	if err != nil || len(uses) == 0 {
		return err
	}
	v := store.Verified{
		Image: j.Args.Image, Tag: j.Args.Tag, Digest: j.Args.Digest, Delivery: j.Args.Delivery,
		SourceRepo: j.Args.SourceRepo, SourceCommit: j.Args.SourceCommit, RunURL: j.Args.RunURL,
	}
	if image.MutableTag(v.Tag) {
		return w.refuse(ctx, v, fmt.Sprintf("“%s” is a name that moves, not a version: what it means tomorrow is not what was tested today. Push a tag that is never used again, such as a version or a commit.", v.Tag))
	}
	found, err := w.Registry.Resolve(ctx, v.Image, v.Tag)
	switch kind := fault.KindOf(err); {
	case err == nil:
	case kind == fault.NotFound && j.Attempt < believeNotFound:
		return fault.E(fault.Transient, explain(err), err)
	case kind.Retryable():
		return err
	default:
		return w.refuse(ctx, v, explain(err))
	}
	return w.enter(ctx, v, found, uses)
}

func (w *Worker) enter(ctx context.Context, v store.Verified, found registry.Artifact, uses []use) error {
	if v.Digest != "" && v.Digest != found.Image.Digest {
		return w.refuse(ctx, v, fmt.Sprintf("The tag was announced as %s, but the registry has %s for it. The tag was moved; push the content that you want under a new tag.",
			image.ShortDigest(v.Digest), image.ShortDigest(found.Image.Digest)))
	}
	v = described(v, found)
	artifact, err := w.Store.Ledger(ctx, v)
	if err != nil {
		return err
	}
	if artifact.Digest != v.Digest {
		return w.refuse(ctx, v, fmt.Sprintf("Tag %s was verified on %s as %s and was now pushed again with other content, %s. What is deployed and under review stays as it was. Push the new content under a new tag.",
			v.Tag, artifact.VerifiedAt.UTC().Format("2006-01-02 15:04 MST"), image.ShortDigest(artifact.Digest), image.ShortDigest(v.Digest)))
	}
	for _, u := range uses {
		if err := w.follow(ctx, u, artifact, v.Delivery); err != nil {
			return err
		}
	}
	return nil
}

// described adds what the registry says. Where CI did not tell what the image was
// built from, its labels do.
func described(v store.Verified, found registry.Artifact) store.Verified {
	v.Digest, v.MediaType, v.Platforms = found.Image.Digest, found.MediaType, found.Platforms
	if v.SourceRepo == "" && v.SourceCommit == "" {
		v.SourceRepo, v.SourceCommit = image.SourceRepository(found.Source), found.Revision
	}
	return v
}

// uses finds who runs an image. It is Invalid when nobody is found, but not
// everything could be read.
func (w *Worker) uses(ctx context.Context, name string) ([]use, error) {
	repos, err := w.repos(ctx)
	if err != nil {
		return nil, err
	}
	var uses []use
	var unread error
	for _, repo := range repos {
		found, err := w.usesIn(ctx, repo, func(p envrepo.Pair) bool {
			if p.Err != nil && len(p.Images) == 0 {
				unread = p.Err
			}
			return slices.Contains(p.Images, name)
		})
		if err != nil {
			return nil, err
		}
		uses = append(uses, found...)
	}
	if len(uses) == 0 && unread != nil {
		return nil, fault.E(fault.Invalid, explain(unread), unread)
	}
	return uses, nil
}

// usesIn lists the pairs of an env repo that match, each with the branch that
// its environment lives on.
func (w *Worker) usesIn(ctx context.Context, repo store.Repo, match func(envrepo.Pair) bool) ([]use, error) {
	root, err := w.bases.recent(ctx, repo, "")
	if err != nil {
		return nil, err
	}
	var uses []use
	for _, env := range root.config.Environments {
		b := root
		if env.Branch != "" {
			if b, err = w.bases.recent(ctx, repo, env.Branch); err != nil {
				return nil, err
			}
		}
		for _, p := range b.pairs {
			if p.Env == env.Name && match(p) {
				uses = append(uses, use{repo: repo, base: b, pair: p, env: env})
			}
		}
	}
	return uses, nil
}

// pinned is what an overlay pins now for an image.
func pinned(u use, name string) (image.Ref, error) {
	data, err := u.base.tree.ReadFile(u.pair.File)
	if err != nil {
		return image.Ref{}, err
	}
	return overlay.Current(u.pair.File, data, name)
}

// pins reports whether an overlay pins an artifact already. Where it pins the tag
// alone, the tag ledger says that the tag means this artifact.
func pins(current image.Ref, a store.Artifact) bool {
	return current.Digest == a.Digest || current.Digest == "" && current.Tag == a.Tag
}

// older reports whether version a is before b. Only full semantic versions, with
// or without a leading v, have an order of their own: a date or a commit that
// happens to be digits is no version.
func older(a, b string) bool {
	va, errA := version(a)
	vb, errB := version(b)
	return errA == nil && errB == nil && va.LessThan(vb)
}

func version(tag string) (*semver.Version, error) {
	return semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
}

// goesBack reports whether a would take an overlay back (I5): to an older version,
// or, where the tags are no versions, to what was verified earlier.
func (w *Worker) goesBack(ctx context.Context, a store.Artifact, current image.Ref) (bool, error) {
	_, errA := version(a.Tag)
	_, errB := version(current.Tag)
	if errA == nil && errB == nil {
		return older(a.Tag, current.Tag), nil
	}
	known, err := w.Store.ArtifactByDigest(ctx, a.Image, current.Digest)
	if fault.Is(err, fault.NotFound) {
		return false, nil // from before Tagboat came
	}
	return known.ID > a.ID, err
}

// proposal is why, and by whom, an artifact is proposed.
type proposal struct {
	requester store.Actor
	reason    string
	delivery  int64
	once      bool
}

// branchPrefix marks the branches that are ours.
const branchPrefix = "tagboat/"

func (w *Worker) propose(ctx context.Context, u use, a store.Artifact, p proposal) (store.Proposed, error) {
	baseBranch := u.env.Branch
	if baseBranch == "" {
		baseBranch = u.repo.DefaultBranch
	}
	return w.Store.Propose(ctx, store.Proposal{
		Repo: u.repo.ID, App: u.pair.App, Env: u.env.Name, Artifact: a.ID,
		Requester: p.requester, Reason: p.reason, Delivery: p.delivery, Once: p.once,
		Branch: branchPrefix + u.env.Name + "/" + u.pair.App, BaseBranch: baseBranch,
	}, reconcileJob)
}

// refuse writes down that an image will not be promoted, and says so on the pull
// requests that carry its tag: that is where people who rely on it look.
func (w *Worker) refuse(ctx context.Context, v store.Verified, reason string) error {
	fresh, err := w.Store.Refuse(ctx, v, reason)
	if err != nil {
		return err
	}
	w.Log.WarnContext(ctx, "an image was refused", "image", v.Image, "tag", v.Tag, "digest", v.Digest, "reason", reason)
	promotions, err := w.Store.PromotionsOfTag(ctx, v.Image, v.Tag)
	if err != nil || len(promotions) == 0 {
		return err
	}
	if fresh && v.Digest != "" {
		for _, p := range promotions {
			// The tag means something else now: the digest gate has to know at once.
			if err := w.Store.SawRegistry(ctx, p.ID, v.Digest, ""); err != nil {
				return err
			}
			if err := w.Store.Wake(ctx, p.ID, reconcileJob(p.ID)); err != nil {
				return err
			}
		}
	}
	return w.tellRefused(ctx, promotions[0], v, reason)
}

// tellRefused comments on the newest pull request of the tag, once per digest.
func (w *Worker) tellRefused(ctx context.Context, p store.Promotion, v store.Verified, reason string) error {
	repo, err := w.Store.Repo(ctx, p.RepoID)
	if err != nil {
		return err
	}
	effect := "tell refused " + v.Digest
	fresh, err := w.Store.Announce(ctx, p.ID, effect)
	if err != nil {
		return err
	}
	door, number := w.repo(repo), int(p.PullNumber)
	marker := fmt.Sprintf("<!-- tagboat:refused %s -->", v.Digest)
	if !fresh {
		if _, found, err := door.FindComment(ctx, number, marker); err != nil || found {
			return err
		}
	}
	_, err = door.Comment(ctx, number, fmt.Sprintf("**Refused:** %s\n\n%s\n\n%s",
		checklist.Code(image.Ref{Name: v.Image, Tag: v.Tag, Digest: v.Digest}.String()), checklist.Escape(reason), marker))
	return err
}
