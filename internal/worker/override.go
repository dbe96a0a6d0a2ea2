package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// override carries out /override <gate> <reason>: it writes down that a person wants
// it. What the words of several people come to is decided at every look.
func (w *Worker) override(ctx context.Context, c store.Command, cmd command.Override) (string, error) {
	p, err := w.promotionOf(ctx, placeOf(c), int(c.Number))
	if errors.Is(err, errNotOurs) {
		return "", fault.Errorf(fault.Invalid, "A gate is overridden on the pull request that it blocks, and this is none of Tagboat's. Comment there.")
	}
	if err != nil {
		return "", err
	}
	if !slices.Contains(promotion.Overridable, cmd.Gate) {
		return "", fault.Errorf(fault.Denied, "%s cannot be overridden by anybody.%s Gates that can: %s.",
			promotion.Title(cmd.Gate), didYouMean(cmd.Gate, promotion.Overridable), strings.Join(promotion.Overridable, ", "))
	}
	if !promotion.State(p.State).Active() {
		return "", fault.Errorf(fault.Invalid, "This promotion is %s; there is nothing left to override.", p.State)
	}
	l, err := w.look(ctx, p.ID, true)
	if err != nil {
		return "", err
	}
	at := saidAt(c)
	made, err := w.Store.HeadMade(ctx, l.row.ID, l.row.SeenHeadSHA)
	if err != nil {
		return "", err
	}
	if at.Before(made) {
		return "", fault.Errorf(fault.Denied, "This was written before the pull request carried %s in commit %.12s. Look at it, and say it again.", l.artifact.Tag, l.row.SeenHeadSHA)
	}
	// What one says of a pull request, one says of all that it carries and that the gate
	// keeps.
	var refusal error
	var told []string
	for _, m := range l.together() {
		text, err := w.overrideOne(ctx, m, c, cmd, at)
		switch {
		case err == nil && len(l.companions) > 0:
			told = append(told, fmt.Sprintf("%s: %s", checklist.Escape(m.row.App), text))
		case err == nil:
			told = append(told, text)
		case fault.KindOf(err).Retryable():
			return "", err
		default:
			refusal = err
		}
	}
	if len(told) == 0 {
		return "", refusal
	}
	return strings.Join(told, "\n\n"), nil
}

// overrideOne writes down that a person wants a gate of one promotion overridden.
func (w *Worker) overrideOne(ctx context.Context, l *look, c store.Command, cmd command.Override, at time.Time) (string, error) {
	gate, err := w.mayOverride(ctx, l, c, cmd.Gate)
	if err != nil {
		return "", err
	}
	if err := w.Store.RecordVoice(ctx, l.row.ID, store.NewVoice{
		Gate: cmd.Gate, By: store.Actor{ID: c.AuthorID, Login: c.Author}, Reason: cmd.Reason,
		Digest: l.artifact.Digest, HeadSHA: l.row.SeenHeadSHA, EditHash: l.row.EditHash, Comment: c.CommentID, Delivery: deliveryOf(c), At: at,
	}, reconcileJob); err != nil {
		return "", err
	}
	l.facts.Voices = append(l.facts.Voices, promotion.Voice{
		Gate: cmd.Gate, By: promotion.Person{ID: c.AuthorID, Login: c.Author}, May: true, Reason: cmd.Reason,
		Digest: l.artifact.Digest, HeadSHA: l.row.SeenHeadSHA, At: at,
	})
	for _, g := range promotion.Evaluate(l.facts, l.at) {
		if g.Name == cmd.Gate {
			gate = g
		}
	}
	return fmt.Sprintf("**%s**: %s", checklist.Escape(gate.Title), checklist.Escape(gate.Reason)), nil
}

// saidAt is when a comment was written, at the latest: GitHub tells whole seconds of it,
// and it may become known at once, or days later.
func saidAt(c store.Command) time.Time {
	if at := c.SaidAt.Add(time.Second); at.Before(c.ReceivedAt) {
		return at
	}
	return c.ReceivedAt
}

// mayOverride finds the gate that is meant, and refuses with words whoever may not
// override it, or what needs no override.
func (w *Worker) mayOverride(ctx context.Context, l *look, c store.Command, name string) (promotion.Gate, error) {
	if l.facts.RuleErr != "" {
		return promotion.Gate{}, fault.Errorf(fault.Denied, "Who may override is not known while tagboat.yaml cannot be used: %s", l.facts.RuleErr)
	}
	o := l.env.Override
	if o == nil {
		return promotion.Gate{}, fault.Errorf(fault.Denied, "Nobody may override gates of %s: tagboat.yaml has no override for it.", l.row.Env)
	}
	if !slices.Contains(o.Gates, name) {
		return promotion.Gate{}, fault.Errorf(fault.Denied, "tagboat.yaml lets nobody override %s of %s; it does so for: %s.", name, l.row.Env, strings.Join(o.Gates, ", "))
	}
	may := w.may(ctx, l.repo, o, []store.Voice{{ActorID: c.AuthorID, Actor: c.Author}}, true)
	if !may[c.AuthorID] {
		return promotion.Gate{}, fault.Errorf(fault.Denied, "Only %s may override gates of %s; %s is not among them, or GitHub could not be asked. Ask two of them.", overriders(o), l.row.Env, c.Author)
	}
	if l.facts.Pull == nil || l.row.SeenHeadSHA == "" || l.row.SeenHeadSHA != l.row.HeadSHA {
		return promotion.Gate{}, fault.Errorf(fault.Denied, "The head commit is not Tagboat's, and no override changes that. /explain says what to do.")
	}
	for _, g := range promotion.Evaluate(l.facts, l.at) {
		switch {
		case g.Name != name:
		case g.Verdict == promotion.Pass:
			return g, fault.Errorf(fault.Invalid, "%s passes; there is nothing to override. %s", g.Title, g.Reason)
		default:
			return g, nil
		}
	}
	return promotion.Gate{}, fault.Errorf(fault.Invalid, "%s does not block this pull request; there is nothing to override.", promotion.Title(name))
}

