package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
		t, err := w.attempt(ctx, j.Args.Target, j.Attempt)
		if err != nil {
			return err
		}
		if err := w.passOnFrom(ctx, t); err != nil {
			return err
		}
		again, err := store.SettleTarget(ctx, w.Store, t, reconcileJob, j)
		if err != nil || !again {
			return err
		}
	}
}

// attempt is one attempt on a target, alone. One that something newer takes the place
// of has ended well. try is how often it was tried before it came to an end, from 1.
func (w *Worker) attempt(ctx context.Context, id int64, try int) (store.Target, error) {
	alone, a, err := w.take(ctx, id)
	if err != nil {
		return store.Target{}, err
	}
	defer a.end(ctx)
	a.try = try
	repo, err := w.Store.Repo(ctx, a.target.RepoID)
	if err != nil {
		return a.target, err
	}
	// What runs there stays as it is while nobody can read what should.
	if !store.Readable(repo) {
		return a.target, nil
	}
	if a.target.Gone {
		return a.target, w.lookBack(alone, a, repo)
	}
	if a.target, err = w.servedAgain(alone, a.target); err == nil {
		err = w.bring(alone, a)
	}
	switch {
	case errors.Is(err, errSuperseded):
		return a.target, nil
	case errors.Is(context.Cause(alone), store.ErrTakenOver):
		return a.target, fault.E(fault.Transient, "", errors.Join(store.ErrTakenOver, err))
	}
	return a.target, err
}

// bring makes one attempt. What only a person can mend is written down and not
// an error of the job: the next commit has it tried again. Anything else is
// written down too, and retried.
func (w *Worker) bring(ctx context.Context, a *attempt) error {
	t := a.target
	s, err := w.rendered(ctx, t)
	if errors.Is(err, errUnread) {
		return err // the target stays as it is
	}
	var turn promotion.Turn
	if err == nil {
		turn, err = w.turn(ctx, t, s)
	}
	if err != nil && fault.KindOf(err).Retryable() {
		return w.notLookedAt(ctx, t, err)
	}
	if err != nil {
		return w.syncFailed(ctx, t, 0, stays(t), err)
	}
	a.brings(s)
	if turn.Waits() {
		return w.keep(ctx, a, s, func(r *store.Reached) {
			noAdoption(r) // it is asked for when its turn has come
			r.Held, r.HeldUntil = turn.Why, turn.Until
		})
	}
	there, err := w.hasStill(ctx, t)
	if err != nil {
		return err
	}
	// What nobody has counted yet was brought by an earlier Tagboat: it is applied once more.
	if there && t.CountedAt != nil && t.RenderedHash == s.reached.RenderedHash {
		return w.lookAfter(ctx, a, s)
	}
	id, err := w.Store.StartSync(ctx, t.ID, s.reached.Commit, s.reached.Tag, s.reached.Digest)
	if err != nil {
		return err
	}
	began := w.Now()
	patience := patienceFor(t, s.reached.RenderedHash, w.HealthTimeout)
	if err = w.apply(ctx, a, &s, patience); mayBeContested(err) && s.reached.Changed == 0 {
		err = w.contested(ctx, a, &s, patience, err)
	}
	if stray, asks := errors.AsType[*cluster.Unadopted](err); asks && s.reached.Changed == 0 {
		return w.awaitYes(ctx, a, s, id, stray)
	}
	w.Meter.Synced(t.Cluster, ending(ctx, s.reached.State, err), w.Now().Sub(began))
	if err != nil {
		if errors.Is(err, errSuperseded) {
			return errors.Join(err, w.Store.InterruptSync(ctx, id, "A newer commit has come; the next attempt brings that."))
		}
		if s.reached.Changed == 0 {
			s.reached.RenderedHash = t.RenderedHash // nothing of it is there: it may not be its turn the next time
		}
		if !s.examined {
			s.known(t)
		}
		return w.syncFailed(ctx, t, id, s.reached, err)
	}
	if s.reached.Ill && !s.examined {
		s.known(t)
	}
	return w.Store.FinishSync(ctx, t, id, s.reached, afterSync())
}

// hasStill reports whether what a target was to be brought last is there, as far as anybody
// knows. A cluster that was away for a while, or that no process served, has it still, if
// the last attempt had come to its end: to apply it once more would stumble over what people have changed there, which is told as drift.
func (w *Worker) hasStill(ctx context.Context, t store.Target) (bool, error) {
	if t.State != store.TargetUnreachable && t.State != store.TargetUnknown {
		return t.State == store.TargetHealthy || t.State == store.TargetWaiting, nil
	}
	last, err := w.Store.RecentSyncs(ctx, t.ID, 1)
	return len(last) == 1 && last[0].State == "healthy", err
}

