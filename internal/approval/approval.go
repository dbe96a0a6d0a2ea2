package approval

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Snapshot is what is known about the reviews of one pull request.
type Snapshot struct {
	Digest   string // what would be deployed
	HeadSHA  string // what would be merged
	EditHash string // the managed edit in HeadSHA
	// Requesters are everybody who asked for the promotion. (Who pushed the head
	// commit need not be known: a head that is not Tagboat's never merges.)
	Requesters []int64
	Builders   []Builder // everybody who had CI build the artifact
	Reviews    []Review
	People     map[int64]Person // what is known about each reviewer
	// Dismissals are the reviews that Tagboat dismissed, or tried to.
	Dismissals map[int64]Dismissal
}

// Builder is who caused the CI run that built the artifact.
type Builder struct {
	ID    int64 // 0: CI told only the login
	Login string
}

// Person is what GitHub says about a reviewer now.
type Person struct {
	Login string
	Bot   bool
	Write bool      // has write permission on the env repo
	Teams []string  // those of the rules' teams that the person is an active member of
	Known bool      // false when GitHub could not be asked: then the person does not count
	Asked time.Time // when GitHub said so
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
	HeadSHA  string // the head that the person saw; "" where that is not certain
	EditHash string // the managed edit in that head; "" when the head was not ours
	Digest   string // the digest that the person saw
	// Earlier: of a promotion that had the pull request before this one took its place.
	Earlier bool
	At      time.Time
}

// Dismissal is what became of Tagboat's dismissing a review.
type Dismissal int

const (
	DismissalDone    Dismissal = iota + 1
	DismissalRefused           // GitHub did not let it
)

// Result is the verdict, rule by rule.
type Result struct {
	Satisfied bool
	Blocked   bool // somebody who may decide asked for changes
	Rules     []RuleResult
	Counted   []string   // logins of those who count for a rule
	Approvals []Review   // those that count
	Excluded  []Excluded // reviewers whose approval does not count, and why
	Stale     []Review   // approvals of something else than would be merged, which GitHub still shows
	Missing   int        // how many more approvals are needed
	Reason    string     // one paragraph for people
	Owner     string     // who can act
}

// RuleResult is the verdict of one rule.
type RuleResult struct {
	Rule    Rule
	Counted []Counted
	Missing int
}

// Counted is an approval that counts for a rule.
type Counted struct {
	Review Review
	Team   string    // as a member of which team; "" where the person is named, or writes
	Asked  time.Time // when GitHub said so
}

// Excluded is one review that does not count.
type Excluded struct {
	Login, Why string
	State      State     // what the review says
	Rule       string    // for which rule; "" is for none
	Dismissal  Dismissal // what became of it on GitHub; 0 is nothing
}

// Evaluate applies rules to snap. All of them have to hold; one person may count for
// several.
func Evaluate(rules []Rule, snap Snapshot) Result {
	var r Result
	for _, rule := range rules {
		if rule.Asked() {
			r.Rules = append(r.Rules, RuleResult{Rule: rule})
		}
	}
	var blockers []string
	for _, review := range latestDecisive(snap) {
		switch {
		case review.State == Approved:
			r.weigh(snap, review)
		case blocks(r.Rules, snap, review):
			blockers = append(blockers, review.Login)
		default:
			r.Excluded = append(r.Excluded, Excluded{Login: review.Login, Why: "asked for changes, but may not decide here", State: review.State})
		}
	}
	r.Blocked = len(blockers) > 0
	for i := range r.Rules {
		rule := &r.Rules[i]
		rule.Missing = max(0, rule.Rule.Count-len(rule.Counted))
		r.Missing += rule.Missing
	}
	r.Satisfied = r.Missing == 0 && !r.Blocked
	r.Owner = owners(r)
	if r.Blocked {
		r.Owner = few(blockers, ", ")
	}
	r.Reason = reason(r, blockers)
	return r
}

