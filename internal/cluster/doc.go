// Package cluster is the door to one Kubernetes API: it applies rendered objects
// by server-side apply, waits until they are healthy, and tells what is running.
//
// Apply is careful before it is quick, and quick by asking little. One LIST of metadata
// for each kind tells what is as it was applied (list.go); only the rest is dry-run,
// all of it before the first write (check.go), and written for exactly the state that
// was seen (write.go). A field that somebody else manages, or an object that belongs to
// another target or deployer, is an error that names the other one (owners.go); by
// configuration, what people changed by hand is taken back. Nothing is written that the
// ledger does not know. What is deleted is a hook's Job when it runs again (hooks.go),
// and what cannot be changed in place where its annotation allows it (recreate.go).
//
// Every write has a precondition, so that a worker that was taken for dead cannot undo
// anything: the resource version that was seen; for an object that shall be new, one
// that no object has. (The API server compares a given version with that of an object
// that is there, and ignores it where there is none.)
//
// Two traps shape the code. A custom resource can be dry-run only after its
// definition is established, and an object only after its namespace is there; so
// those are checked late, between the first stage and the second. And client-go
// limits itself to 5 requests a second unless told otherwise; it is told, and a
// bound on requests in flight takes that place.
package cluster