// overriders are those who may override, in words.
func overriders(o *envrepo.Override) string {
	var who []string
	for _, t := range o.Teams {
		who = append(who, "team "+t)
	}
	return strings.Join(append(who, o.Users...), ", ")
}

// may asks who of those who said something may override. Whom GitHub cannot be asked
// about may not.
func (w *Worker) may(ctx context.Context, repo store.Repo, o *envrepo.Override, voices []store.Voice, fresh bool) map[int64]bool {
	var asked []store.Review
	for _, v := range voices {
		asked = append(asked, store.Review{ReviewerID: v.ActorID, Reviewer: v.Actor, State: string(approval.Approved)})
	}
	may := map[int64]bool{}
	for id, p := range w.people.of(ctx, repo, o.Teams, asked, fresh) {
		named := slices.ContainsFunc(o.Users, func(login string) bool { return sameName(login, p.Login) })
		may[id] = p.Known && !p.Bot && p.Write && (named || len(p.Teams) > 0)
	}
	return may
}

// voices reads what people said about overriding gates, and who of them may.
func (l *look) voices(ctx context.Context, fresh bool) error {
	if l.env.Override == nil {
		return nil
	}
	rows, err := l.w.Store.Voices(ctx, l.row.ID)
	if err != nil || len(rows) == 0 {
		return err
	}
	// Words about another head count no more, and need nobody to be asked about.
	rows = slices.DeleteFunc(rows, func(v store.Voice) bool {
		return v.HeadSHA != l.row.SeenHeadSHA || !l.at.Before(v.At.Add(l.env.Override.Expires))
	})
	may := l.w.may(ctx, l.repo, l.env.Override, rows, fresh)
	for _, v := range rows {
		l.facts.Voices = append(l.facts.Voices, promotion.Voice{
			Gate: v.Gate, By: promotion.Person{ID: v.ActorID, Login: v.Actor}, May: may[v.ActorID], Reason: v.Reason,
			Digest: v.Digest, HeadSHA: v.HeadSHA, At: v.At,
		})
	}
	followed, err := l.w.Store.FollowUps(ctx, l.row.ID)
	for _, u := range followed {
		l.facts.FollowUps = append(l.facts.FollowUps, promotion.FollowUp{Gate: u.Gate, HeadSHA: u.HeadSHA, URL: u.URL})
	}
	return err
}

// overrides are the gates that people override, for the log.
func (l *look) overrides(gates []promotion.Gate) (all []store.Override) {
	for _, g := range gates {
		if g.Verdict != promotion.Overridden {
			continue
		}
		o := store.Override{Gate: g.Name}
		for _, v := range promotion.Overriders(l.facts, g.Name, l.at) {
			o.By = append(o.By, store.Overriding{Actor: store.Actor{ID: v.By.ID, Login: v.By.Login}, Reason: v.Reason, At: v.At.UTC()})
		}
		for _, u := range l.facts.FollowUps {
			if u.Gate == g.Name && u.HeadSHA == l.row.SeenHeadSHA {
				o.FollowUp = u.URL
			}
		}
		all = append(all, o)
	}
	return all
}

// openFollowUp opens the issue that follows an override up, once, for the first gate
// that has none.
func (w *Worker) openFollowUp(ctx context.Context, l *look, gates []promotion.Gate) error {
	gate := promotion.Unfollowed(l.facts, gates)[0]
	marker := fmt.Sprintf("<!-- tagboat:override %d %s %s -->", l.row.ID, gate.Name, l.row.SeenHeadSHA)
	fresh, err := w.Store.Announce(ctx, l.row.ID, "follow up the override of "+gate.Name+" on "+l.row.SeenHeadSHA)
	if err != nil {
		return err
	}
	if !fresh {
		issue, found, err := l.door.FindIssue(ctx, marker, l.row.CreatedAt.Add(-time.Hour)) // clocks differ
		if err != nil && !lacksIssues(err) {
			return err
		}
		if found {
			return w.Store.RecordFollowUp(ctx, l.row, gate.Name, issue.Number, issue.URL)
		}
	}
	issue, err := l.door.OpenIssue(ctx, fmt.Sprintf("%s: %s was overridden for %s %s", l.row.Env, strings.ToLower(gate.Title), l.row.App, l.artifact.Tag),
		checklist.RenderFollowUp(l.followUp(gate))+"\n\n"+marker)
	if lacksIssues(err) {
		w.Log.WarnContext(ctx, "no issue can be opened to follow an override up", "promotion", l.row.ID, "gate", gate.Name, "error", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return w.Store.RecordFollowUp(ctx, l.row, gate.Name, issue.Number, issue.URL)
}

// lacksIssues: the App may not open issues, or the env repo has none.
func lacksIssues(err error) bool { return fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) }

func (l *look) followUp(gate promotion.Gate) checklist.FollowUp {
	f := checklist.FollowUp{
		App: l.row.App, Env: l.row.Env, New: l.ref(), Gate: gate.Title, Reason: gate.Reason, Pull: int(l.row.PullNumber), Head: l.row.SeenHeadSHA,
	}
	for _, v := range promotion.Overriders(l.facts, gate.Name, l.at) {
		f.By = append(f.By, checklist.Overrider{Login: v.By.Login, Reason: v.Reason, At: v.At})
	}
	return f
}
