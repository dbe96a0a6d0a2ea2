package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// request is a /promote, with what the place of the comment says about it.
type request struct {
	command store.Command
	env     string
	app     string
	tag     string
	repo    store.Repo
	meant   *store.Artifact  // the artifact that the place of the comment is about
	carried *store.Promotion // by the pull request of the comment, where that is ours
}

// promote carries out /promote <env> [app] [tag].
func (w *Worker) promote(ctx context.Context, r request, cmd command.Promote) (string, error) {
	uses, err := w.usesIn(ctx, r.repo, func(p envrepo.Pair) bool { return p.Env == r.env })
	if err != nil {
		return "", err
	}
	if err := w.knownEnvironment(ctx, r, uses); err != nil {
		return "", err
	}
	var apps []string
	for _, u := range uses {
		apps = append(apps, u.pair.App)
	}
	app, tag := cmd.Resolve(apps)
	if app != "" {
		r.app = app
	}
	r.tag = tag
	if err := w.understood(ctx, r, uses, apps); err != nil {
		return "", err
	}
	u, err := pick(r, uses, apps)
	if err != nil {
		return "", err
	}
	artifact, err := w.chosen(ctx, r, u)
	if err != nil {
		return "", err
	}
	return w.request(ctx, r, u, artifact)
}

// place finds out what the place of the comment says: on a pull request of ours
// its app and artifact are meant; on a merged pull request of an application's
// repository, the artifact that was built from the merge commit.
func (w *Worker) place(ctx context.Context, r *request, door *github.Repo) error {
	c := r.command
	repo, err := w.envRepo(ctx, placeOf(c))
	if errors.Is(err, errNotOurs) {
		return w.placeInSource(ctx, r, door)
	}
	if err != nil {
		return err
	}
	r.repo = repo
	p, err := w.Store.PromotionByPull(ctx, repo.ID, int(c.Number))
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.carried = &p
	if p.SetID != nil {
		return nil // which of its apps is meant, somebody has to say
	}
	a, err := w.Store.Artifact(ctx, p.ArtifactID)
	r.app, r.meant = p.App, &a
	return err
}

func (w *Worker) placeInSource(ctx context.Context, r *request, door *github.Repo) error {
	c := r.command
	if !c.IsPull {
		return fault.Errorf(fault.Invalid, "Here Tagboat does not know which build is meant. Comment on the merged pull request that was built, or in the env repo.")
	}
	pull, err := door.Pull(ctx, int(c.Number))
	if err != nil {
		return err
	}
	if !pull.Merged {
		return fault.Errorf(fault.Invalid, "This pull request is not merged, so nothing was built from it that could be promoted.")
	}
	a, err := w.Store.ArtifactBySource(ctx, c.Owner+"/"+c.Repo, pull.MergeSHA)
	if fault.Is(err, fault.NotFound) {
		return fault.Errorf(fault.NotFound, "No verified image is known to be built from %s yet. If CI has pushed it, it has to tell Tagboat the commit (see the CI callback in the README).", short(pull.MergeSHA))
	}
	if err != nil {
		return err
	}
	r.meant = &a
	uses, err := w.uses(ctx, a.Image)
	if err != nil && len(uses) == 0 {
		return hushed(ctx, door, err)
	}
	if len(uses) == 0 {
		return fault.Errorf(fault.NotFound, "No env repo uses %s.", a.Image)
	}
	return w.placeIn(ctx, r, door, uses)
}

// hushed keeps what is wrong with an env repo, which may not be known which, from being
// told where everybody reads it.
func hushed(ctx context.Context, door *github.Repo, wrong error) error {
	if fault.KindOf(wrong).Retryable() {
		return wrong
	}
	public, err := door.Public(ctx)
	if err != nil {
		return err
	}
	if !public {
		return wrong
	}
	return fault.E(fault.KindOf(wrong), "An env repo cannot be used, and everybody can read this. Comment in the env repo.", wrong)
}

func (w *Worker) knownEnvironment(ctx context.Context, r request, uses []use) error {
	if len(uses) > 0 {
		return nil
	}
	b, err := w.bases.recent(ctx, r.repo, "")
	if err != nil {
		return err
	}
	var names []string
	for _, e := range b.config.Environments {
		if e.Name == r.env {
			return fault.Errorf(fault.NotFound, "No app has an overlay for %s.", r.env)
		}
		names = append(names, e.Name)
	}
	return fault.Errorf(fault.NotFound, "There is no environment %s.%s There are: %s.", r.env, didYouMean(r.env, names), strings.Join(names, ", "))
}

