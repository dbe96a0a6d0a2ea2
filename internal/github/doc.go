// Package github is the GitHub App: its tokens, commits, pull requests, reviews,
// checks, comments and deployments, and the webhooks that it receives.
//
// # One way out
//
// Every request, also the ones that fetch tokens, leaves through wire
// (transport.go). It turns every refusal into a classified fault before any
// library sees it, because go-github v60 takes only a 403 for a rate limit and
// never a 429, and because ghinstallation returns refusals as opaque texts. It
// also refuses to carry credentials anywhere but to the configured API.
//
// # Locks
//
// GitHub asks Apps to make their writes one after the other
// (docs.github.com, "Best practices for using the REST API"). A session
// (session.go) therefore lets one write of an installation be in flight at a
// time; reads run side by side. The wait for that turn ends with the caller's
// context, and the request's own time limit starts only when it has its turn.
//
// # Lost answers
//
// A Transient error from a method that writes leaves the outcome open: GitHub
// ends requests after ten seconds and may have done the work. Callers read the
// state again before they repeat a write.
package github