// lookAfter looks whether a target that has what it should have has it still, and is
// healthy. Shortly after the last look (it was another overlay's commit that moved) it
// is taken to be, unless somebody has seen a change. It is no attempt of its own,
// unless something has changed.
func (w *Worker) lookAfter(ctx context.Context, a *attempt, s syncing) error {
	t := a.target
	is := s.reached
	s.reached = stays(t)
	noAdoption(&s.reached) // it has all that it should have
	s.reached.Commit, s.reached.Image, s.reached.Tag, s.reached.Digest = is.Commit, is.Image, is.Tag, is.Digest
	s.reached.State, s.reached.Message = t.State, t.Message
	if t.State == store.TargetUnreachable || t.State == store.TargetUnknown || w.Now().Sub(t.UpdatedAt) > lookAgain/2 || t.Suspected != t.Examined || t.SurplusCode != "" {
		if err := w.tend(ctx, a, &s, w.HealthTimeout); err != nil {
			return w.lookFailed(ctx, a, s.reached, err)
		}
	} else {
		s.reached.Unseen = true
	}
	return w.Store.FinishSync(ctx, a.target, 0, s.reached, afterSync())
}

// syncing is what one attempt brings to a cluster.
type syncing struct {
	repo    store.Repo
	base    *base
	pair    envrepo.Pair
	env     envrepo.Environment
	door    *cluster.Cluster
	heard   func() error // called, more than once, when the cluster has answered an apply
	target  cluster.Target
	objects []cluster.Object // as rendered
	reached store.Reached
	was     store.Target // when the attempt began
	// examined: what reached says of changes past Git was found by this attempt, also where
	// it fails.
	examined bool
}

// targetOf is what a pair's objects are deployed as to a cluster. A dry run has to ask
// as exactly the same.
func (w *Worker) targetOf(repo store.Repo, app, env, name string) cluster.Target {
	return cluster.Target{Key: keyOf(repo, app, env, name), Installation: w.Installation, LetGo: w.lettingGo()}
}

// errUnread: GitHub does not let the env repo be read. That says nothing about what
// should run, and the next round of learning tells what is the matter.
var errUnread = errors.New("the env repo cannot be read now")

func unknownCluster(name string) error {
	return fault.Errorf(fault.Invalid, "No Tagboat reaches cluster %q: add --cluster %s=<kubeconfig> where one runs, start the one that reaches it (tagboat sync), or take the cluster out of tagboat.yaml.", name, name)
}

