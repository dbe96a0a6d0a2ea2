package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// look is one look at a promotion: everything that deciding and showing needs.
type look struct {
	w        *Worker
	at       time.Time // of the look
	repo     store.Repo
	door     *github.Repo
	row      store.Promotion
	artifact store.Artifact
	base     *base
	pair     envrepo.Pair
	env      envrepo.Environment
	edit     overlay.Edit
	edits    []overlay.Edit // of the commit that carries it: those of its set, too
	template string         // of the pull request's body; "" is the default
	targets  []store.Target

	deployments []store.Deployment // once it is merged
	model       checklist.Pull     // without gates
	facts       promotion.Facts
	standing    map[string]store.Standing // since when the gates say what they say
	contents    map[string]string         // cluster -> hash of what is rendered for it
	still       bool                      // nothing is rendered otherwise than without the commit
	reached     []string                  // of the environment's clusters, those that some Tagboat reaches
	required    []github.RequiredCheck
	approval    approval.Result
	dismiss     []dismissal // reviews that are to be dismissed on GitHub
	// requesters are the numbers of everybody who asked for it, where approvals are
	// asked for.
	requesters []int64
	companions []*look // at the others of its set, while it waits to be merged
	queued     store.QueueEntry
	rollback   store.Rollback   // of one that goes back
	pull       github.Pull      // as it was read again, under the lock of merges
	overridden []checklist.Gate // of a merged promotion
	mergedBy   github.User      // who merged the pull request, where that was found out
	// again is when to look again because something that is shown could not be found
	// out; zero where everything was.
	again time.Time
}

// ref is the artifact that is promoted.
func (l *look) ref() image.Ref {
	return image.Ref{Name: l.artifact.Image, Tag: l.artifact.Tag, Digest: l.artifact.Digest}
}

// look gathers the facts about a promotion. A fresh look reads the base branch
// and asks about people now; any other may be a few moments behind, which is
// enough to show things, and to find out that there may be something to do.
//
// What another promotion of its set acts for is only looked at to be shown.
func (w *Worker) look(ctx context.Context, id int64, fresh bool) (_ *look, err error) {
	defer fault.Wrap(&err, "look at promotion %d", id)
	l, err := w.begin(ctx, id)
	if err != nil {
		return nil, err
	}
	switch {
	case l.facts.State == promotion.Merged:
		return l, l.afterMerge(ctx)
	case !l.facts.State.Active() || l.facts.Led && !fresh:
		return l, nil
	}
	if err := l.beforeMerge(ctx, fresh); err != nil {
		return nil, err
	}
	return l, l.withCompanions(ctx, fresh)
}

