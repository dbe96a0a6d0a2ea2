package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/store"
)

// A tag may be announced before the registry serves it, or serves its new content
// (distribution/distribution#2625): that many attempts are made before the
// registry is believed when it contradicts, about 20 s with the retries' delays.
const believeRegistry = 7

// verify asks the registry for an image that an env repo uses, enters it into
// the tag ledger, and proposes it to the environments that take new versions by
// themselves. Whatever is wrong with it is written down as a refusal.
func (w *Worker) verify(ctx context.Context, j *river.Job[job.Verify]) error {
	uses, unread := w.uses(ctx, j.Args.Image)
	if len(uses) == 0 && unread != nil && !fault.KindOf(unread).Retryable() {
		// The env repo cannot be read, and the image may be meant for it: wait until
		// that is mended.
		return fault.E(fault.Transient, explain(unread), unread)
	}
	if len(uses) == 0 && unread == nil {
		// An env repo that is away proposes what is in the ledger when it is back.
		away, err := w.Store.UsedAway(ctx, j.Args.Image)
		if err != nil || !away {
			return err
		}
	} else if len(uses) == 0 {
		return unread
	}
	if err := w.verifyFor(ctx, j, uses); err != nil {
		return err
	}
	if fault.KindOf(unread).Retryable() {
		return unread
	}
	return nil // an env repo that is mended catches up by itself
}

// verifyFor verifies an image for those who use it.
func (w *Worker) verifyFor(ctx context.Context, j *river.Job[job.Verify], uses []use) error {
	v := store.Verified{
		Image: j.Args.Image, Tag: j.Args.Tag, Digest: j.Args.Digest, Delivery: j.Args.Delivery,
		SourceRepo: j.Args.SourceRepo, SourceCommit: j.Args.SourceCommit, RunURL: j.Args.RunURL,
		Builder: store.Actor{ID: j.Args.BuilderID, Login: j.Args.Builder},
	}
	if image.MutableTag(v.Tag) {
		return w.refuse(ctx, v, fmt.Sprintf("“%s” is a name that moves, not a version: what it means tomorrow is not what was tested today. Push a tag that is never used again, such as a version or a commit.", v.Tag))
	}
	found, err := w.Registry.Resolve(ctx, v.Image, v.Tag)
	switch kind := fault.KindOf(err); {
	case err == nil:
	case kind == fault.NotFound && j.Attempt < believeRegistry:
		return fault.E(fault.Transient, explain(err), err)
	case kind.Retryable():
		return err
	default:
		return w.refuse(ctx, v, explain(err))
	}
	if v.Digest != "" && v.Digest != found.Image.Digest && j.Attempt < believeRegistry {
		return fault.Errorf(fault.Transient, "%s:%s was announced as %s, but the registry has %s for it yet", v.Image, v.Tag, v.Digest, found.Image.Digest)
	}
	return w.enter(ctx, v, found, uses)
}

func (w *Worker) enter(ctx context.Context, v store.Verified, found registry.Artifact, uses []use) error {
	if v.Digest != "" && v.Digest != found.Image.Digest {
		return w.refuse(ctx, v, fmt.Sprintf("The tag was announced as %s, but the registry has %s for it. The tag was moved; push the content that you want under a new tag.",
			image.ShortDigest(v.Digest), image.ShortDigest(found.Image.Digest)))
	}
	if wrong := misplaced(found, uses); wrong != "" {
		return w.refuse(ctx, v, wrong)
	}
	v = w.described(v, found)
	artifact, err := w.Store.Ledger(ctx, v)
	if err != nil {
		return err
	}
	if artifact.Digest != v.Digest {
		return w.refuse(ctx, v, fmt.Sprintf("Tag %s was verified on %s as %s and was now pushed again with other content, %s. What is deployed and under review stays as it was. Push the new content under a new tag.",
			v.Tag, artifact.VerifiedAt.UTC().Format("2006-01-02 15:04 MST"), image.ShortDigest(artifact.Digest), image.ShortDigest(v.Digest)))
	}
	if err := w.Store.AddBuilder(ctx, artifact, v, reconcileJob); err != nil {
		return err
	}
	for _, u := range uses {
		if err := w.follow(ctx, u, artifact, v.Delivery); err != nil {
			return err
		}
	}
	return nil
}

// misplaced says where an image is expected to be a chart, or the other way round.
func misplaced(found registry.Artifact, uses []use) string {
	for _, u := range uses {
		switch chart := slices.Contains(u.pair.Charts, found.Image.Name); {
		case found.Chart && !chart:
			return fmt.Sprintf("It is a Helm chart, but %s sets it as an image. Name it under charts: of app %s in tagboat.yaml, or push an image.", u.pair.File, u.pair.App)
		case chart && !found.Chart:
			return fmt.Sprintf("It is an image, but app %s names it under charts: in tagboat.yaml. Name it under images:, or push a chart.", u.pair.App)
		}
	}
	return ""
}

// described adds what the registry says. Where CI did not tell what the image was
// built from, its labels do.
func (w *Worker) described(v store.Verified, found registry.Artifact) store.Verified {
	v.Digest, v.MediaType, v.Platforms = found.Image.Digest, found.MediaType, found.Platforms
	if v.SourceRepo == "" && v.SourceCommit == "" {
		v.SourceRepo, v.SourceCommit = w.labelled(found)
	}
	return v
}

// labelled is what an image's labels say that it was built from: "owner/name" and a
// commit where they are that, else what they say, as text that is fit to be kept.
// Whoever can push an image can write anything there.
func (w *Worker) labelled(found registry.Artifact) (repo, commit string) {
	if repo = image.SourceRepository(found.Source, w.GitHub.Host()); repo == "" {
		repo = kept(found.Source)
	}
	if commit = strings.ToLower(strings.TrimSpace(found.Revision)); !image.IsRevision(commit) {
		commit = kept(found.Revision)
	}
	return repo, commit
}

// maxLabel bounds what is kept of a label that is not what it should be, in
// characters.
const maxLabel = 200

// kept is text that PostgreSQL takes and people can read on one line.
func kept(label string) string {
	printable := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(label, "\ufffd"))
	runes := []rune(strings.Join(strings.Fields(printable), " "))
	return string(runes[:min(len(runes), maxLabel)])
}
