package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// tend looks after what a target has: what somebody has changed past Git is found, and
// taken back where tagboat.yaml says so; then, whether it is healthy; and then what is
// not in Git any more goes.
func (w *Worker) tend(ctx context.Context, a *attempt, s *syncing, patience time.Duration) error {
	run, err := w.run(ctx, a, s)
	if err != nil {
		return err
	}
	if err := w.findDrift(ctx, a, s, run); err != nil {
		return err
	}
	if code := s.reached.DriftCode; code != "" && code != a.target.DriftCode {
		if a.target, err = w.Store.NoteDrift(ctx, a.target, s.reached, afterSync()); err != nil {
			return err
		}
	}
	if err := w.awaitStill(ctx, a, s, run, patience); err != nil || s.reached.State != store.TargetHealthy {
		return err
	}
	return w.round(ctx, a, s)
}

// findDrift looks for drift, and heals it where that is asked for.
func (w *Worker) findDrift(ctx context.Context, a *attempt, s *syncing, run cluster.Run) error {
	if s.env.Drift == envrepo.DriftOff {
		s.reached.Drift, s.reached.DriftCode, s.reached.Notes = nil, "", keptNotes(a.target.Notes)
		return nil
	}
	found, err := s.door.Drift(ctx, cluster.DriftCheck{Target: run.Target, Objects: run.Objects, Inventory: run.Inventory, Ignore: ignored(s.base.config, s.pair)})
	if err != nil {
		return err // what was known stays known: a cluster that is away has mended nothing
	}
	if len(found.Accepted) > 0 {
		if err := run.Ledger.Keep(ctx, found.Accepted); err != nil {
			return err
		}
	}
	if found.Partly && a.target.DriftCode != "" {
		return nil // nor has an API that is away mended anything
	}
	s.reached.Drift, s.reached.DriftCode, s.reached.Notes = nil, "", keptNotes(a.target.Notes)
	back := slices.Clone(found.Reown)
	code := driftCode(found)
	heals := lately(healsOf(a.target), w.Now())
	fight := fightCode(found)
	heal := code != "" && s.env.Drift == envrepo.DriftHeal && !fights(heals, fight)
	if heal {
		for _, o := range found.Objects {
			back = append(back, o.ID)
		}
		run.Force, run.Adopt = cluster.ForcePeople, nil // whatever somebody has put in its place
	}
	s.reached.Heals, err = json.Marshal(heals)
	if err == nil && code != "" && !heal {
		s.reached.DriftCode = code
		fought := s.env.Drift == envrepo.DriftHeal
		s.reached.Notes = append(s.reached.Notes, driftNote(found, fought))
		s.reached.Drift, err = json.Marshal(seenDrift{Drifted: found, Fought: fought})
	}
	if err != nil || len(back) == 0 {
		return err
	}
	run.Objects = only(run.Objects, back)
	result, err := s.door.Apply(ctx, run)
	s.took(result)
	if heal && fault.Is(err, fault.Denied) {
		// Somebody else holds it who is not asked: it is told, and left.
		s.reached.DriftCode = code
		s.reached.Notes = append(s.reached.Notes, driftNote(found, false), "It could not be taken back: "+explain(err))
		s.reached.Drift, err = json.Marshal(seenDrift{Drifted: found, Kept: explain(err)})
		return err
	}
	if err != nil || !heal {
		return err
	}
	for _, o := range found.Objects {
		s.reached.Healed = append(s.reached.Healed, o.Object)
	}
	if s.reached.Taken, err = json.Marshal(found); err != nil {
		return err
	}
	s.reached.Heals, err = json.Marshal(append(heals, healed{Code: fight, At: w.Now()}))
	return err
}

// seenDrift is a drift as it is kept, with why it is still there where it should not be.
type seenDrift struct {
	cluster.Drifted
	Fought bool   `json:"fought,omitempty"` // it came again whenever it had been taken back
	Kept   string `json:"kept,omitempty"`   // why it could not be taken back
}

