package store

import (
	"bytes"
	"strings"
)

// What clusters and containers say of themselves may hold any bytes, as the last words of
// a program that crashed. PostgreSQL takes no text with a zero byte in it, nor one that is
// not UTF-8, and an attempt whose end could not be written down would be made for ever.

const unreadable = "\ufffd"

// said is a text as PostgreSQL takes it.
func said(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, unreadable), "\x00", unreadable)
}

// saidJSON is JSON as PostgreSQL takes it. (Behind a backslash of its own, as in JSON that
// stands in JSON, it is no zero byte; what is there then means as much.)
func saidJSON(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte(`\u0000`), []byte(`\ufffd`))
}

// said is where a target stands, as PostgreSQL takes it.
func (r Reached) said() Reached {
	r.Message, r.Held = said(r.Message), said(r.Held)
	r.Surplus, r.Drift, r.Taken = saidJSON(r.Surplus), saidJSON(r.Drift), saidJSON(r.Taken)
	notes, pruned := make([]string, 0, len(r.Notes)), make([]PrunedObject, 0, len(r.Pruned))
	for _, note := range r.Notes {
		notes = append(notes, said(note))
	}
	for _, o := range r.Pruned {
		o.Why = said(o.Why)
		pruned = append(pruned, o)
	}
	r.Notes, r.Pruned = notes, pruned
	return r
}
