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
// # The governor
//
// GitHub asks Apps to make their writes one after the other (docs.github.com,
// "Best practices for using the REST API"), and limits what an installation may
// do in a minute and in an hour. All requests of an installation therefore pass
// one governor (governor.go). It lets one write be in flight at a time, the most
// urgent first (priority.go: the context says how urgent); reads run side by side.
// It keeps both within the limits (limits.go, spending.go), of which the less
// urgent leave a part to the others. What was spent is kept in a Ledger that all
// replicas share (purse.go): one statement for a write, one for ten reads; no lock
// is held while a request is under way. What GitHub itself says of limits holds for
// everybody (heard.go).
//
// A wait of two seconds is waited for; for a longer one the caller gets a fault of
// kind RateLimited, which says when to come back. An effect of several writes is
// begun with Reserve, so that it is not refused half-way (held.go). The wait for
// the turn ends with the caller's context, and the request's own time limit starts
// only when it has its turn.
//
// # Lost answers
//
// A Transient error from a method that writes leaves the outcome open: GitHub
// ends requests after ten seconds and may have done the work. Callers read the
// state again before they repeat a write.
package github
