package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store/query"
)

// NewSet is the wish to have several apps' artifacts in an environment as one: in one
// pull request, one commit, and one merge.
type NewSet struct {
	Repo               int64
	Env                string
	Origin             string // what made them one, for people: "staging", or a commit
	Requester          Actor  // nobody when Tagboat proposes by itself
	Branch, BaseBranch string
	Delivery           int64
	Members            []NewMember // one for each app; the first acts for all
}

// NewMember is what a set brings for one app.
type NewMember struct {
	App      string
	Artifact int64
	Reason   string       // for people
	Back     *NewRollback // nil: it leads forward
}

// proposal is what the member would be by itself.
func (in NewSet) proposal(m NewMember) Proposal {
	return Proposal{
		Repo: in.Repo, App: m.App, Env: in.Env, Artifact: m.Artifact, Requester: in.Requester, Reason: m.Reason,
		Branch: in.Branch, BaseBranch: in.BaseBranch, Delivery: in.Delivery, Back: m.Back,
	}
}

// ProposedSet is what came of the proposal of a set.
type ProposedSet struct {
	Promotions []Promotion // the one that acts for all first
	Fresh      bool        // false: this very wish is active already, or what is goes first
	Lifted     []Stop      // the holds that it ended: see Closing
}

// ProposeSet makes promotions the active ones of their (app, environment), all or none,
// which share a branch and a pull request. A set that leads forward takes nobody's place:
// Denied where an app of it is on its way already, by itself or with others. One that
// leads back takes the place of all that leads forward, as in Propose.
func (s *Store) ProposeSet(ctx context.Context, in NewSet, wake func(promotion int64) river.JobArgs) (out ProposedSet, err error) {
	defer wrap(&err, "propose a set of %d apps for %s", len(in.Members), in.Env)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.LockMerge(ctx, query.LockMergeParams{RepoID: in.Repo, Env: in.Env}); err != nil {
			return err
		}
		active, same, err := activeOf(ctx, q, in)
		if err != nil {
			return err
		}
		if same {
			out.Promotions = active
			for i, p := range active {
				if err := s.requested(ctx, tx, q, p, in.proposal(in.Members[i]), wake); err != nil {
					return err
				}
			}
			return nil
		}
		if stays, err := s.makeWay(ctx, tx, q, in, active, wake); stays || err != nil {
			return err
		}
		return s.insertSet(ctx, tx, q, in, &out, wake)
	})
	return out, err
}

// activeOf are the active promotions of a set's apps, and whether they are this very set.
func activeOf(ctx context.Context, q *query.Queries, in NewSet) (active []Promotion, same bool, err error) {
	same = true
	for _, m := range in.Members {
		p, err := q.ActivePromotion(ctx, query.ActivePromotionParams{RepoID: in.Repo, App: m.App, Env: in.Env})
		if errors.Is(err, pgx.ErrNoRows) {
			same = false
			continue
		}
		if err != nil {
			return nil, false, err
		}
		if p.PullNumber > 0 && p.PullState != pullOpen {
			return nil, false, fault.Errorf(fault.Conflict, "pull request #%d of promotion %d is %s", p.PullNumber, p.ID, p.PullState)
		}
		wished, err := sameWish(ctx, q, p, in.proposal(m))
		if err != nil {
			return nil, false, err
		}
		active = append(active, p)
		same = same && wished && p.SetID != nil && *p.SetID == dereference(active[0].SetID)
	}
	if !same {
		return active, false, nil
	}
	members, err := q.SetMembers(ctx, active[0].SetID)
	return active, len(members) == len(active), err
}

// makeWay ends what a set that leads back finds active, or says why a set has to wait.
func (s *Store) makeWay(ctx context.Context, tx pgx.Tx, q *query.Queries, in NewSet, active []Promotion, wake func(promotion int64) river.JobArgs) (stays bool, err error) {
	back := in.Members[0].Back != nil
	var inTheWay []string
	for _, p := range active {
		inTheWay = append(inTheWay, p.App+" is on its way to "+in.Env+inPull(p))
		if !back {
			continue
		}
		if stays, err := yields(p, in.proposal(NewMember{App: p.App, Back: in.Members[0].Back})); stays {
			return true, err
		}
	}
	if back {
		return false, s.breakUp(ctx, tx, q, active, apps(in), in.Env, wake)
	}
	if len(inTheWay) > 0 {
		return true, fault.Errorf(fault.Denied, "%s already. What was proven together goes together: merge or close that first, then ask for the set again.", strings.Join(inTheWay, ", and "))
	}
	other, err := q.SetOnBranch(ctx, query.SetOnBranchParams{RepoID: in.Repo, Branch: in.Branch})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return true, err
	}
	members, err := q.SetMembers(ctx, &other.ID)
	if err != nil {
		return true, err
	}
	return true, fault.Errorf(fault.Denied, "Other apps of %s are on their way to %s together%s. Merge or close that first, then ask for the set again.", in.Origin, in.Env, inPull(members[0]))
}

func apps(in NewSet) string {
	var names []string
	for _, m := range in.Members {
		names = append(names, m.App)
	}
	return strings.Join(names, ", ")
}

