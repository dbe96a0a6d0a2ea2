// Package fault says what went wrong and for whom: the kind decides whether a
// retry can help, the hint tells a person what to do about it.
//
// Kinds are read in three places only: the worker (cancel, snooze or retry a
// job), the HTTP doors (status code) and the texts that people read on GitHub.
package fault
