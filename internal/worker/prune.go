package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// surplus is what waits for a yes before it is deleted, as it is kept and shown.
type surplus struct {
	Why     []string `json:"why"`
	Objects []string `json:"objects"`
}

// codeOf names exactly a list of objects, the very objects: one that was deleted and
// made anew is another one.
func codeOf(entries []cluster.Entry) string {
	var parts []string
	for _, e := range entries {
		parts = append(parts, e.Group, e.Kind, e.Namespace, e.Name, e.UID)
	}
	return code(parts)
}

// prune deletes what is not in Git any more, after everything else is healthy: what
// replaces it runs by then. What needs a yes that nobody has said stays, and so does what
// is not the target's alone; both are told. So does everything while a part of it cannot be
// looked at, because an API group is away.
func (w *Worker) prune(ctx context.Context, a *attempt, s *syncing) error {
	err := w.pruneWhole(ctx, a, s)
	if !errors.Is(err, cluster.ErrHeldUp) {
		return err
	}
	s.reached.Surplus, s.reached.SurplusCode = s.was.Surplus, s.was.SurplusCode
	if words := waiting(s.was.App, s.was.Env, s.was.Surplus, s.was.SurplusCode); words != "" && !slices.Contains(s.reached.Notes, words) {
		s.reached.Notes = append(s.reached.Notes, words)
	}
	s.reached.Notes = append(s.reached.Notes, "What is not in Git any more stays for now, because not all of it can be looked at: "+explain(err))
	return nil
}

func (w *Worker) pruneWhole(ctx context.Context, a *attempt, s *syncing) error {
	book := ledger{w.Store, a.target}
	inventory, err := book.entries(ctx)
	if err != nil {
		return err
	}
	s.reached.Surplus, s.reached.SurplusCode = nil, ""
	// What is kept no longer has a reason, perhaps.
	if inventory, err = s.door.Reconsider(ctx, s.target, inventory); err != nil {
		return err
	}
	pruned, err := w.pruneFrom(ctx, a, s, book, inventory)
	keeps, parted := keptIn(inventory), keeping{}
	for _, o := range pruned.Objects {
		switch {
		case o.Parted, o.Outcome == cluster.Absent && o.Why != "": // or another one of its name is there
			parted.add(o.ID.String(), o.Why)
		case o.Outcome == cluster.Stays:
			keeps.add(o.ID.String(), o.Why)
		}
	}
	s.tellKept(keeps, parted)
	return err
}

// pruneFrom deletes what an inventory has and Git has not, as far as that may be deleted.
func (w *Worker) pruneFrom(ctx context.Context, a *attempt, s *syncing, book ledger, inventory []cluster.Entry) (pruned cluster.Pruned, err error) {
	if left := cluster.Prunable(inventory, s.objects, nil); len(left.Remove)+len(left.NeedsYes) > 0 {
		if err := s.door.Answers(inventory, s.objects); err != nil {
			return pruned, err
		}
	}
	if inventory, err = s.door.ForgetUnwritten(ctx, s.target, book, inventory, s.objects); err != nil {
		return pruned, s.notDeleted(err)
	}
	inventory, wanted, err := w.leaveMoved(ctx, a, s, inventory)
	if err != nil && !fault.KindOf(err).Retryable() {
		s.reached.Notes = append(s.reached.Notes, "What is not in Git any more stays, because it may have moved: "+explain(err))
		return pruned, nil
	}
	if err != nil {
		return pruned, err
	}
	left, err := w.agreed(ctx, a, s, inventory, wanted)
	if err != nil || len(left.Remove) == 0 {
		return pruned, err
	}
	pruned, err = s.door.Prune(ctx, cluster.Removal{Target: s.target, Remove: left.Remove, Ledger: book, Go: a.goOn})
	s.reached.Changed += pruned.Count(cluster.Deleted)
	for _, o := range pruned.Objects {
		if o.Outcome == cluster.Leaving { // told when it has gone
			continue
		}
		w.Log.InfoContext(ctx, "pruned", "target", a.target.ID, "cluster", a.target.Cluster, "object", o.ID.String(), "outcome", string(o.Outcome), "why", o.Why)
		s.reached.Pruned = append(s.reached.Pruned, store.PrunedObject{Object: o.ID.String(), Outcome: string(o.Outcome), Why: o.Why})
	}
	return pruned, s.notDeleted(err)
}

