package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/policy/admission"
)

// Rules are what an overlay is judged by. Either may be nil: without a team's, the
// built-in pack has its defaults; without an organisation's, teams decide alone.
type Rules struct {
	Team         *Source // from the env repo's base branch
	Organisation *Source // from the server's own configuration
}

// Source is the rules of one place.
type Source struct {
	Settings
	custom   *admission.Set // its ValidatingAdmissionPolicies; nil where it has no directory
	problems []Violation    // why some of its rules cannot be kept
}

// Input is one overlay, before and after a change.
type Input struct {
	App, Env, Cluster string
	Namespace         string // the overlay's own, where it is known
	Head              []Object
	Base              []Object // before the change; none where nothing is compared, or nothing was there
	Secrets           *Detector
}

// Violation is one thing that a rule is against.
type Violation struct {
	Rule      string  `json:"rule"`
	Mode      Mode    `json:"mode"`
	Object    ID      `json:"object"`
	Path      Path    `json:"path,omitempty"`
	Container string  `json:"container,omitempty"`
	Message   string  `json:"message"`           // what is wrong, why it matters, what to write instead
	Waived    *Waiver `json:"waived,omitempty"`  // it does not count
	Expired   *Waiver `json:"expired,omitempty"` // it counts again
	Refused   *Waiver `json:"refused,omitempty"` // it counts, because the organisation does not let teams waive the rule
	Rules     Place   `json:"rules,omitzero"`    // of a ValidatingAdmissionPolicy: the expression
	Place     Place   `json:"place,omitzero"`    // where it stands: a Locator says it, of a file of rules it is known

	floor Mode // how strict the organisation is
	value any  // what stands at the path
}

// Place is a line of a file; line 0 is the file as a whole.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // from 1
}

// Blocks reports whether nothing may merge because of the violation.
func (v Violation) Blocks() bool { return v.Mode == Enforce && v.Waived == nil }

// Organisation reports whether the organisation asks for the rule, so that a team
// cannot drop it.
func (v Violation) Organisation() bool { return v.floor > Off }

// Evaluate judges an overlay. Violations are in a fixed order: what blocks first,
// then by object and place. Waived ones are among them.
func Evaluate(r Rules, in Input, now time.Time) []Violation {
	var found []Violation
	for _, rule := range Pack {
		mode, floor := Merge(rule, in.Env, r.Team.settings(), r.Organisation.settings())
		if mode == Off {
			continue
		}
		j := judging{Input: in, rule: rule.Name}
		rule.check(&j)
		for _, v := range j.found {
			v.Mode, v.floor = mode, floor
			found = append(found, v)
		}
	}
	found = append(found, r.Team.judge(in)...)
	for _, v := range r.Organisation.judge(in) {
		v.floor = v.Mode
		found = append(found, v)
	}
	for i := range found {
		found[i].waive(r, in, now)
	}
	if r.Team != nil {
		found = append(found, r.Team.problems...)
	}
	if r.Organisation != nil {
		for _, v := range r.Organisation.problems { // its files are in no env repo
			v.Message, v.Place, v.floor = v.Place.String()+" of the organisation's policies: "+v.Message, Place{}, v.Mode
			found = append(found, v)
		}
	}
	slices.SortStableFunc(found, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Object.String(), b.Object.String()), cmp.Compare(a.Path.String(), b.Path.String()))
	})
	return found
}

// rank orders violations by how much they matter.
func rank(v Violation) int {
	switch {
	case v.Blocks():
		return 0
	case v.Waived == nil:
		return 1
	}
	return 2
}

func (s *Source) settings() Settings {
	if s == nil {
		return Settings{}
	}
	return s.Settings
}
