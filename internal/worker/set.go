package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// withCompanions looks at the others of a promotion's set, and makes one of what they share:
// the commit, the description with its checklist, and what keeps any of them.
func (l *look) withCompanions(ctx context.Context, fresh bool) error {
	if l.row.SetID == nil {
		return nil
	}
	set, err := l.w.Store.SetOf(ctx, l.row.ID)
	if err != nil {
		return err
	}
	members, err := l.w.Store.Together(ctx, l.row)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.ID == l.row.ID {
			continue
		}
		c, err := l.w.begin(ctx, m.ID)
		if err == nil && c.facts.State.Active() {
			c.base = l.base
			err = c.beforeMerge(ctx, fresh)
		}
		if err != nil {
			return err
		}
		l.companions = append(l.companions, c)
	}
	all := l.together()
	shareCommit(all)
	for _, m := range all {
		if err := m.renderedInSet(ctx); err != nil {
			return err
		}
	}
	if err := shareDescription(ctx, all, set.Origin, fresh); err != nil {
		return err
	}
	var alone []promotion.Facts
	for _, m := range all {
		l.again = earlier(l.again, m.again)
		alone = append(alone, m.facts)
	}
	for i, m := range all {
		m.facts.Companions = slices.Delete(slices.Clone(alone), i, i+1)
	}
	return nil
}

// lookAtOne is a look at a promotion as it is carried: one that another acts for is looked
// at along with that one.
func (w *Worker) lookAtOne(ctx context.Context, id int64, final bool) (*look, error) {
	l, err := w.look(ctx, id, final)
	if err != nil || l.row.LedBy == nil || !l.facts.State.Active() {
		return l, err
	}
	leader, err := w.look(ctx, *l.row.LedBy, final)
	if err != nil {
		return nil, err
	}
	for _, m := range leader.companions {
		if m.row.ID == id {
			return m, nil
		}
	}
	return l, nil // the other has ended meanwhile
}

// together are the looks at all that a pull request carries; the one that acts for all
// comes first.
func (l *look) together() []*look {
	all := append([]*look{l}, l.companions...)
	slices.SortFunc(all, func(a, b *look) int { return int(a.row.ID - b.row.ID) })
	return all
}

// of is the look at one app of the set.
func (l *look) of(app string) *look {
	for _, m := range l.together() {
		if m.row.App == app {
			return m
		}
	}
	return l
}

// apps are the names of all that the pull request carries.
func (l *look) apps() (names []string) {
	for _, m := range l.together() {
		names = append(names, m.row.App)
	}
	return names
}

// shareCommit makes one edit of all: they are made by one commit.
func shareCommit(all []*look) {
	files := map[string]string{} // app by file
	var edits []overlay.Edit
	for _, m := range all {
		if other, taken := files[m.pair.File]; taken && m.pair.File != "" && m.facts.Plan.Err == "" {
			m.facts.Plan.Err = fmt.Sprintf("%s and %s are both in %s, and one commit cannot edit it twice. Ask for each by itself.", other, m.row.App, m.pair.File)
		}
		files[m.pair.File] = m.row.App
		if m.facts.RuleErr == "" && m.facts.Plan.Err == "" && m.edit.Changed() {
			edits = append(edits, m.edit)
		}
	}
	hash := editHash(all)
	for _, m := range all {
		m.facts.Plan.Hash, m.edits = hash, edits
	}
}

// renderedInSet is what the commit of all does to one of them. What the base has already
// stays in the set, and changes nothing, unless its overlay takes in what another's edit
// changes.
func (l *look) renderedInSet(ctx context.Context) error {
	if !l.facts.State.Active() || l.facts.RuleErr != "" {
		return nil
	}
	if err := l.rendered(ctx); err != nil {
		return err
	}
	if l.facts.Plan.Nothing && l.still {
		l.facts.Rendered = promotion.Rendered{Known: true, Summary: "The base branch has this version already; nothing changes in the clusters."}
		return nil
	}
	return l.trials(ctx)
}

