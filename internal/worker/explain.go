package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// explain carries out /explain [env] [app], from a fresh look.
func (w *Worker) explain(ctx context.Context, r request, cmd command.Explain) (string, error) {
	if cmd.App != "" {
		r.app = cmd.App
	}
	if cmd.Env != "" {
		return w.explainPair(ctx, r)
	}
	if r.carried == nil {
		return "", fault.Errorf(fault.NotFound, "This is not a pull request of Tagboat's. Comment on one, or name an environment and an app: /explain <env> <app>.")
	}
	return w.explainPull(ctx, *r.carried)
}

// explainPull says what a pull request of ours waits for, or what became of it.
func (w *Worker) explainPull(ctx context.Context, p store.Promotion) (string, error) {
	if promotion.State(p.State).Active() {
		return w.explainTogether(ctx, p)
	}
	repo, err := w.Store.Repo(ctx, p.RepoID)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("This promotion is %s. %s", p.State, checklist.Escape(p.Message))
	now, err := w.explainPair(ctx, request{env: p.Env, app: p.App, repo: repo})
	if err != nil && !fault.KindOf(err).Retryable() {
		now, err = checklist.Escape(explain(err)), nil // the app may not be there any more
	}
	return strings.TrimSpace(text) + "\n\n" + now, err
}

func (w *Worker) explainPromotion(ctx context.Context, id int64) (string, error) {
	l, err := w.look(ctx, id, true)
	if err != nil {
		return "", err
	}
	m := l.model
	m.Gates = l.gatesOf(promotion.Evaluate(l.facts, l.at))
	return checklist.RenderExplain(m), nil
}

