package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// mostTogether is how many apps one pull request may bring: people have to be able to read
// it, and GitHub takes 65,536 characters.
const mostTogether = 20

// wish is what a set brings for one app.
type wish struct {
	use      use
	artifact store.Artifact
	reason   string
	back     *store.NewRollback // nil: it leads forward
}

// promoteFrom carries out /promote <env> --from <env>: what is healthy there now, and not
// here yet, goes as one. An app that is not healthy there is left out, and told.
func (w *Worker) promoteFrom(ctx context.Context, r request, cmd command.Promote) (string, error) {
	if err := w.knownOrigin(ctx, r, cmd.From); err != nil {
		return "", err
	}
	uses, err := w.usesIn(ctx, r.repo, func(p envrepo.Pair) bool { return p.Env == r.env })
	if err != nil {
		return "", err
	}
	if err := w.knownEnvironment(ctx, r, uses); err != nil {
		return "", err
	}
	built, err := w.builtTogether(ctx, r)
	if err != nil {
		return "", err
	}
	var wishes []wish
	var left []string
	for _, u := range uses {
		if built != nil && !slices.ContainsFunc(built, func(b store.Artifact) bool { return slices.Contains(u.pair.Moves(), b.Image) }) {
			continue
		}
		a, why, err := w.provenIn(ctx, r, u, cmd.From)
		switch {
		case err != nil && fault.KindOf(err).Retryable():
			return "", err
		case err != nil:
			left = append(left, u.pair.App+": "+explain(err))
		case why != "":
			left = append(left, u.pair.App+": "+why)
		case a.ID != 0 && built != nil && !slices.ContainsFunc(built, func(b store.Artifact) bool { return b.ID == a.ID }):
			left = append(left, fmt.Sprintf("%s: %s runs %s, which was not built from this commit.", u.pair.App, cmd.From, a.Tag))
		case a.ID != 0:
			wishes = append(wishes, wish{use: u, artifact: a, reason: fmt.Sprintf("%s asked for what is proven in %s.", r.command.Author, cmd.From)})
		}
	}
	wishes, left = onePerFile("", wishes, left)
	switch {
	case len(wishes) == 0:
		return fmt.Sprintf("%s has nothing healthy that %s does not have already; there is nothing to promote.", checklist.Escape(cmd.From), checklist.Escape(r.env)) + leftOut(left), nil
	case len(wishes) == 1:
		text, err := w.request(ctx, r, wishes[0].use, wishes[0].artifact)
		return strings.TrimSpace(text + leftOut(left)), err
	case len(wishes) > mostTogether:
		return "", fault.Errorf(fault.Invalid, "These are %d apps, and one pull request brings at most %d. Ask for some by themselves first: /promote %s <app>.", len(wishes), mostTogether, r.env)
	}
	done, err := w.proposeSet(ctx, wishes, store.NewSet{
		Origin: cmd.From, Branch: setBranch(r.env, "from-"+cmd.From), Requester: store.Actor{ID: r.command.AuthorID, Login: r.command.Author}, Delivery: deliveryOf(r.command),
	})
	if err != nil {
		return "", err
	}
	return goTogether(r.env, wishes, done) + leftOut(left), nil
}

// onePerFile leaves out who is in a file that another of the wishes is in already: one
// commit edits it once. Whom people named stays, "" where they named nobody.
func onePerFile(named string, wishes []wish, left []string) (kept []wish, all []string) {
	of := map[string]string{} // app by file
	for _, one := range wishes {
		if one.use.pair.App == named {
			of[one.use.pair.File] = named
		}
	}
	for _, one := range wishes {
		app, file := one.use.pair.App, one.use.pair.File
		if other, taken := of[file]; taken && other != app {
			left = append(left, fmt.Sprintf("%s: it is in %s, as %s is, and one commit cannot edit that twice. Ask for it by itself when the other is merged.", app, file, other))
			continue
		}
		of[file] = app
		kept = append(kept, one)
	}
	return kept, left
}

// builtTogether are the artifacts that were built from the merge commit of the pull request
// that the comment is on; nil elsewhere. Only they are meant there.
func (w *Worker) builtTogether(ctx context.Context, r request) ([]store.Artifact, error) {
	if r.carried != nil || r.meant == nil {
		return nil, nil
	}
	return w.Store.ArtifactsBySource(ctx, r.meant.SourceRepo, r.meant.SourceCommit)
}

