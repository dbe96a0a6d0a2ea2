package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

// sync brings a target to the newest commit of its branch: render, apply, wait
// until it is healthy, write down. Whatever was wanted while it ran has it run
// once more.
func (w *Worker) sync(ctx context.Context, j *river.Job[job.Sync]) error {
	for {
		t, err := w.Store.Target(ctx, j.Args.Target)
		if err != nil {
			return err
		}
		repo, err := w.Store.Repo(ctx, t.RepoID)
		if err != nil {
			return err
		}
		// What runs there stays as it is while nobody can read what should.
		if !t.Gone && store.Readable(repo) {
			if err := w.bring(ctx, t); err != nil {
				return err
			}
			if err := w.passOnFrom(ctx, t); err != nil {
				return err
			}
		}
		again, err := store.SettleTarget(ctx, w.Store, t, reconcileJob, j)
		if err != nil || !again {
			return err
		}
	}
}

// bring makes one attempt. What only a person can mend is written down and not
// an error of the job: the next commit has it tried again. Anything else is
// written down too, and retried.
func (w *Worker) bring(ctx context.Context, t store.Target) error {
	s, err := w.rendered(ctx, t)
	if errors.Is(err, errUnread) {
		return err // the target stays as it is
	}
	var turn promotion.Turn
	if err == nil {
		turn, err = w.turn(ctx, t, s)
	}
	if err != nil {
		return w.syncFailed(ctx, t, 0, stays(t), err)
	}
	if turn.Waits() {
		return w.keep(ctx, t, s, turn)
	}
	if (t.State == store.TargetHealthy || t.State == store.TargetWaiting) && t.RenderedHash == s.reached.RenderedHash {
		return w.lookAfter(ctx, t, s)
	}
	id, err := w.Store.StartSync(ctx, t.ID, s.reached.Commit, s.reached.Tag, s.reached.Digest)
	if err != nil {
		return err
	}
	if err := w.apply(ctx, t, &s); err != nil {
		if s.reached.Changed == 0 {
			s.reached.RenderedHash = t.RenderedHash // nothing of it is there: it may not be its turn the next time
		}
		return w.syncFailed(ctx, t, id, s.reached, err)
	}
	return w.Store.FinishSync(ctx, t, id, s.reached, reconcileJob, syncJob)
}

// stays is what a target has that was brought nothing: what it had before.
func stays(t store.Target) store.Reached {
	return store.Reached{Commit: t.CommitSHA, Image: t.Image, Tag: t.Tag, Digest: t.Digest, RenderedHash: t.RenderedHash}
}

// lookAfter looks whether a target that has what it should have is still healthy.
// Shortly after the last look (it was another overlay's commit that moved) it is
// taken to be. It is no attempt of its own, unless something has changed.
func (w *Worker) lookAfter(ctx context.Context, t store.Target, s syncing) error {
	s.reached.State, s.reached.Message, s.reached.Violations = t.State, t.Message, t.Violations
	if w.Now().Sub(t.UpdatedAt) > lookAgain/2 {
		if err := w.bringObjects(ctx, &s, w.HealthTimeout); err != nil {
			return w.syncFailed(ctx, t, 0, s.reached, err)
		}
	}
	return w.Store.FinishSync(ctx, t, 0, s.reached, reconcileJob, syncJob)
}

// syncing is what one attempt brings to a cluster.
type syncing struct {
	repo    store.Repo
	base    *base
	pair    envrepo.Pair
	env     envrepo.Environment
	door    *cluster.Cluster
	target  cluster.Target
	objects []cluster.Object
	reached store.Reached
	was     store.Target // when the attempt began
}

// targetOf is what a pair's objects are deployed as to a cluster. A dry run has to ask
// as exactly the same.
func targetOf(repo store.Repo, app, env, name string) cluster.Target {
	return cluster.Target{Key: fmt.Sprintf("%s %s %s %s", repo.Mark, app, env, name)}
}

// errUnread: GitHub does not let the env repo be read. That says nothing about what
// should run, and the next round of learning tells what is the matter.
var errUnread = errors.New("the env repo cannot be read now")

func unknownCluster(name string) error {
	return fault.Errorf(fault.Invalid, "Tagboat was not told how to reach cluster %q: add --cluster %s=<kubeconfig> where it runs, or take the cluster out of tagboat.yaml.", name, name)
}

// rendered reads the newest commit and renders the overlay from its tree.
func (w *Worker) rendered(ctx context.Context, t store.Target) (s syncing, err error) {
	if s.repo, err = w.Store.Repo(ctx, t.RepoID); err != nil {
		return s, err
	}
	s.was, s.target = t, targetOf(s.repo, t.App, t.Env, t.Cluster)
	door, ok := w.Clusters[t.Cluster]
	if !ok {
		return s, unknownCluster(t.Cluster)
	}
	if err := w.takesFrom(t.Cluster, s.repo); err != nil {
		return s, err
	}
	s.door = door
	s.base, err = w.bases.fresh(ctx, s.repo, t.Branch)
	if fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return s, fault.E(fault.Transient, "", fmt.Errorf("%w: %w", errUnread, w.outOfReach(ctx, err)))
	}
	if err != nil {
		return s, err
	}
	s.reached.Commit = s.base.commit
	if s.pair, s.env, err = s.base.pair(t.App, t.Env); err != nil {
		return s, err
	}
	manifests, err := w.manifests(ctx, s, s.base.tree, t.Cluster)
	if err != nil {
		return s, err
	}
	s.reached.RenderedHash = contentHash(manifests)
	if err := w.pin(ctx, s.base, s.pair, manifests, &s.reached); err != nil {
		return s, err
	}
	s.objects, err = cluster.Decode(manifests)
	return s, err
}

