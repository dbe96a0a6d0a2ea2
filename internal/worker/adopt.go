package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// adoption is what waits for a yes before it is taken over, as it is kept and shown.
type adoption struct {
	Objects []cluster.Adoptee `json:"objects"`
}

// adoptCode names exactly these objects, in whatever order and whatever would become of
// them: a newer commit does not ask again.
func adoptCode(objects []cluster.Adoptee) string {
	var parts []string
	for _, o := range objects {
		parts = append(parts, o.Object+" "+o.UID)
	}
	slices.Sort(parts)
	return code(parts)
}

// adopting is what an apply to a target has to ask about; nil where the environment wants
// no questions.
func (w *Worker) adopting(ctx context.Context, env envrepo.Environment, target int64) (*cluster.Adoption, error) {
	if env.Adopt == envrepo.AdoptAlways {
		return nil, nil
	}
	uids, err := w.Store.Adoptable(ctx, target)
	if err != nil {
		return nil, err
	}
	may := &cluster.Adoption{Agreed: map[string]bool{}}
	for _, uid := range uids {
		may.Agreed[uid] = true
	}
	return may, nil
}

// adoptingFor is the same for a cluster of a pair, which may have no target yet.
func (w *Worker) adoptingFor(ctx context.Context, l *look, cluster string) (*cluster.Adoption, error) {
	targets, err := w.Store.TargetsOfPair(ctx, l.repo.ID, l.row.App, l.row.Env)
	if err != nil {
		return nil, err
	}
	var id int64
	for _, t := range targets {
		if t.Cluster == cluster {
			id = t.ID
		}
	}
	return w.adopting(ctx, l.env, id)
}

// awaitYes leaves a target what it has until a person has said yes to what an attempt,
// which has written nothing, would take over: it looks after what is there, and writes
// down what is waited for.
func (w *Worker) awaitYes(ctx context.Context, a *attempt, s syncing, sync int64, stray *cluster.Unadopted) error {
	list, err := json.Marshal(adoption{stray.Objects})
	if err != nil {
		return err
	}
	code := adoptCode(stray.Objects)
	why := fmt.Sprintf("%s in %s already, not made by Tagboat, and would be changed: it waits for /adopt %s %s %s.",
		count(len(stray.Objects), "object is", "objects are"), s.was.Cluster, s.was.Env, s.was.App, code)
	if err := w.Store.RefuseSync(ctx, sync, why); err != nil {
		return err
	}
	ask := s.withSpeakers(askToAdopt(s.was.App, s.was.Env, list, code), "adopt")
	return w.keep(ctx, a, s, func(r *store.Reached) {
		noAdoption(r)
		r.Held, r.Adoption, r.AdoptionCode = why, list, code
		r.Notes = append(r.Notes, ask)
	})
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// noAdoption forgets what waited for a yes.
func noAdoption(r *store.Reached) {
	r.Adoption, r.AdoptionCode = nil, ""
	r.Notes = slices.DeleteFunc(slices.Clone(r.Notes), func(note string) bool { return strings.HasPrefix(note, "/adopt ") })
}

// askToAdopt says in words what would be taken over, and what would become of it; ""
// where nothing waits.
func askToAdopt(app, env string, list []byte, code string) string {
	var kept adoption
	if code == "" || json.Unmarshal(list, &kept) != nil {
		return ""
	}
	const enough, enoughFields = 20, 5
	var objects []string
	for i, o := range kept.Objects {
		if i == enough {
			objects = append(objects, fmt.Sprintf("and %d more", len(kept.Objects)-enough))
			break
		}
		var fields []string
		for _, c := range o.Changes[:min(enoughFields, len(o.Changes))] {
			fields = append(fields, becoming(c))
		}
		if more := len(o.Changes) + o.More - len(fields); more > 0 {
			fields = append(fields, fmt.Sprintf("%d more fields", more))
		}
		objects = append(objects, fmt.Sprintf("%s (%s)", o.Object, strings.Join(fields, "; ")))
	}
	return fmt.Sprintf("/adopt %s %s %s takes over what is there already and was not made by Tagboat, exactly these, and makes them what they are in Git: %s. If they shall stay as they are, bring that to Git, or take them out of it.",
		env, app, code, strings.Join(objects, ", "))
}

// becoming is what a field of an object becomes with an adoption.
func becoming(c cluster.FieldChange) string {
	switch {
	case c.Want == c.Is: // masked, both of them
		return c.Path + " becomes another one"
	case c.Is == "":
		return fmt.Sprintf("%s is not there and becomes %s", c.Path, c.Want)
	case c.Want == "":
		return fmt.Sprintf("%s is %s and goes", c.Path, c.Is)
	}
	return fmt.Sprintf("%s is %s and becomes %s", c.Path, c.Is, c.Want)
}

// adoptOK carries out /adopt <env> [app] <code>.
func (w *Worker) adoptOK(ctx context.Context, r request, cmd command.Adopt) (string, error) {
	app, code := cmd.Resolve()
	yes, err := r.yesTo(cmd.Verb(), cmd.Env, app, code)
	if err != nil {
		return "", err
	}
	agreed, err := w.Store.ApproveAdoption(ctx, yes, syncJob)
	if err != nil {
		return "", err
	}
	if len(agreed) > 0 {
		return fmt.Sprintf("What %s names is taken over for %s in %s with the next attempt, a moment from now.", checklist.Code(code), checklist.Escape(inPlain(yes.App, cmd.Env)), checklist.Escape(clustersOf(agreed))), nil
	}
	lists, err := w.stillWaiting(ctx, yes, func(t store.Target) string { return askToAdopt(t.App, t.Env, t.Adoption, t.AdoptionCode) })
	if err != nil {
		return "", err
	}
	if len(lists) == 0 {
		return "", fault.Errorf(fault.NotFound, "Nothing waits for a yes to be taken over for %s.", inPlain(yes.App, cmd.Env))
	}
	return "", fault.Errorf(fault.NotFound, "%s names no objects that wait now: there may be others since. These do: %s", code, strings.Join(lists, " And "))
}