// rendered reads the newest commit and renders the overlay from its tree.
func (w *Worker) rendered(ctx context.Context, t store.Target) (s syncing, err error) {
	if s.repo, err = w.Store.Repo(ctx, t.RepoID); err != nil {
		return s, err
	}
	s.was, s.target = t, w.targetOf(s.repo, t.App, t.Env, t.Cluster)
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

// apply shows what is going on, and does it. Of a cluster that could not be reached is told
// why until it answers: an attempt on a dead one is a long wait for that.
func (w *Worker) apply(ctx context.Context, a *attempt, s *syncing, patience time.Duration) error {
	show := func(state, message string) error {
		return w.Store.StartTarget(ctx, a.target, state, message, s.reached.RenderedHash)
	}
	s.heard = sync.OnceValue(func() error {
		return show(store.TargetApplying, "Applying "+short(s.reached.Commit)+", then waiting until it is healthy.")
	})
	switch {
	case a.target.AdoptionCode != "": // until a yes has come, it is only looked whether there is one
	case a.target.State != store.TargetUnreachable:
		if err := s.heard(); err != nil {
			return err
		}
	default:
		if err := show(a.target.State, a.target.Message); err != nil {
			return err
		}
	}
	return w.bringObjects(ctx, a, s, patience)
}

// bringObjects applies the objects, waits until they are healthy, or will not be, and
// then deletes what is not in Git any more.
func (w *Worker) bringObjects(ctx context.Context, a *attempt, s *syncing, patience time.Duration) error {
	run, err := w.run(ctx, a, s)
	if err != nil {
		return err
	}
	run.Patience = patience
	run.Go = func(ctx context.Context) error { // the cluster was read before anything is written
		if err := s.heard(); err != nil {
			return err
		}
		return a.goOn(ctx)
	}
	result, err := s.door.Apply(ctx, run)
	s.took(result)
	w.lookouts[a.target.Cluster].watchFor(result)
	if err != nil {
		return s.ill(err)
	}
	if err := s.heard(); err != nil { // also where there was nothing to write
		return err
	}
	health, err := w.await(ctx, a, s, run.Target, result.Objects(), cluster.WaitOptions{Timeout: patience})
	if err != nil || s.reached.Ill {
		if s.reached.Ill && health.TimeUp && patience < w.HealthTimeout {
			s.reached.Message = s.was.Message // why it is ill was found out when there was time for that
		}
		return err
	}
	after, err := s.door.ApplyPostSync(ctx, run)
	s.took(after)
	if err != nil {
		return s.ill(err)
	}
	return w.round(ctx, a, s)
}

// round finishes with what is healthy: it is measured, and when that is well, too, what
// is not in Git any more goes.
func (w *Worker) round(ctx context.Context, a *attempt, s *syncing) error {
	if err := w.measure(ctx, s); err != nil || s.reached.State != store.TargetHealthy {
		return err
	}
	return w.prune(ctx, a, s)
}

// run is what the attempt asks of the cluster. Its objects are decrypted, and live as
// long as it does.
func (w *Worker) run(ctx context.Context, a *attempt, s *syncing) (cluster.Run, error) {
	target, objects, err := w.decrypted(ctx, s.target, s.objects)
	if err != nil {
		return cluster.Run{}, err
	}
	adopt, err := w.adopting(ctx, s.env, a.target.ID)
	if err != nil {
		return cluster.Run{}, err
	}
	inventory, err := w.inventory(ctx, s, a.target)
	run := cluster.Run{
		Target: target, Objects: objects, Inventory: inventory, Ledger: ledger{w.Store, a.target}, HashKey: w.InventoryKey,
		Epoch: a.target.Fence, Commit: s.reached.Commit, Go: a.goOn, Patience: w.HealthTimeout, Force: forceOf(s.env), Ignore: ignored(s.base.config, s.pair), Adopt: adopt,
	}
	return run, err
}

// forceOf is whose fields an environment lets a sync take.
func forceOf(env envrepo.Environment) cluster.Force {
	if env.Force == envrepo.ForcePeople {
		return cluster.ForcePeople
	}
	return cluster.ForceNever
}

// took notes what an apply has come to.
func (s *syncing) took(r cluster.Result) {
	s.reached.Changed += len(r.Applied) - r.Count(cluster.Unchanged)
}

// ill notes an apply that stopped because what it had written did not get healthy: that
// is how the rollout ended, and no fault of the attempt.
func (s *syncing) ill(err error) error {
	if !errors.Is(err, cluster.ErrUnhealthy) {
		return err
	}
	s.reached.State, s.reached.Message, s.reached.Ill = store.TargetFailed, explain(err), true
	return nil
}

// await waits until objects are healthy, or will not be, or something newer is there to
// bring. They are the decrypted ones, so that what they hold is known where it is told.
func (w *Worker) await(ctx context.Context, a *attempt, s *syncing, target cluster.Target, objects []cluster.Object, o cluster.WaitOptions) (cluster.Health, error) {
	o.Rules, o.SameImage, o.Secret, o.Target = s.base.health, w.sameImage, target.Secret, target
	health, err := s.door.Wait(a.superseded, objects, o)
	if err != nil {
		if ctx.Err() == nil && a.superseded.Err() != nil {
			return health, context.Cause(a.superseded)
		}
		return health, err
	}
	s.reached.State, s.reached.Message = store.TargetHealthy, ""
	if !health.Healthy {
		s.reached.State, s.reached.Message, s.reached.Ill = store.TargetFailed, health.Reason, true
	}
	return health, nil
}

// lookFailed writes down that what a target has could not be looked at. A cluster may fail
// to answer once; what other parts fail at says nothing about it. What is there of a part of
// it that cannot be asked is not known, and so the target is not healthy.
func (w *Worker) lookFailed(ctx context.Context, a *attempt, r store.Reached, cause error) error {
	kind := fault.KindOf(cause)
	held := errors.Is(cause, cluster.ErrHeldUp)
	if noAnswer := errors.Is(cause, cluster.ErrNoAnswer); noAnswer && a.try > 1 || held || !kind.Retryable() || kind == fault.Conflict {
		return w.syncFailed(ctx, a.target, 0, r, cause)
	}
	return w.notLookedAt(ctx, a.target, cause)
}

// notLookedAt leaves a target what it was, says that nobody could look, and has it tried
// again.
func (w *Worker) notLookedAt(ctx context.Context, t store.Target, cause error) error {
	if ctx.Err() != nil || errors.Is(cause, errSuperseded) {
		return cause
	}
	r := stays(t)
	r.State, r.Message, r.Ill, r.Held, r.HeldUntil, r.Unseen = t.State, t.Message, t.Ill, t.Held, moment(t.HeldUntil), true
	r.Notes = append(r.Notes, postponed+explain(cause))
	return errors.Join(cause, w.Store.FinishSync(ctx, t, 0, r, afterSync()))
}

// syncFailed writes down how an attempt failed. The error is returned only when
// trying again can help; then the queue's retries go on while people see why.
func (w *Worker) syncFailed(ctx context.Context, t store.Target, sync int64, r store.Reached, cause error) error {
	if ctx.Err() != nil || errors.Is(cause, errSuperseded) {
		return cause // stopping, not failing: the next one goes on
	}
	r.State, r.Message = store.TargetFailed, explain(cause)
	if errors.Is(cause, cluster.ErrNoAnswer) {
		r.State = store.TargetUnreachable
	}
	if err := w.Store.FinishSync(ctx, t, sync, r, afterSync()); err != nil {
		return err
	}
	w.Log.WarnContext(ctx, "a sync did not succeed", "target", t.ID, "cluster", t.Cluster, "app", t.App, "error", cause)
	if fault.KindOf(cause).Retryable() {
		return cause
	}
	return nil
}

func short(sha string) string { return sha[:min(len(sha), 12)] }