// driftNote is what differs, in a sentence for the board.
func driftNote(d cluster.Drifted, fought bool) string {
	const enough = 3
	var told []string
	for _, o := range d.Objects {
		text := fmt.Sprintf("%s is %s (%s)", o.Object, o.State, o.Why)
		if o.State == cluster.Unsure {
			text = o.Object + ": " + o.Why
		}
		if len(o.Changes) > 0 {
			text = o.Object + ": " + o.Changes[0].String()
		}
		if more := len(o.Changes) + o.More - 1; more == 1 {
			text += " (and 1 more field)"
		} else if more > 1 {
			text += fmt.Sprintf(" (and %d more fields)", more)
		}
		told = append(told, text)
	}
	if more := len(told) + d.More - enough; more == 1 {
		told = append(told[:min(enough, len(told))], "and 1 more object")
	} else if more > 1 {
		told = append(told[:min(enough, len(told))], fmt.Sprintf("and %d more objects", more))
	}
	note := "changed past Git: " + strings.TrimSuffix(strings.Join(told, "; "), ".") + "."
	if fought {
		note += " Tagboat has taken that back twice within ten minutes, and leaves it for now: something else wants it otherwise. Find out what, or take the field out of Git."
	}
	return note
}

// only are those of the objects that ids name.
func only(objects []cluster.Object, ids []cluster.ID) (out []cluster.Object) {
	for _, o := range objects {
		gk := o.GroupVersionKind().GroupKind()
		if slices.ContainsFunc(ids, func(id cluster.ID) bool {
			return id.GroupKind() == gk && id.Name == o.GetName() && (o.GetNamespace() == id.Namespace || id.Namespace == "")
		}) {
			out = append(out, o)
		}
	}
	return out
}

// ignored are the rules of tagboat.yaml for what may differ.
func ignored(config *envrepo.Config, pair envrepo.Pair) (rules []cluster.IgnoreRule) {
	for _, i := range config.Ignore {
		if (i.App == "" || i.App == pair.App) && (i.Env == "" || i.Env == pair.Env) {
			rules = append(rules, cluster.IgnoreRule{Kind: i.Kind, Namespace: i.Namespace, Name: i.Name, Fields: i.Fields, Managers: i.Managers})
		}
	}
	return rules
}

// driftCode names exactly what differs, whenever it was changed; "" where nothing does.
func driftCode(d cluster.Drifted) string {
	if len(d.Objects) == 0 {
		return ""
	}
	var parts []string
	for _, o := range d.Objects {
		parts = append(parts, o.Object, string(o.State), o.Why, fmt.Sprint(len(o.Changes), " and ", o.More))
		for _, c := range o.Changes {
			parts = append(parts, c.Path, c.Want, c.Is, c.Manager)
		}
	}
	return code(parts)
}

// fightCode names what is changed and by whom, whatever the values are.
func fightCode(d cluster.Drifted) string {
	var parts []string
	for _, o := range d.Objects {
		parts = append(parts, o.Object, string(o.State), fmt.Sprint(len(o.Changes)))
		for _, c := range o.Changes {
			parts = append(parts, c.Path, c.Manager)
		}
	}
	return code(parts)
}

// healed is one time that a change was taken back.
type healed struct {
	Code string    `json:"code"`
	At   time.Time `json:"at"`
}

const (
	// fightWithin and fightAfter: who changes the same again so soon, so often, is no
	// mistake, but something else that wants it otherwise.
	fightWithin = 10 * time.Minute
	fightAfter  = 2
)

func healsOf(t store.Target) (all []healed) {
	_ = json.Unmarshal(t.Heals, &all) // written by us; none where it cannot be read
	return all
}

// lately are those heals that still count.
func lately(all []healed, now time.Time) []healed {
	return slices.DeleteFunc(all, func(h healed) bool { return now.Sub(h.At) > fightWithin })
}

// fights reports whether the same change was taken back so often lately that taking it
// back once more would not end it.
func fights(lately []healed, code string) bool {
	n := 0
	for _, h := range lately {
		if h.Code == code {
			n++
		}
	}
	return n >= fightAfter
}

