package approval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rule is what an environment asks for. Where neither teams nor users are named,
// everyone with write permission may approve.
type Rule struct {
	Count int
	Teams []string // slugs of the organisation's teams
	Users []string // logins
}

// Asked reports whether the rule asks for anything.
func (r Rule) Asked() bool { return r.Count > 0 }

// Snapshot is what is known about the reviews of one pull request.
type Snapshot struct {
	Digest   string // what would be deployed
	HeadSHA  string // what would be merged
	EditHash string // the managed edit in HeadSHA
	// Requesters are everybody who asked for the promotion. (Who pushed the head
	// commit need not be known: a head that is not Tagboat's never merges.)
	Requesters []int64
	Reviews    []Review
	People     map[int64]Person // what is known about each reviewer
}

// Person is what GitHub says about a reviewer now.
type Person struct {
	Login string
	Bot   bool
	Write bool     // has write permission on the env repo
	Teams []string // those of the rule's teams that the person is an active member of
	Known bool     // false when GitHub could not be asked: then the person does not count
}

// State is a review's decision, in GitHub's words.
type State string

const (
	Approved         State = "APPROVED"
	ChangesRequested State = "CHANGES_REQUESTED"
	Commented        State = "COMMENTED"
	Dismissed        State = "DISMISSED"
)

// Review is one submitted review as it was recorded when it arrived.
type Review struct {
	ID       int64
	Reviewer int64
	Login    string
	State    State
	HeadSHA  string // the head that the person saw
	EditHash string // the managed edit in that head; "" when the head was not ours
	Digest   string // the digest that the person saw
	At       time.Time
}

// Result is the verdict.
type Result struct {
	Satisfied bool
	Blocked   bool       // somebody who counts asked for changes
	Counted   []string   // logins
	Approvals []Review   // those that count
	Excluded  []Excluded // reviewers whose approval does not count, and why
	Missing   int        // how many more approvals are needed
	Reason    string     // one paragraph for people
	Owner     string     // who can act
}

// Excluded is one review that does not count.
type Excluded struct {
	Login, Why string
	State      State // what the review says
}

// Evaluate applies rule to snap.
func Evaluate(rule Rule, snap Snapshot) Result {
	var r Result
	var blockers []string
	for _, review := range latestDecisive(snap.Reviews) {
		why := exclusion(rule, snap, review)
		switch {
		case review.State == ChangesRequested && blocks(rule, snap, review):
			blockers = append(blockers, review.Login)
		case review.State == ChangesRequested:
			r.Excluded = append(r.Excluded, Excluded{review.Login, "asked for changes, but may not decide here", review.State})
		case why != "":
			r.Excluded = append(r.Excluded, Excluded{review.Login, why, review.State})
		default:
			r.Counted = append(r.Counted, review.Login)
			r.Approvals = append(r.Approvals, review)
		}
	}
	r.Blocked = len(blockers) > 0
	r.Missing = max(0, rule.Count-len(r.Counted))
	r.Satisfied = r.Missing == 0 && !r.Blocked
	r.Owner = owner(rule)
	if r.Blocked {
		r.Owner = strings.Join(blockers, ", ")
	}
	r.Reason = reason(rule, r, blockers)
	return r
}

// latestDecisive keeps each person's last approval or change request, oldest
// first. A comment does not change what somebody decided before. When the last
// one was dismissed, the person has no say; when an earlier one was, the last
// stands.
func latestDecisive(reviews []Review) []Review {
	last, dismissed := map[int64]Review{}, map[int64]bool{}
	for _, r := range reviews {
		switch r.State {
		case Dismissed:
			dismissed[r.ID] = true
		case Approved, ChangesRequested:
			if old, ok := last[r.Reviewer]; !ok || compare(old, r) < 0 {
				last[r.Reviewer] = r
			}
		}
	}
	var out []Review
	for _, r := range last {
		if !dismissed[r.ID] {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, compare)
	return out
}

// compare orders reviews by when they were submitted.
func compare(a, b Review) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) }

// exclusion says why an approval does not count, or "" when it does.
func exclusion(rule Rule, snap Snapshot, review Review) string {
	person := snap.People[review.Reviewer]
	switch {
	case !person.Known:
		return "GitHub could not be asked who they are"
	case person.Bot:
		return "is a bot"
	case slices.Contains(snap.Requesters, review.Reviewer):
		return "asked for this promotion"
	case !named(rule, person):
		return "is not " + oneOf(rule)
	case review.Digest == "":
		return "approved a commit that is not Tagboat's"
	case review.Digest != snap.Digest:
		return "approved another digest"
	case review.HeadSHA != snap.HeadSHA && (review.EditHash == "" || review.EditHash != snap.EditHash):
		return "approved an earlier commit"
	}
	return ""
}

// blocks: a change request of somebody who may approve stands whatever commit it
// was made for. The requester may not approve, but may well stop the promotion.
func blocks(rule Rule, snap Snapshot, review Review) bool {
	person := snap.People[review.Reviewer]
	if !person.Known {
		return true
	}
	return !person.Bot && (person.Write || named(rule, person))
}

func named(rule Rule, person Person) bool {
	if len(rule.Teams) == 0 && len(rule.Users) == 0 {
		return person.Write
	}
	isUser := slices.ContainsFunc(rule.Users, func(u string) bool { return strings.EqualFold(u, person.Login) })
	return isUser || slices.ContainsFunc(rule.Teams, func(t string) bool { return slices.Contains(person.Teams, t) })
}

func oneOf(rule Rule) string {
	var names []string
	for _, t := range rule.Teams {
		names = append(names, "in team "+t)
	}
	names = append(names, rule.Users...)
	if len(names) == 0 {
		return "allowed to write to the env repo"
	}
	return strings.Join(names, " or ")
}

func owner(rule Rule) string {
	var names []string
	for _, t := range rule.Teams {
		names = append(names, "team "+t)
	}
	names = append(names, rule.Users...)
	if len(names) == 0 {
		return "anyone with write permission, except who asked"
	}
	return strings.Join(names, ", ")
}

func reason(rule Rule, r Result, blockers []string) string {
	var parts []string
	if len(blockers) > 0 {
		parts = append(parts, fmt.Sprintf("%s asked for changes.", strings.Join(blockers, ", ")))
	}
	count := fmt.Sprintf("%d of %d approvals", len(r.Counted), rule.Count)
	if len(r.Counted) > 0 {
		count += " (" + strings.Join(r.Counted, ", ") + ")"
	}
	parts = append(parts, count+".")
	for _, e := range r.Excluded {
		what := "review"
		if e.State == Approved {
			what = "approval"
		}
		parts = append(parts, fmt.Sprintf("%s's %s does not count: %s %s.", e.Login, what, e.Login, e.Why))
	}
	return strings.Join(parts, " ")
}
