// Package githubsim is a stateful GitHub for the demo and for tests.
//
// It keeps real bare git repositories on disk and everything else (accounts,
// Apps, pull requests, reviews, checks, webhooks) in memory, and serves
// GitHub's REST API, its webhooks and git's smart HTTP over real HTTP. It is
// strict where GitHub is strict: App JWTs are verified, tokens expire,
// permissions are checked per operation, protected branches stay protected,
// and errors carry GitHub's words, because the code under test reads them.
//
// # Addresses
//
// The API answers under /api/v3/ (the address of GitHub Enterprise Server,
// which is what URLs inside answers use) and also without that prefix. Git
// speaks at /{owner}/{repo}.git. Everything else goes to Options.Pages.
//
// # Merge queues
//
// A protected branch may have one: Protection.MergeQueue. Groups are built one on the other and merged in order,
// each as soon as its own required checks have succeeded.
//
// # GraphQL
//
// Three things are known: the mutation enqueuePullRequest, and of a pull request what has
// become of its description and its head, and where it stands in the merge queue. They are
// told apart by what they name; a query's selection is not read.
//
// # Locks and time
//
// One mutex guards the whole state; a REST request holds it from
// authorisation to the encoded answer, so every request sees one consistent
// world. Webhooks and observers are queued under the mutex and delivered by
// goroutines that do not hold it: a receiver may call back at once. Delivery
// to one App is in order, never retried by itself (GitHub does not either),
// and can be redelivered through the API with the same GUID.
//
// Time is Options.Now, so a test can let tokens expire without waiting.
//
// # Knobs for tests
//
// Inject makes requests fail, hang, lose their answer or half of it;
// SetHookPolicy drops, doubles, holds and forgets webhooks; OnRequest runs between the
// work and the answer; Requests and Deliveries are journals; Suspend,
// Uninstall, TakeFrom, SetPermissions and RevokeTokens take rights away; RenameRepo,
// TransferRepo, ArchiveRepo and RenameDefaultBranch do what owners do; WaitDeliveries replaces
// sleeping. Options.MergeableUnknown makes GitHub "compute" for a while.
// Options.RateLimit and Options.SecondaryLimits limit; Trips tells who met the
// second, and how each meeting is answered can be chosen.
//
// # People
//
// Server.As returns a Person who acts with a personal access token through
// the very same REST code as any HTTP client: there is no side door.
package githubsim
