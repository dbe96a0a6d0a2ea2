package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// dryRunDeadline is how long a promotion waits for the answers of its clusters: what
// has not answered then is asked again later.
const dryRunDeadline = 45 * time.Second

// trying is what an environment asks of a dry run. Without a word in tagboat.yaml it
// is enforced where Tagboat reaches one of the clusters: one that reaches none brings
// nothing there either.
func (l *look) trying() promotion.Trying {
	switch l.env.DryRun {
	case envrepo.DryRunOff:
		return promotion.TryNothing
	case envrepo.DryRunWarn:
		return promotion.TryWarn
	case envrepo.DryRunEnforce:
		return promotion.TryEnforce
	}
	if len(l.reached) > 0 {
		return promotion.TryEnforce
	}
	return promotion.TryNothing
}

// reach finds out which of the environment's clusters some Tagboat reaches.
func (l *look) reach(ctx context.Context) error {
	var others []string
	for _, name := range l.env.Clusters {
		if l.w.Clusters[name] != nil {
			l.reached = append(l.reached, name)
		} else {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return nil
	}
	elsewhere, err := l.w.Store.Reached(ctx, others)
	l.reached = append(l.reached, elsewhere...)
	return err
}

// trials reads what the clusters answered about exactly what is rendered now.
func (l *look) trials(ctx context.Context) error {
	if err := l.reach(ctx); err != nil {
		return err
	}
	l.facts.Rule.Trying, l.facts.Rule.Clusters = l.trying(), l.env.Clusters
	if l.facts.Rule.Trying == promotion.TryNothing {
		return nil
	}
	runs, err := l.w.Store.DryRuns(ctx, l.row.ID)
	if err != nil {
		return err
	}
	for _, name := range l.env.Clusters {
		for _, run := range runs {
			if run.Cluster != name || run.Rendered == "" || run.Rendered != l.contents[name] {
				continue
			}
			trial, shown, err := told(run)
			if err != nil {
				return err
			}
			l.facts.Trials, l.model.DryRuns = append(l.facts.Trials, trial), append(l.model.DryRuns, shown)
		}
	}
	return nil
}

// askClusters dry-runs the edit in every cluster whose answer is not good, or not
// fresh. A cluster that does not answer is kept as a fact, for the gate.
func (w *Worker) askClusters(ctx context.Context, l *look) error {
	asking, cancel := context.WithTimeout(ctx, dryRunDeadline)
	defer cancel()
	var group errgroup.Group
	for _, name := range l.env.Clusters {
		if l.settled(name) {
			continue
		}
		group.Go(func() error {
			if w.Clusters[name] == nil && slices.Contains(l.reached, name) {
				return w.haveAsked(ctx, asking, l, name)
			}
			run, err := w.askCluster(asking, l, name)
			if err != nil || ctx.Err() != nil { // stopping, not failing
				return err
			}
			return w.Store.RecordDryRun(ctx, l.row.ID, run)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// haveAsked has a process that reaches the cluster ask it, and waits for what it writes
// down. Where none does in time, that is the answer.
func (w *Worker) haveAsked(ctx, asking context.Context, l *look, name string) error {
	before, err := w.Store.DryRuns(ctx, l.row.ID)
	if err != nil {
		return err
	}
	if err := w.Store.Enqueue(ctx, job.Try{Promotion: l.row.ID, Cluster: name, Rendered: l.contents[name]}); err != nil {
		return err
	}
	poll := time.NewTicker(answerPoll)
	defer poll.Stop()
	for {
		runs, err := w.Store.DryRuns(ctx, l.row.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(runs, func(r store.DryRun) bool {
			return r.Cluster == name && r.Rendered == l.contents[name] && !slices.ContainsFunc(before, func(b store.DryRun) bool {
				return b.Cluster == name && b.Rendered == r.Rendered && b.TriedAt.Equal(r.TriedAt)
			})
		}) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-asking.Done():
			run := store.NewDryRun{Cluster: name, Rendered: l.contents[name], Outcome: store.DryRunUnclear, Objects: []byte("{}"), At: w.Now(),
				Message: fmt.Sprintf("The Tagboat that reaches cluster %s has not asked it within %s; it is asked again by itself.", name, dryRunDeadline)}
			return w.Store.RecordDryRun(ctx, l.row.ID, run)
		case <-poll.C:
		}
	}
}

// answerPoll is how soon an answer that another process writes down is seen.
const answerPoll = 200 * time.Millisecond

// try asks a cluster that this process reaches what it would say to a promotion.
func (w *Worker) try(ctx context.Context, j *river.Job[job.Try]) error {
	l, err := w.lookAtOne(ctx, j.Args.Promotion, false)
	if err == nil && j.Args.Rendered != "" && l.contents[j.Args.Cluster] != j.Args.Rendered {
		l, err = w.lookAtOne(ctx, j.Args.Promotion, true) // whoever asks has seen a newer commit than this process
	}
	if err != nil || !l.facts.State.Active() || l.contents[j.Args.Cluster] == "" {
		return err // there is nothing to ask any more
	}
	run, err := w.askCluster(ctx, l, j.Args.Cluster)
	if err != nil {
		return err
	}
	return w.Store.RecordDryRun(ctx, l.row.ID, run)
}

// settled reports whether a cluster's answer is good enough not to ask it along with
// the others.
func (l *look) settled(name string) bool {
	for _, t := range l.facts.Trials {
		if t.Cluster == name {
			return t.Answer == promotion.Accepted && !t.Stale(l.w.Now())
		}
	}
	return false
}

// askCluster asks one cluster. Its error is that of rendering: what the cluster says,
// or that it says nothing, is the answer.
func (w *Worker) askCluster(ctx context.Context, l *look, name string) (store.NewDryRun, error) {
	run := store.NewDryRun{Cluster: name, Rendered: l.contents[name], Outcome: store.DryRunUnclear, Objects: []byte("{}")}
	is, was, err := w.brings(ctx, l, name)
	if err != nil {
		return run, err
	}
	before, _ := cluster.Decode(was) // nothing that no sync could have brought
	trial, err := w.dryRun(ctx, l, name, is, before)
	run.At = w.Now()
	if err != nil {
		run.Message = explain(err)
		return run, nil
	}
	switch {
	case trial.Count(cluster.Refused) > 0:
		run.Outcome = store.DryRunRefused
	case trial.Count(cluster.Unclear) == 0:
		run.Outcome = store.DryRunAccepted
	}
	run.Objects, err = json.Marshal(trial)
	return run, err
}

// brings is what a merge would bring to a cluster, and what is there to leave behind: where
// the base cannot be rendered, that is nothing.
func (w *Worker) brings(ctx context.Context, l *look, name string) (is, was []byte, err error) {
	source := sourceFor(l.base.config, l.pair, name)
	if is, err = w.Render.Build(ctx, renderScope(l.repo), l.after(), source); err != nil {
		return nil, nil, err
	}
	if was, err = w.Render.Build(ctx, renderScope(l.repo), l.base.tree, source); err != nil && !fault.KindOf(err).Retryable() {
		return is, nil, nil
	}
	return is, was, err
}

func (w *Worker) dryRun(ctx context.Context, l *look, name string, manifests []byte, before []cluster.Object) (cluster.Trial, error) {
	door, ok := w.Clusters[name]
	if !ok {
		return cluster.Trial{}, unknownCluster(name)
	}
	if err := w.takesFrom(name, l.repo); err != nil {
		return cluster.Trial{}, err
	}
	objects, err := cluster.Decode(manifests)
	if err != nil {
		// A sync would stop here, too: nothing of the overlay would be applied.
		return cluster.Trial{Tried: []cluster.Tried{{Object: "the overlay", Outcome: cluster.Refused, Why: explain(err), Who: "whoever maintains the overlay"}}}, nil
	}
	target, plain, err := w.decrypted(ctx, w.targetOf(l.repo, l.row.App, l.row.Env, name), objects)
	if err != nil && !fault.KindOf(err).Retryable() {
		return cluster.Trial{Tried: []cluster.Tried{{Object: "the overlay", Outcome: cluster.Refused, Why: explain(err), Who: "whoever maintains the overlay, or whoever runs Tagboat"}}}, nil
	}
	if err != nil {
		return cluster.Trial{}, err
	}
	adopt, err := w.adoptingFor(ctx, l, name)
	if err != nil {
		return cluster.Trial{}, err
	}
	return door.DryRun(ctx, cluster.Run{Target: target, Objects: plain, Force: forceOf(l.env), Ignore: ignored(l.base.config, l.pair), Adopt: adopt}, before)
}

// triedWords are the outcomes as people read them.
var triedWords = map[cluster.Outcome]string{
	cluster.Created: checklist.TriedCreated, cluster.Configured: checklist.TriedChanged, cluster.Unchanged: checklist.TriedUnchanged,
	cluster.Refused: checklist.TriedRefused, cluster.Unclear: checklist.TriedUnclear, cluster.Untried: checklist.TriedNot, cluster.Recreated: checklist.TriedChanged,
}

var answers = map[string]promotion.Answer{
	store.DryRunAccepted: promotion.Accepted, store.DryRunRefused: promotion.Declined, store.DryRunUnclear: promotion.Unclear,
}

// told is a cluster's answer for the gate and for people.
func told(run store.DryRun) (promotion.Trial, checklist.DryRun, error) {
	t := promotion.Trial{Cluster: run.Cluster, Answer: answers[run.Outcome], At: run.TriedAt, Since: run.Since}
	shown := checklist.DryRun{Cluster: run.Cluster, Message: run.Message, Counts: map[string]int{}}
	if run.Message != "" {
		t.Reason = strings.TrimSuffix(run.Message, ".") + "."
		if !strings.Contains(t.Reason, "again by itself") {
			t.Reason += " Tagboat asks again by itself."
		}
		t.Owner = "whoever runs Tagboat, or cluster " + run.Cluster
		return t, shown, nil
	}
	var trial cluster.Trial
	if err := json.Unmarshal(run.Objects, &trial); err != nil {
		return t, shown, fault.Errorf(fault.Broken, "read the dry run in cluster %s: %w", run.Cluster, err)
	}
	shown.Left = trial.Left
	for _, o := range trial.Tried {
		shown.Counts[triedWords[o.Outcome]]++
		if o.Why != "" {
			shown.Told = append(shown.Told, checklist.DryRunObject{Object: o.Object, Outcome: triedWords[o.Outcome], Why: o.Why, Who: o.Who})
		}
	}
	t.Reason, t.Owner = inSentences(run, trial)
	return t, shown, nil
}

// inSentences says what a cluster refuses, or else cannot say, or else takes.
func inSentences(run store.DryRun, trial cluster.Trial) (reason, owner string) {
	says, outcome := "refuses", cluster.Refused
	switch run.Outcome {
	case store.DryRunUnclear:
		says, outcome = "cannot say yet what it would do with", cluster.Unclear
	case store.DryRunAccepted:
		return takes(run.Cluster, trial), ""
	}
	const enough = 3
	var parts []string
	for _, o := range trial.Tried {
		if o.Outcome != outcome {
			continue
		}
		if owner == "" {
			owner = o.Who
		}
		if len(parts) < enough {
			parts = append(parts, fmt.Sprintf("Cluster %s %s %s: %s.", run.Cluster, says, o.Object, strings.TrimSuffix(o.Why, ".")))
		}
	}
	if more := trial.Count(outcome) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("And %d more.", more))
	}
	if owner == "" {
		owner = "whoever runs cluster " + run.Cluster
	}
	return strings.Join(parts, " "), owner
}

func takes(name string, trial cluster.Trial) string {
	var parts []string
	for _, o := range []cluster.Outcome{cluster.Created, cluster.Configured, cluster.Unchanged} {
		if n := trial.Count(o); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, triedWords[o]))
		}
	}
	if n := trial.Count(cluster.Untried); n > 0 {
		parts = append(parts, fmt.Sprintf("%d that could not be tried before what comes with them is there", n))
	}
	text := fmt.Sprintf("Cluster %s takes it: %s.", name, strings.Join(parts, ", "))
	if n := len(trial.Left); n > 0 {
		text += fmt.Sprintf(" %d that are rendered no more are deleted then, unless a guard keeps them.", n)
	}
	return text
}