// understood refuses a single word that is the name of no app and that nobody
// would read as a tag either: it is a slip of the pen.
func (w *Worker) understood(ctx context.Context, r request, uses []use, apps []string) error {
	if r.tag == "" || r.app != "" || len(apps) < 2 {
		return nil
	}
	if _, err := semver.NewVersion(r.tag); err == nil {
		return nil
	}
	for _, u := range uses {
		for _, name := range u.pair.Moves() {
			if _, err := w.Store.ArtifactByTag(ctx, name, r.tag); !fault.Is(err, fault.NotFound) {
				return err
			}
		}
	}
	return fault.Errorf(fault.NotFound, "“%s” is neither an app of %s (%s) nor a tag that is known.%s Write /promote %s <app> [tag].",
		r.tag, r.env, strings.Join(apps, ", "), didYouMean(r.tag, apps), r.env)
}

// didYouMean asks about the name that is one slip away, if there is one.
func didYouMean(word string, names []string) string {
	if meant := command.Meant(word, names); meant != "" {
		return fmt.Sprintf(" Did you mean %s?", meant)
	}
	return ""
}

// pick is the overlay that is meant.
func pick(r request, uses []use, apps []string) (use, error) {
	app := r.app
	if app == "" && len(apps) == 1 {
		app = apps[0]
	}
	if app == "" {
		return use{}, fault.Errorf(fault.Invalid, "Which app? Write /promote %s <app> [tag]; the apps of %s are: %s.", r.env, r.env, strings.Join(apps, ", "))
	}
	for _, u := range uses {
		if u.pair.App == app {
			return u, u.pair.Err
		}
	}
	return use{}, fault.Errorf(fault.NotFound, "%s has no overlay for %s that sets an image. The apps of %s are: %s.", app, r.env, r.env, strings.Join(apps, ", "))
}

// chosen is the artifact that is meant: the tag that was named; else what the
// place is about; else what is proven in the environments before; else the newest;
// else, where no version is known yet, the one that the overlay pins.
func (w *Worker) chosen(ctx context.Context, r request, u use) (store.Artifact, error) {
	name, err := imageOf(r, u)
	if err != nil {
		return store.Artifact{}, err
	}
	if r.tag != "" {
		return w.known(ctx, name, r.tag)
	}
	if r.meant != nil && r.meant.Image == name {
		return *r.meant, nil
	}
	if len(u.env.Needs) > 0 {
		return w.proven(ctx, r, u, name)
	}
	a, err := w.Store.NewestArtifact(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return w.inPlace(ctx, u, name)
	}
	return a, err
}

// proven is the artifact that is healthy in all needed environments.
func (w *Worker) proven(ctx context.Context, r request, u use, name string) (store.Artifact, error) {
	needed, err := w.upstreams(ctx, r.repo, u.pair.App, u.env)
	if err != nil {
		return store.Artifact{}, err
	}
	version, why := promotion.Proven(needed)
	if why != "" {
		return store.Artifact{}, fault.Errorf(fault.Denied, "%s has nothing healthy to take from %s: %s Name a tag to choose one: /promote %s %s <tag>.",
			u.env.Name, alike(u.env.Needs), why, u.env.Name, u.pair.App)
	}
	return w.runs(ctx, name, version.Tag, version.Digest)
}

// alike names the needed environments.
func alike(needs []envrepo.Need) string {
	if len(needs) == 1 {
		return needs[0].Env
	}
	names := make([]string, 0, len(needs))
	for _, n := range needs {
		names = append(names, n.Env)
	}
	return strings.Join(names, " and ") + " alike"
}

// inPlace is the artifact that an overlay pins already, which is verified now.
// The tag has to mean what the overlay says: one that was moved proves nothing.
func (w *Worker) inPlace(ctx context.Context, u use, name string) (store.Artifact, error) {
	current, err := pinned(u, name)
	if err != nil {
		return store.Artifact{}, err
	}
	if current.Tag == "" || image.MutableTag(current.Tag) {
		return store.Artifact{}, fault.Errorf(fault.NotFound, "No verified version of %s is known yet. Name a tag: /promote %s %s <tag>.", name, u.env.Name, u.pair.App)
	}
	a, err := w.known(ctx, name, current.Tag)
	if err == nil && !pins(current, a) {
		err = fault.Errorf(fault.Denied, "%s has %s as %s, but the registry has %s for that tag: it was moved. Push the content that you want under a new tag, then name it: /promote %s %s <tag>.",
			u.env.Name, current.Tag, image.ShortDigest(current.Digest), image.ShortDigest(a.Digest), u.env.Name, u.pair.App)
	}
	return a, err
}

