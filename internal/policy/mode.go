package policy

import (
	"encoding/json"
	"fmt"
)

// Mode is what comes of a violation.
type Mode int

const (
	Off     Mode = iota // nobody is told
	Warn                // people are told
	Enforce             // nothing merges
)

var modeNames = [...]string{"off", "warn", "enforce"}

// String is the mode as tagboat.yaml has it.
func (m Mode) String() string { return modeNames[m] }

// MarshalJSON writes the mode as tagboat.yaml has it.
func (m Mode) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// ParseMode reads a mode as tagboat.yaml has it.
func ParseMode(s string) (Mode, error) {
	for m, name := range modeNames {
		if s == name {
			return Mode(m), nil
		}
	}
	return Off, fmt.Errorf("the mode %q is unknown; write off, warn or enforce", s)
}

// Settings are what one place, an env repo or the organisation, asks for.
type Settings struct {
	Dir          string // of ValidatingAdmissionPolicies, "" is none
	Kubernetes   string // "1.31": the oldest API server that the policies are for; "" is not said
	Builtin      map[string]Mode
	Environments map[string]map[string]Mode // by environment, over Builtin
	Waivers      []Waiver
	Waivable     []string // the organisation's: rules that teams may waive
}

// says is the mode that the settings ask for; false where they say nothing.
func (s Settings) says(rule, env string) (Mode, bool) {
	if m, ok := s.Environments[env][rule]; ok {
		return m, true
	}
	m, ok := s.Builtin[rule]
	return m, ok
}

// Merge is how strict a built-in rule is in an environment, and the floor of that
// which the organisation keeps: an environment overrides its repository in either
// direction, both can only raise what the organisation says.
func Merge(rule Rule, env string, team, organisation Settings) (mode, floor Mode) {
	mode, said := team.says(rule.Name, env)
	if !said {
		mode = rule.Default
	}
	floor, _ = organisation.says(rule.Name, env)
	return max(mode, floor), floor
}
