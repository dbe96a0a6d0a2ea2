// Package demo is Tagboat's front door: a whole world on one machine, with a
// story that plays in it.
//
// The world is PostgreSQL, a GitHub (package githubsim), a CNCF Distribution
// registry with its real notifications, two Kubernetes control planes, to which
// the last chapter adds one, a small CI, and Tagboat itself as a process of its own, so that
// it can be killed. The story is told in chapters of steps; each step does something as a person or a
// CI would, and waits until the world shows what it should, read from GitHub's
// history, the database and the clusters, not from Tagboat's word.
package demo
