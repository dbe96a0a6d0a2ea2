package command

import "slices"

// Role is what a person may do in a repository. Each includes those before it.
type Role int

// GitHub's roles.
const (
	NoRole Role = iota
	Read
	Triage
	Write
	Maintain
	Admin
)

var roleNames = []string{"none", "read", "triage", "write", "maintain", "admin"}

func (r Role) String() string { return roleNames[r] }

// RoleOf is the role of that name; one that is not known is none.
func RoleOf(name string) Role { return Role(max(0, slices.Index(roleNames, name))) }

// Outsider reports whether somebody is nobody's guest: without a role or, where the
// whole world can read, without one that somebody gave them. Outsiders are told
// nothing. Else anybody could make Tagboat write, and use GitHub's limits up with it.
func Outsider(r Role, public bool) bool { return r == NoRole || r == Read && public }