// runs is the artifact of something that runs. What ran before Tagboat came has
// never been verified: then its tag is, now.
func (w *Worker) runs(ctx context.Context, name, tag, digest string) (store.Artifact, error) {
	a, err := w.Store.ArtifactByDigest(ctx, name, digest)
	if fault.Is(err, fault.NotFound) && tag != "" {
		return w.known(ctx, name, tag)
	}
	return a, err
}

// imageOf is the image of an overlay that is meant.
func imageOf(r request, u use) (string, error) {
	if r.meant != nil && slices.Contains(u.pair.Moves(), r.meant.Image) {
		return r.meant.Image, nil
	}
	moves := u.pair.Moves()
	if len(moves) == 1 {
		return moves[0], nil
	}
	if len(moves) == 0 {
		return "", fault.Errorf(fault.Invalid, "%s sets no image, so there is nothing to promote. Add an images: entry to it.", u.pair.File)
	}
	return "", fault.Errorf(fault.Invalid, "%s sets several images (%s). Comment on a pull request of the one that you mean.", u.pair.File, strings.Join(moves, ", "))
}

// known is the verified artifact of a tag. A tag that was pushed before Tagboat
// heard of it is verified now.
func (w *Worker) known(ctx context.Context, name, tag string) (store.Artifact, error) {
	a, err := w.Store.ArtifactByTag(ctx, name, tag)
	if !fault.Is(err, fault.NotFound) {
		return a, err
	}
	if image.MutableTag(tag) {
		return a, fault.Errorf(fault.Invalid, "“%s” is a name that moves, not a version. Name a tag that is never used again.", tag)
	}
	found, err := w.Registry.Resolve(ctx, name, tag)
	if err != nil {
		return a, err
	}
	a, err = w.Store.Ledger(ctx, store.Verified{
		Image: name, Tag: tag, Digest: found.Image.Digest, MediaType: found.MediaType, Platforms: found.Platforms,
	})
	if err == nil && a.Digest != found.Image.Digest {
		err = fault.Errorf(fault.Denied, "Tag %s was verified as %s and is now %s. Push the new content under a new tag.",
			tag, image.ShortDigest(a.Digest), image.ShortDigest(found.Image.Digest))
	}
	return a, err
}

// request proposes the artifact in the person's name, unless there is nothing to
// do or the overlay says that it cannot be done.
func (w *Worker) request(ctx context.Context, r request, u use, a store.Artifact) (string, error) {
	c := r.command
	current, err := pinned(u, a.Image)
	if err != nil {
		return "", err
	}
	if pins(current, a) {
		return fmt.Sprintf("%s has %s already; there is nothing to change.", checklist.Escape(u.env.Name), checklist.Code(a.Tag)), nil
	}
	if back, err := w.goesBack(ctx, a, current); err != nil {
		return "", err
	} else if back {
		return "", tooOld(a.Tag, current.Tag, u)
	}
	if err := w.denied(ctx, u, a); err != nil {
		return "", err
	}
	done, err := w.propose(ctx, u, a, proposal{
		requester: store.Actor{ID: c.AuthorID, Login: c.Author},
		reason:    fmt.Sprintf("%s asked for it.", c.Author), delivery: deliveryOf(c),
	})
	if err != nil {
		return "", err
	}
	if hold := done.Lifted; hold != nil && hold.ActorID != c.AuthorID {
		return fmt.Sprintf("%s had closed #%d for %s in %s. It is asked for again now, so that ends.",
			checklist.Escape(hold.Actor), hold.ClosedPull, checklist.Escape(u.pair.App), checklist.Escape(u.env.Name)), nil
	}
	took, err := w.took(ctx, done)
	switch number := done.Promotion.PullNumber; {
	case err != nil || number == 0 && took == "":
		return "", err // the reaction says it
	case number == 0:
		return checklist.Code(a.Tag) + took, nil
	case done.Fresh:
		return fmt.Sprintf("%s goes into the pull request that is open already: #%d. It%s", checklist.Code(a.Tag), number, took), nil
	default:
		return fmt.Sprintf("%s is on its way already: #%d.", checklist.Code(a.Tag), number), nil
	}
}

// tooOld is why an older version is not promoted (I5).
func tooOld(tag, current string, u use) error {
	return fault.Errorf(fault.Denied, "%s is older than %s, which %s has now. A promotion never goes back; to go back, comment /rollback %s %s <reason>.",
		tag, current, u.env.Name, u.env.Name, u.pair.App)
}
