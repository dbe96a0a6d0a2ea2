package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Waiver lets a violation pass, for a while and in somebody's name.
type Waiver struct {
	Rule    string    `json:"rule"`
	App     string    `json:"app,omitempty"`    // "" is every app
	Env     string    `json:"env,omitempty"`    // "" is every environment
	Object  string    `json:"object,omitempty"` // "Deployment/web" or "Deployment/payments/web"; "" is every object
	Owner   string    `json:"owner"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"` // the last day on which it counts, in UTC
}

// expired reports whether a waiver's last day is over.
func (w Waiver) expired(now time.Time) bool { return !now.Before(w.Expires.AddDate(0, 0, 1)) }

// about reports whether a waiver is for a violation.
func (w Waiver) about(v Violation, in Input) bool {
	return w.Rule == v.Rule && (w.App == "" || w.App == in.App) && (w.Env == "" || w.Env == in.Env) && w.names(v.Object)
}

func (w Waiver) names(id ID) bool {
	switch parts := strings.Split(w.Object, "/"); len(parts) {
	case 1:
		return w.Object == ""
	case 2:
		return parts[0] == id.Kind && parts[1] == id.Name
	default:
		return parts[0] == id.Kind && parts[1] == id.Namespace && parts[2] == id.Name
	}
}

// waive applies the waivers of both places to a violation. A team's waiver reaches
// what the team asked for: the organisation's share stays, unless the organisation
// lets teams waive that rule.
func (v *Violation) waive(r Rules, in Input, now time.Time) {
	if w := v.find(r.Organisation.waivers(), in, now); w != nil {
		v.Waived = w
		return
	}
	w := v.find(r.Team.waivers(), in, now)
	switch {
	case w == nil:
	case v.floor == Off || r.Organisation.lets(v.Rule):
		v.Waived = w
	default:
		v.Refused = w
		v.Mode = v.floor
	}
}

// find is a waiver that counts. One that is over is remembered, so that people read
// why it does not help any more.
func (v *Violation) find(waivers []Waiver, in Input, now time.Time) *Waiver {
	for i, w := range waivers {
		switch {
		case !w.about(*v, in):
		case w.expired(now):
			v.Expired = &waivers[i]
		default:
			return &waivers[i]
		}
	}
	return nil
}

func (s *Source) waivers() []Waiver {
	if s == nil {
		return nil
	}
	return s.Waivers
}

// Idle says, of the waivers of a place, which can let nothing pass: those that are
// over, and those of rules that nobody has.
func (r Rules) Idle(now time.Time) []string {
	known := map[string]bool{}
	for _, rule := range Pack {
		known[rule.Name] = true
	}
	for _, s := range []*Source{r.Team, r.Organisation} {
		if s != nil && s.custom != nil {
			for _, name := range s.custom.Names() {
				known[name] = true
			}
		}
	}
	var notes []string
	for _, w := range slices.Concat(r.Team.waivers(), r.Organisation.waivers()) {
		switch {
		case w.expired(now):
			notes = append(notes, fmt.Sprintf("the waiver of %s for %s ended on %s; remove it, or have it granted again", w.Owner, w.Rule, w.Expires.Format(time.DateOnly)))
		case !known[w.Rule]:
			notes = append(notes, fmt.Sprintf("the waiver of %s is for %s, which is neither a built-in rule nor a policy; correct its rule", w.Owner, w.Rule))
		}
	}
	return notes
}

func (s *Source) lets(rule string) bool { return s != nil && slices.Contains(s.Waivable, rule) }
