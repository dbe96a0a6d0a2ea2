// Package cluster is the door to one Kubernetes API: it applies rendered objects
// by server-side apply, waits until they are healthy, and tells what is running.
//
// Apply is careful before it is quick. It reads every object and dry-runs every
// change before the first write, so that one refused object stops all of them. It
// never forces: a field that somebody else manages, or an object that belongs to
// another target, is an error that names the other one. What is unchanged is not
// written. Nothing is ever deleted here.
//
// Two traps shape the code. A custom resource can be dry-run only after its
// definition is established, and an object only after its namespace is there; so
// those are checked late, between the first stage and the second. And client-go
// limits itself to 5 requests a second unless told otherwise; it is told, and a
// bound on requests in flight takes that place.
package cluster