// weigh finds the rules that an approval counts for. One that counts for none is
// told with the reason that says most: that somebody is in no team matters less
// than why a member does not count.
func (r *Result) weigh(snap Snapshot, review Review) {
	stale := staleness(snap, review)
	if stale != "" && snap.Dismissals[review.ID] == 0 {
		r.Stale = append(r.Stale, review)
	}
	person, counts := snap.People[review.Reviewer], false
	var partial []Excluded
	none := ""
	for i := range r.Rules {
		rule := &r.Rules[i]
		switch why, outside := exclusion(rule.Rule, snap, review); {
		case why == "":
			counts = true
			rule.Counted = append(rule.Counted, Counted{Review: review, Team: rule.Rule.team(person), Asked: person.Asked})
		case !outside:
			none = cmp.Or(none, why)
			if rule.Rule.member(person) {
				partial = append(partial, Excluded{Login: review.Login, Why: why, State: review.State, Rule: rule.Rule.Label()})
			}
		}
	}
	switch {
	case counts:
		r.Counted = append(r.Counted, review.Login)
		r.Approvals = append(r.Approvals, review)
		r.Excluded = append(r.Excluded, partial...)
	case len(r.Rules) > 0:
		r.Excluded = append(r.Excluded, Excluded{
			Login: review.Login, Why: cmp.Or(none, "is not "+oneOf(r.Rules)), State: review.State, Dismissal: snap.Dismissals[review.ID],
		})
	}
}

// latestDecisive keeps each person's last approval or change request, oldest
// first. A comment does not change what somebody decided before. When the last
// one was dismissed, the person has no say; when an earlier one was, the last
// stands. The same review that is known with its commit as well counts with it. An approval that Tagboat itself dismissed is kept, to say why it does not
// count.
func latestDecisive(snap Snapshot) []Review {
	last, gone := map[int64]Review{}, map[int64]bool{}
	for _, r := range snap.Reviews {
		switch r.State {
		case Dismissed:
			gone[r.ID] = true
		case Approved, ChangesRequested:
			if old, ok := last[r.Reviewer]; !ok || compare(old, r) < 0 || old.ID == r.ID && old.HeadSHA == "" {
				last[r.Reviewer] = r
			}
		}
	}
	var out []Review
	for _, r := range last {
		if !gone[r.ID] || r.State == Approved && snap.Dismissals[r.ID] == DismissalDone {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, compare)
	return out
}

// compare orders reviews by when they were submitted.
func compare(a, b Review) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) }

// exclusion says why an approval does not count for a rule, or "" when it does.
// outside: the rule does not ask its author, and that is all.
func exclusion(rule Rule, snap Snapshot, review Review) (why string, outside bool) {
	person := snap.People[review.Reviewer]
	switch {
	case !person.Known:
		return "GitHub could not be asked who they are", false
	case person.Bot && !rule.names(person):
		return "is a bot", false
	case slices.Contains(snap.Requesters, review.Reviewer) && !rule.allows(AsRequester):
		return "asked for this promotion", false
	case built(snap, review.Reviewer, person) && !rule.allows(AsBuilder):
		return "built the image", false
	case !rule.member(person):
		return "is not " + rule.asks(), true
	}
	return staleness(snap, review), false
}

// staleness says what an approval was given for, where that is not what would be
// merged.
func staleness(snap Snapshot, review Review) string {
	switch {
	case review.HeadSHA == "":
		return "approved when GitHub's word of it did not arrive, so that nobody can tell which commit"
	case review.Digest == "":
		return "approved a commit that is not Tagboat's"
	case review.Digest != snap.Digest:
		return "approved another digest"
	case review.HeadSHA != snap.HeadSHA && (review.EditHash == "" || review.EditHash != snap.EditHash):
		return "approved an earlier commit"
	case review.Earlier:
		return "approved before the promotion was asked for again"
	case snap.Dismissals[review.ID] == DismissalDone:
		return "approved before the edit changed, and changed back"
	}
	return ""
}

// built: CI may know a person by another spelling of the login, or without the
// number. Either is enough to leave somebody out.
func built(snap Snapshot, id int64, person Person) bool {
	return slices.ContainsFunc(snap.Builders, func(b Builder) bool {
		return b.ID != 0 && b.ID == id || b.Login != "" && strings.EqualFold(b.Login, person.Login)
	})
}

// blocks: a change request of somebody who may approve stands whatever commit it
// was made for. The requester may not approve, but may well stop the promotion.
func blocks(rules []RuleResult, snap Snapshot, review Review) bool {
	person := snap.People[review.Reviewer]
	switch {
	case !person.Known:
		return true
	case person.Bot:
		return slices.ContainsFunc(rules, func(r RuleResult) bool { return r.Rule.names(person) })
	}
	return person.Write || slices.ContainsFunc(rules, func(r RuleResult) bool { return r.Rule.member(person) })
}