// begin reads what is written down of a promotion.
func (w *Worker) begin(ctx context.Context, id int64) (l *look, err error) {
	l = &look{w: w, at: w.Now()}
	if l.row, err = w.Store.Promotion(ctx, id); err != nil {
		return nil, err
	}
	if l.artifact, err = w.Store.Artifact(ctx, l.row.ArtifactID); err != nil {
		return nil, err
	}
	if l.repo, err = w.Store.Repo(ctx, l.row.RepoID); err != nil {
		return nil, err
	}
	l.door = w.repo(l.repo)
	l.facts = promotion.Facts{
		App: l.row.App, Env: l.row.Env, State: promotion.State(l.row.State), Artifact: l.ref(),
		Requester: promotion.Person{ID: l.row.RequesterID, Login: l.row.Requester},
		Pull:      pullFacts(l.row),
		Digest:    digestFacts(l.row),
		Published: promotion.Published{CheckHash: l.row.CheckHash, CheckSHA: l.row.CheckSHA, BodyHash: l.row.BodyHash},
		Reported: promotion.Reported{
			BranchDeleted: l.row.BranchDeleted, CommitStatus: promotion.CommitStatus(l.row.CommitStatus),
			CommentHash: l.row.CommentHash, Closing: l.row.CommentID != 0,
		},
		ClosedBy: l.row.ClosedBy, Led: l.row.LedBy != nil,
	}
	if l.targets, err = w.Store.TargetsOfPair(ctx, l.repo.ID, l.row.App, l.row.Env); err != nil {
		return nil, err
	}
	l.model = l.plainModel()
	if err := l.back(ctx); err != nil {
		return nil, err
	}
	if p := l.facts.Pull; p != nil && p.HeadSHA != p.OurHeadSHA {
		if p.HeadOurs, err = w.Store.KnownHead(ctx, p.HeadSHA); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func pullFacts(p store.Promotion) *promotion.Pull {
	if p.PullNumber == 0 {
		return nil
	}
	return &promotion.Pull{
		Number: int(p.PullNumber), HeadSHA: p.SeenHeadSHA, OurHeadSHA: p.HeadSHA, EditHash: p.EditHash,
		Labelled: p.Labelled, Closed: p.PullState == "closed", Merged: p.PullState == "merged", MergeSHA: p.MergeSHA, Behind: p.Behind,
	}
}

func digestFacts(p store.Promotion) promotion.Digest {
	return promotion.Digest{Now: p.RegistryDigest, Err: p.RegistryError, ObservedAt: moment(p.RegistryAt)}
}

// beforeMerge gathers what the gates need.
func (l *look) beforeMerge(ctx context.Context, fresh bool) (err error) {
	if l.standing, err = l.w.Store.Standings(ctx, l.row.ID); err != nil {
		return err
	}
	if err := errors.Join(l.queue(ctx), l.rule(ctx, fresh)); err != nil {
		return err
	}
	if l.facts.RuleErr != "" {
		return nil
	}
	return errors.Join(l.signatures(ctx), l.checks(ctx), l.reviews(ctx, fresh), l.ownChecklist(ctx, fresh), l.upstream(ctx), l.renderedAlone(ctx), l.stops(ctx), l.voices(ctx, fresh), l.requests(ctx), l.between(ctx), l.carries(ctx))
}

// rule reads tagboat.yaml and plans the edit on the base branch. What is looked at along
// with another has its base: the branch may move between two looks.
func (l *look) rule(ctx context.Context, fresh bool) (err error) {
	read := l.w.bases.recent
	if fresh {
		read = l.w.bases.fresh
	}
	if l.base == nil {
		l.base, err = read(ctx, l.repo, l.row.BaseBranch)
	}
	if err == nil {
		l.pair, l.env, err = l.base.pair(l.row.App, l.row.Env)
	}
	if err != nil {
		return lasting(err, &l.facts.RuleErr)
	}
	if l.facts.Back != nil {
		l.env = l.env.ForRollback(envrepo.WayBack{Automatic: l.rollback.Automatic, Further: l.rollback.Further})
	}
	l.facts.Rule = RuleOf(l.env)
	return l.plan(ctx)
}

// RuleOf is what an environment asks for.
func RuleOf(env envrepo.Environment) promotion.Rule {
	rule := promotion.Rule{Signatures: demands(env), Approvals: env.Approvals.Asked(), Auto: env.Merge != envrepo.MergeManual, Schedule: env.Schedule()}
	if o := env.Override; o != nil {
		rule.Override = promotion.Override{Gates: o.Gates, For: o.Expires, Who: overriders(o)}
	}
	for _, n := range env.Needs {
		rule.Needs = append(rule.Needs, promotion.Need{Env: n.Env, Healthy: n.Healthy})
	}
	return rule
}

// plan is what the newest base needs changed.
func (l *look) plan(ctx context.Context) error {
	data, err := l.base.tree.ReadFile(l.pair.File)
	if err == nil {
		l.edit, err = planEdit(l.pair, l.env, data, l.ref())
	}
	if err != nil {
		return lasting(err, &l.facts.Plan.Err)
	}
	l.edits = []overlay.Edit{l.edit}
	l.facts.Plan = promotion.Plan{Nothing: !l.edit.Changed(), Current: l.edit.Old, Hash: l.edit.Hash()}
	l.facts.Plan.Back, err = l.w.goesBack(ctx, l.artifact, l.edit.Old)
	return err
}

// planEdit is the edit that makes a pair run a version, with the remote bases that
// follow it where the environment says so.
func planEdit(pair envrepo.Pair, env envrepo.Environment, data []byte, ref image.Ref) (overlay.Edit, error) {
	pin := overlay.Pin(env.Pin)
	edit, err := overlay.SetImage(pair.File, data, ref, overlay.WithPin(pin))
	if err != nil || !env.Refs || !edit.Changed() {
		return edit, err
	}
	edits, err := overlay.Bump(map[string][]byte{pair.File: data}, []overlay.Change{{Name: ref.Name, Version: ref.Tag, Digest: ref.Digest}},
		overlay.BumpOptions{Pin: pin, Refs: true})
	if err == nil {
		edit.After = edits[0].After
	}
	return edit, err
}

// lasting puts an error that only a person can mend into words for the gates,
// and returns any other.
func lasting(err error, words *string) error {
	if errors.Is(err, fs.ErrNotExist) {
		err = fault.E(fault.NotFound, "", err)
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Denied, fault.Conflict:
		*words = explain(err)
		return nil
	}
	return err
}

// checks reads what is required and what was reported for the head.
func (l *look) checks(ctx context.Context) error {
	protected, err := l.w.rules.of(ctx, l.repo, l.row.BaseBranch)
	switch {
	case err == nil:
		l.facts.ChecksKnown = true
	case fault.KindOf(err).Retryable():
		return err
	default:
		return nil // not known: the gate waits, and says so
	}
	l.facts.Queue.Used = protected.Queue
	l.facts.Queue.Ahead = l.queued.GroupSHA != "" && l.queued.GroupBase != l.base.commit
	l.required = slices.Clone(protected.Checks)
	for _, name := range l.env.Checks {
		if !slices.ContainsFunc(protected.Checks, func(c github.RequiredCheck) bool { return c.Name == name }) {
			l.required = append(l.required, github.RequiredCheck{Name: name})
		}
	}
	results, err := l.w.Store.Checks(ctx, l.repo.ID, l.row.SeenHeadSHA)
	if err != nil {
		return err
	}
	for _, want := range l.required {
		l.facts.Required = append(l.facts.Required, want.Name)
		if c, ok := result(results, want); ok {
			l.facts.Checks = append(l.facts.Checks, c)
		}
	}
	slices.Sort(l.facts.Required)
	return nil
}

// result is what a required check comes to. Where it is not pinned to an App, any
// App and anybody with write permission may report under its name: then the worst
// of them counts, so that nobody can paint over a failure.
func result(results []store.CheckResult, want github.RequiredCheck) (promotion.Check, bool) {
	c := promotion.Check{Name: want.Name, State: promotion.CheckPassed}
	found := false
	for _, r := range results {
		if r.Name != want.Name || want.AppID > 0 && r.AppID != want.AppID {
			continue
		}
		if state := checkState(r); !found || worse(state, c.State) {
			c.State, c.Conclusion, c.URL, c.At = state, r.Conclusion, r.URL, r.ObservedAt
		}
		found = true
	}
	return c, found
}

func worse(a, b promotion.CheckState) bool {
	rank := map[promotion.CheckState]int{promotion.CheckPassed: 0, promotion.CheckPending: 1, promotion.CheckFailed: 2}
	return rank[a] > rank[b]
}

// checkState: only “success” proves anything. A check that was skipped, or that
// calls itself neutral, has not looked at this commit.
func checkState(r store.CheckResult) promotion.CheckState {
	switch {
	case r.Status != "completed":
		return promotion.CheckPending
	case r.Conclusion == "success":
		return promotion.CheckPassed
	}
	return promotion.CheckFailed
}

// ownChecklist reads the checklist of a promotion by itself; a set has one for all.
func (l *look) ownChecklist(ctx context.Context, fresh bool) error {
	if l.row.SetID != nil {
		return nil
	}
	return l.checklist(ctx, fresh)
}

// checklist reads the template of the environment and who ticked what.
func (l *look) checklist(ctx context.Context, fresh bool) error {
	if l.template = checklist.RollbackTemplate; l.facts.Back == nil {
		data, err := l.base.tree.ReadFile(checklist.TemplateFile(l.row.Env))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.template = string(data)
	}
	items, err := checklist.HumanItems(l.template, l.model)
	if err != nil {
		l.facts.RuleErr = explain(err)
		return nil
	}
	ticks, err := l.w.Store.Ticks(ctx, l.row.ID)
	if err != nil {
		return err
	}
	l.countTicks(ctx, items, ticks, fresh)
	return nil
}

// upstream reads what the needed environments run.
func (l *look) upstream(ctx context.Context) (err error) {
	l.facts.Upstream, err = l.w.upstreams(ctx, l.repo, l.row.App, l.env)
	for i, up := range l.facts.Upstream {
		l.model.Upstream = append(l.model.Upstream, checklist.Upstream{
			Env: up.Env, Tag: up.Tag, Digest: up.Digest, Wanted: up.Digest == l.artifact.Digest,
			Healthy: up.Healthy, Since: up.HealthySince, Soak: l.env.Needs[i].Healthy, Reason: up.Reason,
		})
	}
	return err
}

func (w *Worker) upstreams(ctx context.Context, repo store.Repo, app string, env envrepo.Environment) (all []promotion.Upstream, err error) {
	for _, need := range env.Needs {
		targets, err := w.Store.TargetsOfPair(ctx, repo.ID, app, need.Env)
		if err != nil {
			return nil, err
		}
		all = append(all, upstreamFacts(need.Env, targets, w.Now()))
	}
	return all, nil
}

func upstreamFacts(env string, targets []store.Target, now time.Time) promotion.Upstream {
	up := promotion.Upstream{Env: env}
	if len(targets) == 0 {
		return up
	}
	up.Digest, up.Tag = targets[0].Digest, targets[0].Tag
	if since, ok := store.HealthySince(targets, now); ok {
		up.Healthy, up.HealthySince = true, since
		return up
	}
	var reasons []string
	for _, t := range targets {
		if t.State == store.TargetUnknown && t.Message == "" {
			reasons = append(reasons, "nothing is known of "+t.Cluster+" yet")
		} else if t.State != store.TargetHealthy {
			is := "is " + t.State
			if t.State == store.TargetFailed {
				is = "has failed"
			}
			reasons = append(reasons, fmt.Sprintf("%s %s (%s)", t.Cluster, is, strings.TrimSuffix(t.Message, ".")))
		} else if !store.Seen(t, now) {
			reasons = append(reasons, t.Cluster+" has not been looked at for a while; it is looked at next")
		} else if t.Held != "" {
			reasons = append(reasons, strings.TrimSuffix(t.Held, "."))
		} else if t.Digest != up.Digest {
			reasons = append(reasons, fmt.Sprintf("%s runs %s", t.Cluster, t.Tag))
		}
	}
	up.Reason = strings.Join(reasons, "; ")
	return up
}

// afterMerge gathers what became of a merged promotion.
func (l *look) afterMerge(ctx context.Context) (err error) {
	for _, t := range l.targets {
		// A cluster that could not be brought to this digest is tried again and
		// again; people are told at once.
		tried := t.Got == t.Want || t.Digest == l.artifact.Digest
		l.facts.Targets = append(l.facts.Targets, promotion.Target{
			Cluster: t.Cluster, Digest: t.Digest,
			Settled: tried && (t.State == store.TargetHealthy || t.State == store.TargetFailed || t.State == store.TargetUnreachable),
			Healthy: t.State == store.TargetHealthy, Ill: t.Ill, Measuring: t.State == store.TargetWaiting,
			Held: t.Held != "", Until: moment(t.HeldUntil), Unserved: unserved(t),
		})
	}
	if l.deployments, err = l.w.Store.Deployments(ctx, l.row.ID); err != nil {
		return err
	}
	l.facts.Reported.Deployments = map[string]promotion.Outcome{}
	for _, d := range l.deployments {
		l.facts.Reported.Deployments[d.Cluster] = promotion.Outcome(d.State)
	}
	if err := l.takesBack(ctx); err != nil {
		return err
	}
	if l.facts.Overtaken, err = l.w.Store.Overtaken(ctx, l.row); err != nil {
		return err
	}
	// What was observed last of the merged head is what it was merged on.
	seen, err := LastLook(ctx, l.w.Store, l.row)
	for _, g := range seen.Gates {
		if g.Verdict == checklist.Overridden {
			l.overridden = append(l.overridden, g)
		}
	}
	return err
}

// plainModel is what people are shown, but for the gates.
func (l *look) plainModel() checklist.Pull {
	return checklist.Pull{
		App: l.row.App, Env: l.row.Env, Image: l.artifact.Image,
		Old:        image.Ref{Name: l.artifact.Image, Tag: l.row.OldTag, Digest: l.row.OldDigest},
		New:        l.ref(),
		SourceRepo: l.artifact.SourceRepo, SourceCommit: l.artifact.SourceCommit, RunURL: l.artifact.RunURL,
		RequestedBy: l.row.Requester, Reason: l.row.Reason, Diff: l.row.Diff,
		Platforms: l.artifact.Platforms, MediaType: l.artifact.MediaType,
	}
}

// withGates is what the pull request shows, for all that it carries.
func (l *look) withGates(gates []promotion.Gate) checklist.Pull {
	m := l.model
	m.Gates = l.allGates(gates)
	return m
}

// GateOf is a gate as people read it.
func GateOf(g promotion.Gate, since time.Time) checklist.Gate {
	return checklist.Gate{
		Name: g.Name, Title: g.Title, Verdict: checklist.Verdict(g.Verdict), Reason: g.Reason, Missing: g.Missing,
		Owner: g.Owner, Since: since, NextCheck: g.NextCheck, Every: promotion.Every(g.Name), URL: g.URL,
	}
}

// since is since when a gate says what it says. One that says something new does so
// since this look, which is the time that its evidence will have.
func (l *look) since(g promotion.Gate) time.Time {
	if s, ok := l.standing[g.Name]; ok && s.Verdict == string(g.Verdict) {
		return s.Since
	}
	return l.at
}

// shown is what people would read now, as hashes.
func (l *look) shown(gates []promotion.Gate) promotion.Shown {
	if l.facts.State == promotion.Merged {
		return promotion.Shown{CommentHash: hash(checklist.RenderSticky(l.status()))}
	}
	check := checklist.RenderCheck(l.withGates(gates), checklist.StateOpen)
	if l.facts.RuleErr != "" {
		// The template could not be read: the body stays as it is, with its checklist.
		return promotion.Shown{CheckHash: checkHash(check), BodyHash: l.row.BodyHash}
	}
	body, err := checklist.RenderBody(l.template, l.withGates(gates))
	if err != nil {
		body = "" // checklist() has found this out, and the gates say so
	}
	return promotion.Shown{
		CheckHash: checkHash(check),
		BodyHash:  hash(checklist.Title(l.model), body),
	}
}

// checkHash is what is remembered of a published check run: what is shown now has
// to be compared with exactly that.
func checkHash(c checklist.Check) string {
	return hash(c.Title, c.Summary, c.Text, c.Conclusion, annotationsHash(c))
}

// code is a hash that people can write.
func code(parts []string) string { return hash(parts...)[:12] }

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
