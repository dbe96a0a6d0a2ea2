package cluster

import (
	"context"
	"time"
)

// Run is all that one sync needs to know.
type Run struct {
	Target    Target
	Objects   []Object // as rendered, secrets decrypted, in any order; they are not changed
	Inventory []Entry  // as the ledger has it
	Ledger    Ledger   // Unrecorded for what nobody keeps account of
	HashKey   []byte   // keys the hashes of what is applied, so that they reveal nothing of Secrets

	// Epoch grows with every attempt on this target. It is written onto an object that
	// comes back after it was about to be deleted (see EpochAnnotation).
	Epoch int64
	// Commit is what the objects were rendered from. It is written onto hooks, for
	// people; what makes a hook run again is the content of the target (see hooks.go).
	Commit string
	Force  Force
	// Ignore says which fields may differ from the objects: they stay with whoever holds them.
	Ignore []IgnoreRule
	// Adopt has it ask before it takes over and changes what is nobody's; nil: it does not ask.
	Adopt *Adoption
	// Go is asked before every write, and now and then while something is waited for:
	// nil to go on. Its error (a newer commit is there, the lease is lost) is what Apply
	// returns then, and nothing more is written. nil to go on always.
	Go func(ctx context.Context) error
	// Patience is how long an earlier wave, or a hook, may take; 0 for 5 min.
	Patience time.Duration
}

const defaultPatience = 5 * time.Minute

// Force says whose fields an apply may take. Those of another deployer, of a
// controller or of another target are never taken.
type Force int

const (
	ForceNever  Force = iota // a field that somebody else holds stops the apply
	ForcePeople              // fields that people hold, by kubectl and the like, are taken back
)

// Unrecorded is the ledger of what is applied without an account of it: the objects
// that an administrator, or a demonstration, sets up once.
type Unrecorded struct{}

// Keep forgets the entries.
func (Unrecorded) Keep(context.Context, []Entry) error { return nil }

// Forget has nothing to forget.
func (Unrecorded) Forget(context.Context, []ID) error { return nil }

// Outcome is what an apply came to for one object.
type Outcome string

const (
	Created    Outcome = "created"
	Configured Outcome = "configured"
	Unchanged  Outcome = "unchanged"
	Recreated  Outcome = "recreated" // deleted and made anew, as its annotation allows
)

// Applied is one object as the cluster has it after the apply.
type Applied struct {
	// Object is what was applied, our marks included, with the uid that the cluster
	// gave it ("" for a Job that is done and gone). What the cluster added is not there.
	Object  Object
	Outcome Outcome

	hook bool
}

// Result holds what was applied, step by step in the order of writing. With an
// error it holds what was written before it.
type Result struct {
	Applied []Applied
	// NotApplied names what should have been written and was not, with an error.
	NotApplied []string
	// Left are the entries of the inventory that the objects do not have any more: what
	// is to be deleted. They are only told where nothing went wrong.
	Left []Entry
}

// Objects are the applied objects; they are what Wait takes. Hooks are not among them:
// they were waited for, and may be gone.
func (r Result) Objects() (objects []Object) {
	for _, a := range r.Applied {
		if !a.hook {
			objects = append(objects, a.Object)
		}
	}
	return objects
}

// Count is how many objects had the outcome.
func (r Result) Count(o Outcome) (n int) {
	for _, a := range r.Applied {
		if a.Outcome == o {
			n++
		}
	}
	return n
}
