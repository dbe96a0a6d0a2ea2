// Package policy judges rendered objects: by a built-in pack, by the team's and the
// organisation's ValidatingAdmissionPolicies, and with waivers that end.
//
// What is judged is what a cluster would get, not what somebody wrote: a rule that
// a patch or a chart breaks is broken, wherever the line stands. Where the line can
// be known, a Locator finds it; where it cannot, the file is named and no line.
//
// A rule is off, warns or is enforced. The organisation's rules are a floor that a
// team can raise and not lower. Whatever cannot be read or compiled is an enforced
// violation itself: an unreadable rule must not be a rule that is kept.
package policy
