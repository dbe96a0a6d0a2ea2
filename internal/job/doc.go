// Package job names the kinds of work in the queue: their arguments, queues,
// uniqueness, timeouts and retries, in one table to read.
//
// Reconcile and Sync are unique while one of them waits or runs. That alone would
// lose work (an insert is dropped while the job runs, which may have looked
// already), so their rows carry want and got; see package store.
package job
