package policy

import "io/fs"

// Read reads the rules of one place: its settings, and the policies of its directory
// in the tree. It does not fail: what cannot be read is a violation of every overlay,
// so that nothing passes for want of a rule.
func Read(_ fs.FS, s Settings) *Source {
	source := &Source{Settings: s}
	if s.Dir != "" {
		source.problems = append(source.problems, Violation{
			Rule: "policies", Mode: Enforce, Place: Place{File: s.Dir}, Message: "this version evaluates no ValidatingAdmissionPolicies; remove dir",
		})
	}
	return source
}
