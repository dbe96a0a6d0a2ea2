package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

// memberFor is how long what GitHub said about a person may be used to show a
// verdict. Before a merge it is always asked anew.
const memberFor = 5 * time.Minute

// people knows what reviewers may do.
type people struct {
	w     *Worker
	mu    sync.Mutex
	known map[personKey]knownPerson
}

type personKey struct {
	repo   int64
	person int64
	teams  string
}

type knownPerson struct {
	person approval.Person
	at     time.Time
}

func newPeople(w *Worker) *people { return &people{w: w, known: map[personKey]knownPerson{}} }

// of asks about every reviewer, and which of the teams they are in. One whom GitHub cannot be asked about comes back
// unknown, and so does not count.
func (p *people) of(ctx context.Context, repo store.Repo, teams []string, reviews []store.Review, fresh bool) map[int64]approval.Person {
	out := map[int64]approval.Person{}
	for _, r := range reviews {
		if _, done := out[r.ReviewerID]; done || r.State == string(approval.Commented) {
			continue
		}
		out[r.ReviewerID] = p.one(ctx, repo, teams, r, fresh)
	}
	return out
}

func (p *people) one(ctx context.Context, repo store.Repo, teams []string, r store.Review, fresh bool) approval.Person {
	key := personKey{repo: repo.ID, person: r.ReviewerID}
	for _, t := range teams {
		key.teams += t + " "
	}
	p.mu.Lock()
	known, ok := p.known[key]
	p.mu.Unlock()
	if ok && !fresh && p.w.Now().Sub(known.at) < memberFor {
		return known.person
	}
	now := p.w.Now()
	person, err := ask(ctx, p.w.repo(repo), repo.Owner, teams, r)
	if err != nil {
		p.w.Log.WarnContext(ctx, "GitHub could not be asked about a reviewer", "reviewer", r.Reviewer, "error", err)
		// What was known before must not contradict this at the next look.
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.known, key)
		return approval.Person{Login: r.Reviewer}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) > 10_000 {
		clear(p.known)
	}
	person.Asked = now
	p.known[key] = knownPerson{person, now}
	return person
}

func ask(ctx context.Context, repo *github.Repo, org string, teams []string, r store.Review) (approval.Person, error) {
	person := approval.Person{Login: r.Reviewer, Bot: r.Bot, Known: true}
	if r.Bot {
		return person, nil
	}
	role, err := repo.PermissionOf(ctx, github.User{ID: r.ReviewerID, Login: r.Reviewer})
	if err != nil {
		return person, err
	}
	person.Write = writer(role)
	for _, team := range teams {
		member, err := repo.TeamMember(ctx, org, team, r.Reviewer)
		if err != nil {
			return person, err
		}
		if member {
			person.Teams = append(person.Teams, team)
		}
	}
	return person, nil
}

// rulesFor is how long a branch's required checks are remembered. Before a merge
// they are not asked again: GitHub itself refuses a merge that lacks them.
const rulesFor = 10 * time.Minute

// protections knows what branches demand.
type protections struct {
	w     *Worker
	mu    sync.Mutex
	known map[branchKey]branchRules
}

type branchRules struct {
	github.BranchRules
	at time.Time
}

func newProtections(w *Worker) *protections {
	return &protections{w: w, known: map[branchKey]branchRules{}}
}

// of are the rules of a branch, its required checks without our own.
func (r *protections) of(ctx context.Context, repo store.Repo, branch string) (github.BranchRules, error) {
	key := branchKey{repo.ID, branch}
	r.mu.Lock()
	known, ok := r.known[key]
	r.mu.Unlock()
	if ok && r.w.Now().Sub(known.at) < rulesFor {
		return known.BranchRules, nil
	}
	rules, err := r.w.repo(repo).Rules(ctx, branch)
	if err != nil {
		return rules, err
	}
	rules.Checks = slices.DeleteFunc(rules.Checks, func(c github.RequiredCheck) bool { return c.Name == CheckName })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key] = branchRules{rules, r.w.Now()}
	return rules, nil
}
