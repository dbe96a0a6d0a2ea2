package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error by what can be done about it.
type Kind int

const (
	// Broken is the kind of every error that nobody classified: a defect or a
	// surprise. It is retried, because a surprise may pass.
	Broken Kind = iota
	// Invalid: what was asked or configured is wrong; only a person can mend it.
	Invalid
	// Denied: the other side, or a rule of ours, says no.
	Denied
	// NotFound: the thing asked for does not exist, or may not be seen.
	NotFound
	// Conflict: the world moved meanwhile; read it again, then decide again.
	Conflict
	// RateLimited: come back at Until.
	RateLimited
	// Transient: the other side is unwell or unreachable; try again.
	Transient
)

// String names the kind as logs and metrics show it.
func (k Kind) String() string {
	switch k {
	case Broken:
		return "broken"
	case Invalid:
		return "invalid"
	case Denied:
		return "denied"
	case NotFound:
		return "not found"
	case Conflict:
		return "conflict"
	case RateLimited:
		return "rate limited"
	case Transient:
		return "transient"
	}
	return fmt.Sprintf("kind(%d)", int(k))
}

// Retryable reports whether trying again, later or after a fresh look, can help
// without a person.
func (k Kind) Retryable() bool {
	switch k {
	case Broken, Conflict, RateLimited, Transient:
		return true
	}
	return false
}

// Error is an error with a kind and, where it helps, a hint for the person who
// has to act on it.
type Error struct {
	Kind  Kind
	Hint  string    // one or two sentences for a person; no secrets, no stack
	Until time.Time // when to come back, for RateLimited
	Err   error     // the cause; may be nil when the hint says it all
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Hint
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// E gives err a kind and a hint. Either of hint and err may be empty, not both.
func E(kind Kind, hint string, err error) error {
	return &Error{Kind: kind, Hint: hint, Err: err}
}

// Errorf is E for an error whose text is also what a person should read.
func Errorf(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Hint: err.Error(), Err: err}
}

// Limited is a RateLimited error that names when to come back.
func Limited(until time.Time, err error) error {
	return &Error{Kind: RateLimited, Until: until, Err: err}
}

// Wrap adds to *err, if there is one, what was attempted and on what. Deferred
// as the first line of a function that talks to the world:
//
//	defer fault.Wrap(&err, "merge %s#%d", repo, number)
func Wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err)
	}
}

// KindOf is the kind of the outermost classified error in err's chain, or
// Broken where nothing in it was classified.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Broken
}

// HintOf is the outermost hint in err's chain, or "" where there is none.
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// UntilOf is when a rate-limited caller may come back; the zero time where err
// does not say.
func UntilOf(err error) time.Time {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Until
	}
	return time.Time{}
}

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