// manifests are what a tree renders to for one cluster of the pair.
func (w *Worker) manifests(ctx context.Context, s syncing, tree *gitmirror.Tree, cluster string) ([]byte, error) {
	return w.Render.Build(ctx, renderScope(s.repo), tree, sourceFor(s.base.config, s.pair, cluster))
}

// contentHash tells what is brought to a cluster from what was.
func contentHash(manifests []byte) string {
	sum := sha256.Sum256(manifests)
	return hex.EncodeToString(sum[:])
}

// pin says which artifact the overlay's first image is: what the board shows, and
// what the next environment's gate asks about. Where the overlay pins the tag
// alone, the tag ledger knows the digest.
//
// It has to be in what is rendered, too: an entry that matches no container, or a
// cluster with a path of its own that pins something else, would be reported as
// running what does not run.
func (w *Worker) pin(ctx context.Context, b *base, pair envrepo.Pair, manifests []byte, r *store.Reached) error {
	ref, ok := firstPin(b, pair.File, pair.Moves())
	if !ok {
		return nil
	}
	if len(pair.Charts) == 0 { // a chart's version stands in nothing that it renders to
		rendered, err := render.Images(manifests)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(rendered, func(image string) bool { return runs(image, ref) }) {
			return fault.Errorf(fault.Invalid, "%s pins %s, but no container of what is rendered runs it; it runs %s. Mend the images: entry, or the overlay.",
				pair.File, ref, strings.Join(rendered, ", "))
		}
	}
	r.Image, r.Tag, r.Digest = ref.Name, ref.Tag, ref.Digest
	if r.Digest != "" || r.Tag == "" {
		return nil
	}
	a, err := w.Store.ArtifactByTag(ctx, ref.Name, ref.Tag)
	if err == nil {
		r.Digest = a.Digest
	}
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func firstPin(b *base, file string, moves []string) (image.Ref, bool) {
	data, err := b.tree.ReadFile(file)
	if err != nil || len(moves) == 0 {
		return image.Ref{}, false
	}
	pin, err := overlay.Current(file, data, moves[0])
	return pin, err == nil
}

// runs reports whether a container's image is what is pinned: the same name, and
// the same digest; a chart may print the digest without the tag. Where no digest
// is pinned, the tag decides.
func runs(container string, pin image.Ref) bool {
	is, err := image.Parse(container)
	if err != nil || is.Name != pin.Name {
		return false
	}
	if is.Digest != "" && pin.Digest != "" {
		return is.Digest == pin.Digest
	}
	return is.Tag == pin.Tag && is.Digest == pin.Digest
}

// apply shows what is going on, and does it.
func (w *Worker) apply(ctx context.Context, t store.Target, s *syncing) error {
	if err := w.Store.StartTarget(ctx, t.ID, store.TargetApplying, "Applying "+short(s.reached.Commit)+", then waiting until it is healthy.", s.reached.RenderedHash); err != nil {
		return err
	}
	return w.bringObjects(ctx, s, w.HealthTimeout)
}

// bringObjects applies the objects and waits until they are healthy, or will not
// be.
func (w *Worker) bringObjects(ctx context.Context, s *syncing, patience time.Duration) error {
	result, err := s.door.Apply(ctx, s.target, s.objects)
	s.reached.Changed = result.Count(cluster.Created) + result.Count(cluster.Configured)
	if err != nil {
		return err
	}
	health, err := s.door.Wait(ctx, result.Objects(), cluster.WaitOptions{Timeout: patience, Rules: s.base.health, SameImage: w.sameImage})
	if err != nil {
		return err
	}
	s.reached.State, s.reached.Message = store.TargetHealthy, ""
	if !health.Healthy {
		s.reached.State, s.reached.Message, s.reached.Ill = store.TargetFailed, health.Reason, true
		return nil
	}
	s.reached.Stumbled = s.reached.Changed == 0 && health.Took > stumble
	return w.measure(ctx, s)
}

// syncFailed writes down how an attempt failed. The error is returned only when
// trying again can help; then the queue's retries go on while people see why.
func (w *Worker) syncFailed(ctx context.Context, t store.Target, sync int64, r store.Reached, cause error) error {
	if ctx.Err() != nil {
		return cause // stopping, not failing: the next start goes on
	}
	r.State, r.Message = store.TargetFailed, explain(cause)
	retryable := fault.KindOf(cause).Retryable()
	if fault.Is(cause, fault.Transient) {
		r.State = store.TargetUnreachable
	}
	if err := w.Store.FinishSync(ctx, t, sync, r, reconcileJob, syncJob); err != nil {
		return err
	}
	w.Log.WarnContext(ctx, "a sync did not succeed", "target", t.ID, "cluster", t.Cluster, "app", t.App, "error", cause)
	if retryable {
		return cause
	}
	return nil
}

func short(sha string) string { return sha[:min(len(sha), 12)] }