// tellDrift tells of a change that somebody made past Git: in a comment on the pull
// request that brought what runs, or, where Tagboat has brought nothing yet, in an
// issue. What becomes of it is told in the same comment.
func (w *Worker) tellDrift(ctx context.Context, j *river.Job[job.TellDrift]) error {
	return w.Store.TellDrift(ctx, j.Args.Drift, func(d store.Drift) error { return w.tellOne(ctx, d) })
}

func (w *Worker) tellOne(ctx context.Context, d store.Drift) error {
	t, err := w.Store.Target(ctx, d.TargetID)
	if err != nil {
		return err
	}
	repo, err := w.Store.Repo(ctx, t.RepoID)
	if err != nil || !store.Readable(repo) {
		return err
	}
	text, err := driftText(d, t)
	if err != nil {
		return err
	}
	marker := fmt.Sprintf("<!-- tagboat:drift %d -->", d.ID)
	text += "\n\n" + marker
	if d.Told == hash(text) {
		return nil
	}
	door := w.repo(repo)
	fresh, err := w.Store.AnnounceDrift(ctx, d.ID)
	if err != nil {
		return err
	}
	if d.Number == 0 {
		if d.Number, err = w.placeOfDrift(ctx, repo, t, d, marker); err != nil || d.Number == 0 {
			return err
		}
	}
	id := d.CommentID
	if id == 0 && !fresh {
		if id, _, err = door.FindComment(ctx, int(d.Number), marker); err != nil {
			return err
		}
	}
	if id != 0 {
		err = door.EditComment(ctx, id, text)
	}
	if id == 0 || fault.Is(err, fault.NotFound) { // or somebody has deleted it
		id, err = door.Comment(ctx, int(d.Number), text)
	}
	if err != nil {
		return err
	}
	return w.Store.ToldDrift(ctx, d, id, hash(text))
}

// placeOfDrift is the number of the pull request or issue where a drift is told; 0 where
// nothing can be told.
func (w *Worker) placeOfDrift(ctx context.Context, repo store.Repo, t store.Target, d store.Drift, marker string) (int64, error) {
	p, found, err := w.Store.MergedLast(ctx, repo.ID, t.App, t.Env)
	if err != nil {
		return 0, err
	}
	number := int64(p.PullNumber)
	if !found {
		door := w.repo(repo)
		marker += " issue"
		issue, found, err := door.FindIssue(ctx, marker, d.SeenAt.Add(-time.Hour)) // clocks differ
		if err == nil && !found {
			issue, err = door.OpenIssue(ctx, fmt.Sprintf("%s: %s was changed past Git", t.Env, t.App), checklist.DriftIssue(t.App, t.Env)+"\n\n"+marker)
		}
		if lacksIssues(err) {
			w.Log.WarnContext(ctx, "no issue can be opened to tell of a drift", "target", t.ID, "error", err)
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		number = int64(issue.Number)
	}
	return number, w.Store.PlaceDrift(ctx, d.ID, number)
}

func driftText(d store.Drift, t store.Target) (string, error) {
	var found seenDrift
	if err := json.Unmarshal(d.Found, &found); err != nil {
		return "", fault.Errorf(fault.Broken, "read what drift %d is: %w", d.ID, err)
	}
	told := checklist.Drift{App: t.App, Env: t.Env, Cluster: t.Cluster, Since: d.SeenAt, Ended: moment(d.EndedAt), Healed: d.Healed, Gone: t.Gone && d.EndedAt != nil, More: found.More, Fought: found.Fought, Kept: found.Kept}
	for _, o := range found.Objects {
		line := checklist.DriftedObject{Object: o.Object, State: string(o.State), Why: o.Why, More: o.More}
		for _, c := range o.Changes {
			line.Changes = append(line.Changes, checklist.FieldChange{Path: c.Path, Want: c.Want, Is: c.Is, By: c.Manager, At: c.At})
		}
		told.Objects = append(told.Objects, line)
	}
	return checklist.RenderDrift(told), nil
}