// explainTogether says it of all that a pull request carries.
func (w *Worker) explainTogether(ctx context.Context, p store.Promotion) (string, error) {
	together, err := w.Store.Together(ctx, p)
	var texts []string
	for _, m := range together {
		text, err := w.explainPromotion(ctx, m.ID)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n\n"), err
}

// pairOf is the app of an environment that a command is about, whose verb the answer
// names where it is not known which.
func (w *Worker) pairOf(ctx context.Context, r request, verb string) (use, error) {
	uses, err := w.usesIn(ctx, r.repo, func(p envrepo.Pair) bool { return p.Env == r.env })
	if err != nil {
		return use{}, err
	}
	if err := w.knownEnvironment(ctx, r, uses); err != nil {
		return use{}, err
	}
	var apps []string
	for _, u := range uses {
		apps = append(apps, u.pair.App)
	}
	if r.app == "" && len(apps) == 1 {
		r.app = apps[0]
	}
	if r.app == "" {
		return use{}, fault.Errorf(fault.Invalid, "Which app? Write /%s %s <app>; the apps of %s are: %s.", verb, r.env, r.env, strings.Join(apps, ", "))
	}
	i := slices.Index(apps, r.app)
	if i < 0 {
		return use{}, fault.Errorf(fault.NotFound, "%s has no overlay for %s.%s The apps of %s are: %s.", r.app, r.env, didYouMean(r.app, apps), r.env, strings.Join(apps, ", "))
	}
	return uses[i], nil
}

// explainPair says what is on its way to an (app, environment), or what would be in
// the way of it.
func (w *Worker) explainPair(ctx context.Context, r request) (string, error) {
	u, err := w.pairOf(ctx, r, "explain")
	if err != nil {
		return "", err
	}
	r.app = u.pair.App
	active, err := w.Store.ActivePromotion(ctx, r.repo.ID, r.app, r.env)
	if err == nil {
		return w.explainPromotion(ctx, active.ID)
	}
	if !fault.Is(err, fault.NotFound) {
		return "", err
	}
	place, err := Place(ctx, w.Store, r.repo, r.app, r.env)
	if err != nil {
		return "", err
	}
	would, err := w.would(ctx, r, u)
	place.Needs = append(would, place.Needs...)
	return checklist.RenderPlace(place), err
}

// would is what a change of an (app, environment) would need, as tagboat.yaml has it
// now.
func (w *Worker) would(ctx context.Context, r request, u use) ([]string, error) {
	if u.pair.Err != nil {
		return []string{"Nothing can be changed there: " + explain(u.pair.Err)}, nil
	}
	words := []string{asks(u)}
	for _, name := range u.pair.Moves() {
		next, err := w.candidate(ctx, r, u, name)
		if err != nil {
			return nil, err
		}
		words = append(words, next...)
	}
	return words, nil
}

// asks says who brings changes to an environment, and what they have to have.
func asks(u use) string {
	text := fmt.Sprintf("A person asks for a change: /promote %s %s.", u.env.Name, u.pair.App)
	if f := u.env.Follow; f != nil && f.Env != "" {
		text = fmt.Sprintf("It takes by itself what is healthy in %s.", f.Env)
	} else if f != nil {
		text = fmt.Sprintf("It takes by itself new versions that match %s.", f.Semver)
	}
	var has []string
	for _, n := range u.env.Needs {
		need := n.Env + " runs the same digest"
		if n.Healthy > 0 {
			need += fmt.Sprintf(", healthy for %s", n.Healthy)
		}
		has = append(has, need)
	}
	for _, rule := range u.env.Approvals {
		if rule.Count > 0 {
			has = append(has, "approvals: "+strings.TrimSpace(fmt.Sprintf("%d %s", rule.Count, rule.Name)))
		}
	}
	if len(u.env.Checks) > 0 {
		has = append(has, "checks: "+strings.Join(u.env.Checks, ", "))
	}
	if len(has) > 0 {
		text += " It would need: " + strings.Join(has, "; ") + "."
	}
	return text
}

// candidate says of the version that would come next whether it could come now, and
// what would be in its way.
func (w *Worker) candidate(ctx context.Context, r request, u use, name string) ([]string, error) {
	current, err := pinned(u, name)
	if err != nil {
		return []string{explain(err)}, nil
	}
	a, err := w.Store.NewestArtifact(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return []string{fmt.Sprintf("No version of %s is verified yet.", name)}, nil
	}
	if err != nil {
		return nil, err
	}
	if pins(current, a) {
		return []string{fmt.Sprintf("%s, the newest verified version of %s, is in Git there.", a.Tag, name)}, nil
	}
	if err := w.denied(ctx, u, a); fault.Is(err, fault.Denied) {
		return []string{fmt.Sprintf("%s is the newest verified version of %s.", a.Tag, name), explain(err)}, nil
	} else if err != nil {
		return nil, err
	}
	words := []string{fmt.Sprintf("The newest verified version of %s is %s; in Git there is %s.", name, a.Tag, current.Tag)}
	switch back, err := w.goesBack(ctx, a, current); {
	case err != nil:
		return nil, err
	case back:
		return append(words, explain(tooOld(a.Tag, current.Tag, u))), nil
	case u.env.Follow != nil && u.env.Follow.Env == "" && !u.base.config.Follows(u.env, a.Tag):
		words = append(words, fmt.Sprintf("%s does not match %s, so nobody proposes it unasked.", a.Tag, u.env.Follow.Semver))
	}
	facts := promotion.Facts{
		App: u.pair.App, Env: u.env.Name, Artifact: image.Ref{Name: a.Image, Tag: a.Tag, Digest: a.Digest}, Rule: RuleOf(u.env),
	}
	if facts.Upstream, err = w.upstreams(ctx, r.repo, u.pair.App, u.env); err != nil {
		return nil, err
	}
	for _, g := range promotion.Evaluate(facts, w.Now()) {
		if g.Verdict != promotion.Pass && (g.Name == promotion.GateUpstream || g.Name == promotion.GateWindow) {
			words = append(words, fmt.Sprintf("%s: %s", g.Title, g.Reason))
		}
	}
	return words, nil
}

// Place is what the database knows of an (app, environment) into which nothing is on
// its way.
func Place(ctx context.Context, s *store.Store, repo store.Repo, app, env string) (p checklist.Place, err error) {
	p = checklist.Place{App: app, Env: env}
	targets, err := s.TargetsOfPair(ctx, repo.ID, app, env)
	if err != nil {
		return p, err
	}
	p.Clusters = clusterStatuses(targets)
	if p.Last, err = lastOf(ctx, s, repo, app, env); err != nil {
		return p, err
	}
	if repo.ConfigError != "" {
		p.Needs = append(p.Needs, "Nothing moves: "+repo.ConfigError)
	}
	stops, err := s.Stops(ctx, store.Scope{Owner: repo.Owner, Repo: repo.ID, Env: env, App: app})
	if err != nil {
		return p, err
	}
	for _, stop := range stops {
		facts := stopFacts(stop)
		p.Needs = append(p.Needs, fmt.Sprintf("%s People lift that with %s.", facts.Words(), facts.Lift))
	}
	denials, err := s.Denials(ctx, repo.ID, app, env)
	if err != nil {
		return p, err
	}
	for _, d := range denials {
		p.Needs = append(p.Needs, denialFacts(d).Words())
	}
	others, err := others(ctx, s, repo, app, env)
	if err != nil {
		return p, err
	}
	refused, err := refusals(ctx, s, repo, app, env)
	p.Needs = append(append(p.Needs, others...), refused...)
	return p, err
}

// lastOf says what became of the last promotion.
func lastOf(ctx context.Context, s *store.Store, repo store.Repo, app, env string) (string, error) {
	p, err := s.LatestPromotion(ctx, repo.ID, app, env)
	if fault.Is(err, fault.NotFound) {
		return "There never was a promotion.", nil
	}
	if err != nil {
		return "", err
	}
	a, err := s.Artifact(ctx, p.ArtifactID)
	text := "The last promotion, of " + a.Tag
	if p.PullNumber > 0 {
		text += fmt.Sprintf(" (#%d)", p.PullNumber)
	}
	text += fmt.Sprintf(", is %s since %s.", p.State, p.UpdatedAt.UTC().Format("2006-01-02 15:04 MST"))
	if p.Message != "" {
		text += " " + p.Message
	}
	return text, err
}

// others say what the app's other environments have, in the order of tagboat.yaml.
func others(ctx context.Context, s *store.Store, repo store.Repo, app, env string) (words []string, err error) {
	all, err := s.Targets(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(t store.Target) bool { return t.RepoID != repo.ID || t.App != app || t.Env == env })
	slices.SortStableFunc(all, func(a, b store.Target) int { return int(a.Position - b.Position) })
	for len(all) > 0 {
		name := all[0].Env
		var of []store.Target
		all = slices.DeleteFunc(all, func(t store.Target) bool {
			if t.Env == name {
				of = append(of, t)
			}
			return t.Env == name
		})
		up := upstreamFacts(name, of, lastSeen(of)) // as the last look found it, however long ago
		switch {
		case up.Digest == "":
			words = append(words, fmt.Sprintf("%s is not known to run anything.", name))
		case !up.Healthy:
			words = append(words, fmt.Sprintf("%s has %s (%s), and is not healthy: %s.", name, up.Tag, image.ShortDigest(up.Digest), up.Reason))
		default:
			words = append(words, fmt.Sprintf("%s has %s (%s), healthy since %s.", name, up.Tag, image.ShortDigest(up.Digest), up.HealthySince.UTC().Format("2006-01-02 15:04 MST")))
		}
	}
	return words, nil
}

// lastSeen is when a target was last found healthy.
func lastSeen(targets []store.Target) (at time.Time) {
	for _, t := range targets {
		if t.HealthySeen != nil && t.HealthySeen.After(at) {
			at = *t.HealthySeen
		}
	}
	return at
}

// refusals say which newest push of the app's images was refused, and why: people
// look for it where it did not arrive.
func refusals(ctx context.Context, s *store.Store, repo store.Repo, app, env string) (words []string, err error) {
	names, err := s.ImagesThere(ctx, repo.ID, app, env)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		r, err := s.LatestRefusal(ctx, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		a, err := s.NewestArtifact(ctx, name)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if err == nil && a.VerifiedAt.After(r.RefusedAt) {
			continue // a later push was good
		}
		words = append(words, fmt.Sprintf("%s:%s was refused at %s: %s", name, r.Tag, r.RefusedAt.UTC().Format("2006-01-02 15:04 MST"), r.Reason))
	}
	return words, nil
}

// LastLook is a promotion as it was last looked at, from its evidence.
func LastLook(ctx context.Context, s *store.Store, p store.Promotion) (checklist.Pull, error) {
	a, err := s.Artifact(ctx, p.ArtifactID)
	if err != nil {
		return checklist.Pull{}, err
	}
	m := checklist.Pull{App: p.App, Env: p.Env, Image: a.Image, New: image.Ref{Name: a.Image, Tag: a.Tag, Digest: a.Digest}}
	evidence, err := s.LastEvidence(ctx, p.ID, a.Digest, p.SeenHeadSHA)
	if err != nil {
		return m, err
	}
	standing, err := s.Standings(ctx, p.ID)
	if err != nil {
		return m, err
	}
	slices.SortStableFunc(evidence, func(a, b store.Evidence) int { return promotion.Rank(a.Gate) - promotion.Rank(b.Gate) })
	for _, e := range evidence {
		if e.Reason == store.NoLongerAsked {
			continue
		}
		g := checklist.Gate{
			Name: e.Gate, Title: promotion.Title(e.Gate), Verdict: checklist.Verdict(e.Verdict), Reason: e.Reason, Missing: int(e.Missing),
			Owner: e.Owner, Since: standing[e.Gate].Since, NextCheck: moment(e.NextCheck), Every: promotion.Every(e.Gate), URL: e.URL,
		}
		// While the configuration is broken nothing else is looked at.
		if e.Gate == promotion.GateConfig && g.Verdict != checklist.Pass {
			m.Gates = []checklist.Gate{g}
			break
		}
		m.Gates = append(m.Gates, g)
	}
	return m, nil
}
