// Package manifest compares rendered Kubernetes objects, field by field, and
// says what differs as text, as Markdown for a pull request, and as JSON.
//
// What Kubernetes reads the same is the same here: the order of keys, the
// quoting, comments, and 1 beside 1.0 are no differences. Lists whose elements
// Kubernetes knows by a key (containers by name, ports by number) are compared
// by that key, the others by the shortest alignment.
//
// A diff is read by more people than may read a Secret. So a value that is
// secret, or looks it, is masked while the objects are compared: no later step
// has it any more.
package manifest
