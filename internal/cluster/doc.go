// Package cluster is the door to one Kubernetes API: it applies rendered objects
// by server-side apply, waits until they are healthy, tells what is running, deletes
// what is not rendered any more, and finds what others have changed.
//
// Apply is careful before it is quick, and quick by asking little. One LIST of metadata
// for each kind tells what is as it was applied (list.go); only the rest is dry-run,
// all of it before the first write (check.go), and written for exactly the state that
// was seen (write.go). A field that somebody else manages, or an object that belongs to
// another target or deployer, is an error that names the other one (owners.go); by
// configuration, what people changed by hand is taken back. What may differ (exempt.go)
// is left to whoever holds it (leave.go). Nothing is written that the ledger does not
// know. What no commit can mend holds up itself and what comes after it alone (held.go):
// an API group that is away (away.go), a namespace that is being deleted.
//
// Every write has a precondition, so that a worker that was taken for dead cannot undo
// anything: the resource version that was seen; for an object that shall be new, one
// that no object has. (The API server compares a given version with that of an object
// that is there, and ignores it where there is none.)
//
// What is deleted was in the target's inventory, is proven to be the target's, and is
// deleted for exactly the state in which that was seen: Prunable has the guards that
// need no look at the cluster, Target.judge those that do, and Prune acts on both. A
// read that failed never counts as an object that is not there.
//
// The API server moves the ownership of a field with every change of it. So a list of
// metadata tells whether an object is as it was applied (fingerprint); what that finds,
// Drift confirms by a dry run, and Watch hears of within a moment.
//
// Two traps shape the code. A custom resource can be dry-run only after its
// definition is established, and an object only after its namespace is there; so
// those are checked late, between the first stage and the second. And client-go
// limits itself to 5 requests a second unless told otherwise; it is told, and a
// bound on requests in flight takes that place.
package cluster