// knownOrigin refuses what is no environment.
func (w *Worker) knownOrigin(ctx context.Context, r request, from string) error {
	b, err := w.bases.recent(ctx, r.repo, "")
	if err != nil {
		return err
	}
	var names []string
	for _, e := range b.config.Environments {
		if e.Name == from {
			return nil
		}
		names = append(names, e.Name)
	}
	return fault.Errorf(fault.NotFound, "There is no environment %s.%s There are: %s.", from, didYouMean(from, names), strings.Join(names, ", "))
}

// provenIn is what an environment runs, healthy in all its clusters, for another to take;
// why says what keeps it from being taken, and without an artifact there is nothing to.
func (w *Worker) provenIn(ctx context.Context, r request, u use, from string) (a store.Artifact, why string, err error) {
	if u.pair.Err != nil {
		return a, "", u.pair.Err
	}
	targets, err := w.Store.TargetsOfPair(ctx, r.repo.ID, u.pair.App, from)
	if err != nil {
		return a, "", err
	}
	up := upstreamFacts(from, targets, w.Now())
	r.meant = nil // what runs is meant, whatever was built
	name, err := imageOf(r, u)
	if err != nil {
		return a, "", err
	}
	current, err := pinned(u, name)
	switch {
	case err != nil:
		return a, "", err
	case len(targets) == 0:
		return a, fmt.Sprintf("it is not in %s.", from), nil
	case up.Digest == "":
		return a, fmt.Sprintf("nothing is known to run in %s.", from), nil
	case up.Digest == current.Digest:
		return a, "", nil
	case !up.Healthy:
		return a, fmt.Sprintf("%s is not healthy with %s: %s", from, up.Tag, up.Reason), nil
	}
	if a, err = w.runs(ctx, name, up.Tag, up.Digest); err != nil {
		return store.Artifact{}, "", err
	}
	if pins(current, a) {
		return store.Artifact{}, "", nil
	}
	if back, err := w.goesBack(ctx, a, current); err != nil {
		return store.Artifact{}, "", err
	} else if back {
		return store.Artifact{}, explain(tooOld(a.Tag, current.Tag, u)), nil
	}
	if err := w.denied(ctx, u, a); err != nil {
		return store.Artifact{}, "", err
	}
	return a, "", nil
}

// setBranch is the branch of a set. No app can be called so: names begin with a letter or a
// digit.
func setBranch(env, what string) string { return branchPrefix + env + "/_" + what }

// proposeSet proposes several apps' versions as one. What they have in common is in the
// set; its members come of the wishes.
func (w *Worker) proposeSet(ctx context.Context, wishes []wish, set store.NewSet) (store.ProposedSet, error) {
	first := wishes[0].use
	set.Repo, set.Env, set.BaseBranch = first.repo.ID, first.env.Name, first.branch()
	for _, one := range wishes {
		set.Members = append(set.Members, store.NewMember{App: one.use.pair.App, Artifact: one.artifact.ID, Reason: one.reason, Back: one.back})
	}
	return w.Store.ProposeSet(ctx, set, reconcileJob)
}

// goTogether says what goes together, and whose closing that ends.
func goTogether(env string, wishes []wish, done store.ProposedSet) string {
	var all []string
	for _, one := range wishes {
		all = append(all, fmt.Sprintf("%s %s", checklist.Escape(one.use.pair.App), checklist.Code(one.artifact.Tag)))
	}
	if number := done.Promotions[0].PullNumber; !done.Fresh && number > 0 {
		return fmt.Sprintf("%s are on their way to %s together already: #%d.", strings.Join(all, ", "), checklist.Escape(env), number)
	}
	text := fmt.Sprintf("%s go to %s together, in one pull request.", strings.Join(all, ", "), checklist.Escape(env))
	for _, hold := range done.Lifted {
		text += fmt.Sprintf(" %s had closed #%d for %s; it is asked for again now, so that ends.", checklist.Escape(hold.Actor), hold.ClosedPull, checklist.Escape(hold.App))
	}
	return text
}

// leftOut says what does not go along, and why.
func leftOut(left []string) string {
	if len(left) == 0 {
		return ""
	}
	text := "\n\nNot along:\n"
	for _, l := range left {
		text += "\n- " + checklist.Escape(l)
	}
	return text
}