func (s *Store) insertSet(ctx context.Context, tx pgx.Tx, q *query.Queries, in NewSet, out *ProposedSet, wake func(promotion int64) river.JobArgs) error {
	set, err := q.InsertSet(ctx, query.InsertSetParams{RepoID: in.Repo, Env: in.Env, Origin: in.Origin, Branch: in.Branch, At: s.now()})
	if err != nil {
		return err
	}
	var leader *int64
	for _, m := range in.Members {
		alone := in.proposal(m)
		hold, err := closedHold(ctx, q, alone)
		if err != nil {
			return err
		}
		p, err := s.insertPromotion(ctx, q, alone, nil)
		if err != nil {
			return err
		}
		if p, err = q.JoinSet(ctx, query.JoinSetParams{ID: p.ID, SetID: &set.ID, LedBy: leader}); err != nil {
			return err
		}
		if leader == nil {
			leader = &p.ID
		}
		out.Promotions = append(out.Promotions, p)
		if hold != nil && m.Back == nil {
			out.Lifted = append(out.Lifted, *hold)
			if err := s.askedAgain(ctx, q, *hold, p, alone); err != nil {
				return err
			}
		}
	}
	out.Fresh = true
	return s.enqueue(ctx, tx, wake(*leader))
}

// staysTogether decides about a proposal that finds its app on its way with others. What
// was proven together is not changed in parts: nothing that leads forward takes one's
// place. Whoever goes back goes first, and breaks the set up.
func staysTogether(active Promotion, in Proposal) (stays bool, err error) {
	if in.Back != nil {
		return yields(active, in)
	}
	if in.Requester.ID == 0 {
		return true, nil
	}
	return true, fault.Errorf(fault.Denied, "%s is on its way to %s%s, together with other apps. What was proven together goes together: merge or close that first, then ask again.",
		in.App, in.Env, inPull(active))
}

// breakUp ends promotions in whose way a rollback is, each with all of its set. Their
// pull requests are closed by whoever looks at them next; where one turns out to be merged,
// by a merge whose answer was lost, that is written down then: see LeftOpen.
func (s *Store) breakUp(ctx context.Context, tx pgx.Tx, q *query.Queries, active []Promotion, app, env string, wake func(promotion int64) river.JobArgs) error {
	why := fmt.Sprintf("A rollback goes first, of %s in %s. Ask again when it is merged.", app, env)
	var ended []Promotion
	// In the order in which everybody locks promotions.
	slices.SortFunc(active, func(a, b Promotion) int { return cmp.Compare(a.ID, b.ID) })
	for _, p := range active {
		members, err := lockTogether(ctx, q, p.ID)
		if err != nil {
			return err
		}
		for _, m := range members {
			rows, err := q.BreakUp(ctx, query.BreakUpParams{ID: m.ID, Message: why, At: s.now()})
			if err != nil {
				return err
			}
			if rows > 0 {
				ended = append(ended, m)
			}
		}
	}
	if err := s.wake(ctx, tx, q, ended, wake); err != nil {
		return err
	}
	for _, m := range ended {
		if err := q.ForgetQueued(ctx, m.ID); err != nil {
			return err
		}
		if err := s.audit(ctx, q, Entry{Action: ActionClosed, Promotion: m.ID, SHA: m.SeenHeadSHA, Inputs: map[string]string{"why": why}}); err != nil {
			return err
		}
	}
	return nil
}

// lockTogether locks a promotion and the others of its set, the one that acts for all first.
func lockTogether(ctx context.Context, q *query.Queries, promotion int64) ([]Promotion, error) {
	members, err := q.LockTogether(ctx, promotion)
	if err == nil && len(members) == 0 {
		err = pgx.ErrNoRows
	}
	return members, err
}

// Together are a promotion and the others of its set; the one that acts for all comes
// first.
func (s *Store) Together(ctx context.Context, p Promotion) (_ []Promotion, err error) {
	defer wrap(&err, "read what goes together with promotion %d", p.ID)
	if p.SetID == nil {
		return []Promotion{p}, nil
	}
	return s.query.SetMembers(ctx, p.SetID)
}

// SetOf is the set that a promotion is of; ErrNotFound for one by itself.
func (s *Store) SetOf(ctx context.Context, promotion int64) (_ PromotionSet, err error) {
	defer wrap(&err, "read the set of promotion %d", promotion)
	return s.query.SetOf(ctx, promotion)
}

// BranchWanted reports whether a promotion that waits to be merged uses a branch.
func (s *Store) BranchWanted(ctx context.Context, repo int64, branch string) (_ bool, err error) {
	defer wrap(&err, "look who uses branch %s", branch)
	return s.query.BranchWanted(ctx, query.BranchWantedParams{RepoID: repo, Branch: branch})
}

// LeftOpen reports whether a rollback went before a promotion, and nobody has read on
// GitHub yet what became of its pull request.
func LeftOpen(p Promotion) bool { return p.State == "closed" && p.PullState == pullOpen }

// freeBranch is a Conflict while the pull request on a branch is one that was left open: it
// is about to be closed, and whoever took it over would lose it, or be taken for merged.
func freeBranch(ctx context.Context, q *query.Queries, repo int64, branch string) error {
	number, err := q.LeftOpen(ctx, query.LeftOpenParams{RepoID: repo, Branch: branch})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.Errorf(fault.Conflict, "pull request #%d on branch %s is being closed, because a rollback went first. Tagboat tries again by itself", number, branch)
}

// RecordPullClosed keeps, once, that a pull request is closed whose promotion had ended
// before.
func (s *Store) RecordPullClosed(ctx context.Context, p Promotion) (err error) {
	defer wrap(&err, "keep that pull request #%d is closed", p.PullNumber)
	together, err := s.Together(ctx, p)
	if err != nil {
		return err
	}
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		fresh := false
		for _, m := range together {
			rows, err := q.SetPullClosed(ctx, m.ID)
			if err != nil {
				return err
			}
			fresh = fresh || rows > 0
		}
		if !fresh {
			return nil
		}
		return s.audit(ctx, q, Entry{Action: ActionPullClosed, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: map[string]any{"pull": p.PullNumber}})
	})
}