// agreed is what may be deleted of an inventory, with what a person has said yes to. What
// waits for that is told.
func (w *Worker) agreed(ctx context.Context, a *attempt, s *syncing, inventory []cluster.Entry, wanted []cluster.Object) (cluster.Surplus, error) {
	left := cluster.Prunable(inventory, wanted, nil)
	if len(left.NeedsYes) == 0 {
		return left, nil
	}
	code := codeOf(left.NeedsYes)
	_, said, err := w.Store.PruneApproved(ctx, a.target.ID, code)
	if err != nil {
		return left, err
	}
	if !said {
		if s.reached.Surplus = s.was.Surplus; s.was.SurplusCode != code {
			if s.reached.Surplus, err = w.surplusOf(ctx, s, left); err != nil {
				return left, err
			}
		}
		s.reached.SurplusCode = code
		s.reached.Notes = append(s.reached.Notes, s.withSpeakers(waiting(s.was.App, s.was.Env, s.reached.Surplus, code), "prune-ok"))
		return left, nil
	}
	approved := map[cluster.ID]bool{}
	for _, e := range left.NeedsYes {
		approved[e.ID] = true
	}
	return cluster.Prunable(inventory, wanted, approved), nil
}

// notDeleted tells of what only a person can mend, and leaves it at that: what runs is
// healthy, and only what is left over could not be deleted.
func (s *syncing) notDeleted(err error) error {
	if err != nil && !fault.KindOf(err).Retryable() {
		s.reached.Notes = append(s.reached.Notes, "What is not in Git any more could not be deleted: "+explain(err))
		return nil
	}
	return err
}

// surplusOf puts into words what waits, with what would go along with it.
func (w *Worker) surplusOf(ctx context.Context, s *syncing, left cluster.Surplus) ([]byte, error) {
	kept := surplus{Why: left.Why}
	for _, e := range left.NeedsYes {
		kept.Objects = append(kept.Objects, e.ID.String())
	}
	along, err := s.door.Consequences(ctx, s.target, left.NeedsYes)
	if err != nil {
		along = []string{"What would go along with them could not be counted: " + explain(err)}
	}
	kept.Why = append(kept.Why, along...)
	return json.Marshal(kept)
}

// waiting says in words what a target keeps until somebody says yes; "" where it keeps
// nothing.
func waiting(app, env string, list []byte, code string) string {
	var kept surplus
	if code == "" || json.Unmarshal(list, &kept) != nil {
		return ""
	}
	const enough = 40
	objects := kept.Objects
	if more := len(objects) - enough; more > 0 {
		objects = append(objects[:enough:enough], fmt.Sprintf("and %d more", more))
	}
	why := kept.Why
	if more := len(why) - enough; more > 0 {
		why = append(why[:enough:enough], fmt.Sprintf("And %d more like that.", more))
	}
	return fmt.Sprintf("/prune-ok %s %s %s deletes what is not in Git any more and still there, exactly these: %s. %s",
		env, app, code, strings.Join(objects, ", "), strings.Join(why, " "))
}

// pruneOK carries out /prune-ok <env> [app] <code>.
func (w *Worker) pruneOK(ctx context.Context, r request, cmd command.PruneOK) (string, error) {
	app, code := cmd.Resolve()
	yes, err := r.yesTo(cmd.Verb(), cmd.Env, app, code)
	if err != nil {
		return "", err
	}
	agreed, err := w.Store.ApprovePrune(ctx, yes, syncJob)
	if err != nil {
		return "", err
	}
	if len(agreed) > 0 {
		return fmt.Sprintf("The list %s of %s goes from %s with the next look, a moment from now.", checklist.Code(code), checklist.Escape(inPlain(yes.App, cmd.Env)), checklist.Escape(clustersOf(agreed))), nil
	}
	lists, err := w.stillWaiting(ctx, yes, func(t store.Target) string { return waiting(t.App, t.Env, t.Surplus, t.SurplusCode) })
	if err != nil {
		return "", err
	}
	if len(lists) == 0 {
		return "", fault.Errorf(fault.NotFound, "Nothing of %s waits for a yes to be deleted.", inPlain(yes.App, cmd.Env))
	}
	return "", fault.Errorf(fault.NotFound, "%s names no list that waits now: there may be another one since. These do: %s", code, strings.Join(lists, " And "))
}