// rollbackTogether proposes to take back all that one commit brought. What has another
// version by now is left as it is, and told. Where people take one app back, which has to
// be possible, another whose way back is lost is told, too. What goes back by itself goes
// back whole: nobody is there to see to the rest.
func (w *Worker) rollbackTogether(ctx context.Context, repo store.Repo, app string, brought []store.Promotion, says store.NewRollback, set store.NewSet) (wishes []wish, left []string, done store.ProposedSet, err error) {
	env := brought[0].Env
	uses, err := w.usesNow(ctx, repo, env, func(p envrepo.Pair) bool { return p.Env == env })
	if err != nil {
		return nil, nil, done, err
	}
	of := map[string]use{}
	for _, u := range uses {
		of[u.pair.App] = u
	}
	for _, p := range brought {
		one, why, err := w.wayBackOf(ctx, of[p.App], p, says)
		if err != nil && (says.Automatic || p.App == app || fault.KindOf(err).Retryable()) {
			return nil, nil, done, err
		}
		if err != nil {
			why = explain(err)
		}
		if why != "" {
			left = append(left, p.App+": "+why)
			continue
		}
		wishes = append(wishes, one)
	}
	kept, left := onePerFile(app, wishes, left)
	if says.Automatic {
		if len(kept) < len(wishes) {
			return nil, left, done, fault.Errorf(fault.Denied, "not all that came with that commit can go back by one: %s", strings.Join(left, " "))
		}
		alsoSay(kept, left)
	}
	wishes = kept
	if len(wishes) == 0 {
		return nil, left, done, fault.Errorf(fault.Denied, "Nothing that came with that commit is there any more.")
	}
	set.Origin, set.Branch = short(brought[0].MergeSHA), setBranch(env, "back-"+short(brought[0].MergeSHA))
	done, err = w.proposeSet(ctx, wishes, set)
	return wishes, left, done, err
}

// alsoSay adds to the reasons of what goes back by itself what stays: there is no comment
// to answer.
func alsoSay(wishes []wish, left []string) {
	if len(left) == 0 {
		return
	}
	for i := range wishes {
		wishes[i].reason += " Not along: " + strings.Join(left, " ")
		wishes[i].back.Reason = wishes[i].reason
	}
}

// wayBackOf is what takes one app of a set back; why says that there is nothing to take
// back.
func (w *Worker) wayBackOf(ctx context.Context, u use, p store.Promotion, says store.NewRollback) (one wish, why string, err error) {
	if u.pair.App == "" {
		return one, "it has no overlay there any more.", nil
	}
	if u.pair.Err != nil {
		return one, "", u.pair.Err
	}
	bad, err := w.Store.Artifact(ctx, p.ArtifactID)
	if err != nil {
		return one, "", err
	}
	current, err := pinned(u, bad.Image)
	if err != nil {
		return one, "", err
	}
	if !pins(current, bad) {
		return one, fmt.Sprintf("it has %s by now, and stays.", cmp.Or(current.Tag, image.ShortDigest(current.Digest))), nil
	}
	back, err := w.wayBack(ctx, u, bad.Image)
	if err != nil {
		return one, "", err
	}
	if says.Automatic && back.further {
		return one, "", fault.Errorf(fault.Denied, "what %s had before %s is denied, or was taken back to. People can go further back: /rollback %s %s <reason>.", p.App, bad.Tag, p.Env, p.App)
	}
	to, err := w.stillThere(ctx, back)
	if err != nil {
		return one, "", err
	}
	taking, err := w.taking(ctx, u, back, says)
	return wish{use: u, artifact: to, reason: says.Reason, back: taking}, "", err
}

// broughtTogether are all that came with what a rollback takes back, where that was a set.
func (w *Worker) broughtTogether(ctx context.Context, back wayBack) ([]store.Promotion, error) {
	if back.brought == 0 {
		return nil, nil
	}
	p, err := w.Store.Promotion(ctx, back.brought)
	if err != nil {
		return nil, err
	}
	together, err := w.Store.Together(ctx, p)
	if len(together) < 2 {
		return nil, err
	}
	return together, err
}

// backTogether says what goes back together.
func backTogether(brought []store.Promotion, wishes []wish, left []string, done store.ProposedSet) string {
	var all []string
	for _, one := range wishes {
		all = append(all, fmt.Sprintf("%s %s", checklist.Escape(one.use.pair.App), checklist.Code(one.artifact.Tag)))
	}
	text := fmt.Sprintf("What #%d brought was merged as one, and goes back as one: %s.", brought[0].PullNumber, strings.Join(all, ", "))
	if len(done.Promotions) > 0 && !done.Fresh && done.Promotions[0].PullNumber > 0 {
		text = fmt.Sprintf("What #%d brought is on its way back already: #%d.", brought[0].PullNumber, done.Promotions[0].PullNumber)
	}
	return text + leftOut(left)
}
