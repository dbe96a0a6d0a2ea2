package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

var kinds = []Kind{Broken, Invalid, Denied, NotFound, Conflict, RateLimited, Transient}

func TestKinds(t *testing.T) {
	retried := map[Kind]bool{Broken: true, Conflict: true, RateLimited: true, Transient: true}
	names := map[string]bool{}
	for _, k := range kinds {
		err := E(k, "hint", io.EOF)
		if KindOf(err) != k || !Is(err, k) {
			t.Errorf("an error of kind %v is of kind %v", k, KindOf(err))
		}
		if k.Retryable() != retried[k] {
			t.Errorf("%v: retryable %v", k, k.Retryable())
		}
		if names[k.String()] {
			t.Errorf("two kinds are called %q", k)
		}
		names[k.String()] = true
	}
	if got := Kind(99).String(); got != "kind(99)" {
		t.Errorf("a kind that is none is called %q", got)
	}
	if Kind(99).Retryable() {
		t.Error("a kind that is none is retried")
	}
}

func TestNoErrorIsOfNoKind(t *testing.T) {
	for _, k := range kinds {
		if Is(nil, k) {
			t.Errorf("nil is %v", k)
		}
	}
	if HintOf(nil) != "" || !UntilOf(nil).IsZero() {
		t.Error("nil has a hint or a time")
	}
}

func TestAnErrorThatNobodyClassifiedIsBroken(t *testing.T) {
	for _, err := range []error{io.EOF, fmt.Errorf("read: %w", io.EOF), errors.Join(io.EOF, io.ErrUnexpectedEOF)} {
		if KindOf(err) != Broken || HintOf(err) != "" || !UntilOf(err).IsZero() {
			t.Errorf("%v is %v with hint %q", err, KindOf(err), HintOf(err))
		}
	}
}

// Whoever is nearest to the person knows best: the outermost kind and hint count.
func TestTheOutermostCounts(t *testing.T) {
	inner := E(NotFound, "There is no such tag.", io.EOF)
	wrapped := fmt.Errorf("resolve: %w", inner)
	outer := E(Transient, "The registry is being asked again.", wrapped)
	if KindOf(wrapped) != NotFound || HintOf(wrapped) != "There is no such tag." {
		t.Errorf("wrapping changed it to %v, %q", KindOf(wrapped), HintOf(wrapped))
	}
	if KindOf(outer) != Transient || HintOf(outer) != "The registry is being asked again." {
		t.Errorf("the outermost is %v, %q", KindOf(outer), HintOf(outer))
	}
	if !errors.Is(outer, io.EOF) {
		t.Error("the cause is lost")
	}
	silent := E(Transient, "", wrapped)
	if KindOf(silent) != Transient || HintOf(silent) != "There is no such tag." {
		t.Errorf("without a hint of its own it has %q", HintOf(silent))
	}
	joined := errors.Join(io.EOF, inner)
	if KindOf(joined) != NotFound || HintOf(joined) != "There is no such tag." {
		t.Errorf("joined with another it is %v, %q", KindOf(joined), HintOf(joined))
	}
}

func TestWhatAnErrorSays(t *testing.T) {
	for _, c := range []struct {
		story      string
		err        error
		text, hint string
	}{
		{"a cause and a hint", E(Denied, "Ask an owner.", errors.New("403")), "403", "Ask an owner."},
		{"a hint alone", E(Denied, "Ask an owner.", nil), "Ask an owner.", "Ask an owner."},
		{"a cause alone", E(Denied, "", errors.New("403")), "403", ""},
		{"words for both", Errorf(Invalid, "tag %q is not a tag", "1 7"), `tag "1 7" is not a tag`, `tag "1 7" is not a tag`},
	} {
		if c.err.Error() != c.text || HintOf(c.err) != c.hint {
			t.Errorf("%s: %q, hint %q", c.story, c.err, HintOf(c.err))
		}
	}
	if err := Errorf(Invalid, "read: %w", io.EOF); !errors.Is(err, io.EOF) {
		t.Error("Errorf loses the cause")
	}
}

func TestLimited(t *testing.T) {
	until := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	err := fmt.Errorf("list checks: %w", Limited(until, errors.New("429")))
	if !Is(err, RateLimited) || !UntilOf(err).Equal(until) || !KindOf(err).Retryable() {
		t.Errorf("%v is %v until %v", err, KindOf(err), UntilOf(err))
	}
}

func TestWrap(t *testing.T) {
	attempt := func(cause error) (err error) {
		defer Wrap(&err, "merge %s#%d", "acme/env", 7)
		return cause
	}
	if err := attempt(nil); err != nil {
		t.Errorf("success became %v", err)
	}
	err := attempt(E(Conflict, "The base moved.", io.EOF))
	if err.Error() != "merge acme/env#7: EOF" || !Is(err, Conflict) || HintOf(err) != "The base moved." || !errors.Is(err, io.EOF) {
		t.Errorf("%v is %v with hint %q", err, KindOf(err), HintOf(err))
	}
}
