// Package admission evaluates ValidatingAdmissionPolicies on rendered objects with
// Kubernetes' own CEL library: its environment, functions, cost limits and versions.
//
// It belongs to room policy alone, and stands apart because of what it imports. The
// library takes a context, of which nothing is asked: evaluations end because they
// have a cost budget.
//
// What an API server does to an object before it asks policies is done here too, as
// far as policies look at it: fields of Kubernetes' own kinds are read by their types,
// and have their defaults. What only a cluster can know is not guessed: a denial that
// hangs on it is a warning that says so, and an authorizer cannot be asked at all.
package admission