// editHash names the edits of one commit; "" where one of them is not known.
func editHash(all []*look) string {
	if len(all) == 1 {
		return all[0].edit.Hash()
	}
	h := sha256.New()
	for _, m := range all {
		if m.facts.RuleErr != "" || m.facts.Plan.Err != "" {
			return ""
		}
		_, _ = io.WriteString(h, m.edit.Hash()+"\n") // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shareDescription has one description for all, and one checklist in it: what people tick
// there, they tick for all.
func shareDescription(ctx context.Context, all []*look, origin string, fresh bool) error {
	leader := all[0]
	set := &checklist.Set{Origin: origin}
	for _, m := range all {
		set.Members = append(set.Members, m.model)
	}
	leader.model.Set = set
	for _, m := range all[1:] {
		for _, sha := range m.model.Undone.Commits {
			if !slices.Contains(leader.model.Undone.Commits, sha) {
				leader.model.Undone.Commits = append(slices.Clip(leader.model.Undone.Commits), sha)
			}
		}
	}
	if !leader.facts.State.Active() || leader.facts.RuleErr != "" {
		return nil
	}
	if err := leader.checklist(ctx, fresh); err != nil {
		return err
	}
	for _, m := range all[1:] {
		m.facts.Checklist, m.facts.Rule.Tickers = leader.facts.Checklist, leader.facts.Rule.Tickers
	}
	return nil
}

// gatesOf are the gates of one promotion as people read them.
func (l *look) gatesOf(gates []promotion.Gate) (shown []checklist.Gate) {
	for _, g := range gates {
		shown = append(shown, GateOf(g, l.since(g)))
	}
	return shown
}

// allGates are the gates of all that the pull request carries, as people read them there;
// own are those of the one that acts for all.
func (l *look) allGates(own []promotion.Gate) []checklist.Gate {
	if len(l.companions) == 0 {
		return l.gatesOf(own)
	}
	var members []checklist.Member
	for _, m := range l.together() {
		gates := own
		if m != l {
			gates = promotion.Evaluate(m.facts, l.at)
		}
		// Whom it waits for is told by their own gates.
		gates = slices.DeleteFunc(slices.Clone(gates), func(g promotion.Gate) bool { return g.Name == promotion.GateSet })
		members = append(members, checklist.Member{App: m.row.App, Gates: m.gatesOf(gates)})
	}
	return checklist.Together(members)
}

// observeCompanions keeps what the companions' gates say, as observe does; own are those of
// the one that acts for all, which has none any more when the pull request has ended.
func (w *Worker) observeCompanions(ctx context.Context, l *look, own []promotion.Gate) error {
	for _, c := range l.companions {
		if err := w.observe(ctx, c, l.gatesFor(c, own, w.Now())); err != nil {
			return err
		}
	}
	return nil
}

// files are what a commit has to make of the base.
func (l *look) files() (files []github.File, err error) {
	for _, m := range l.together() {
		if len(l.companions) > 0 && !m.edit.Changed() {
			continue
		}
		mode, err := m.base.tree.Mode(m.pair.File)
		if err != nil {
			return nil, err
		}
		files = append(files, github.File{Path: m.pair.File, Mode: mode, Content: m.edit.After})
	}
	return files, nil
}

// carried are the others of the set, each with the commit as its own.
func (l *look) carried(c store.Commit) (others []store.Carried) {
	for _, m := range l.together() {
		if m != l {
			others = append(others, store.Carried{Promotion: m.row, Commit: m.commitOf(c.HeadSHA, c.BaseSHA, c.EditHash)})
		}
	}
	return others
}

// keepHead remembers a commit of ours for all that it is for.
func (w *Worker) keepHead(ctx context.Context, l *look, c store.Commit) error {
	for _, other := range l.carried(c) {
		if err := w.Store.KeepHead(ctx, other.Promotion.ID, other.Commit); err != nil {
			return err
		}
	}
	return w.Store.KeepHead(ctx, l.row.ID, c)
}

// inSet is what the log says of a promotion that was merged with others; nil of one that
// was not.
func (l *look) inSet() *store.InSet {
	if l.row.SetID == nil || len(l.companions) == 0 {
		return nil
	}
	return &store.InSet{ID: *l.row.SetID, Origin: l.origin(), Apps: l.apps()}
}

// origin is what made the set one, for people.
func (l *look) origin() string {
	for _, m := range l.together() {
		if m.model.Set != nil {
			return m.model.Set.Origin
		}
	}
	return ""
}
