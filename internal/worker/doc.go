// Package worker is the imperative shell: one file per job kind, each of them
// load, decide, do, record.
//
// Everything here may run any number of times, in any order and after any crash.
// What moves a promotion is Reconcile alone: it gathers facts, asks package
// promotion what is next, performs that one effect, records it, and asks again.
// An effect that GitHub would do twice is announced in the database first; one
// that was announced before is looked up before it is done.
package worker
