// Package gitmirror gives any commit of a git repository as a read-only fs.FS,
// without a checkout and without a git binary.
//
// A Mirror is the copy of a remote: of an env repo, with a token, or of a remote
// base that anybody may read. A Local is a repository that is on this machine
// anyway. Both give a Tree, and keep the directories that their trees had decoded,
// by git's ids: the next commit's tree only has to read the directories that it
// changes, and (*Tree).ID tells thousands of times for a commit, at the price of a
// few look-ups each, whether what stands at a path is what stood there before.
//
// # What is on disk
//
// A mirror owns one directory and keeps a bare repository in it. The directory
// is a cache: it may be empty, lost or damaged at any time, and is then filled
// again from the remote. One process uses it at a time.
//
// # How commits get there
//
// Env repos grow by small commits for years, so the first commit is fetched as a
// snapshot (depth 1): starting on a fresh disk costs one tree, not the history.
// After that a commit is fetched like `git fetch` does it in a shallow clone:
// the request names what is wanted, some commits that are held, and the shallow
// commits, whose parents are not. The answer holds everything between them.
//
// The rule that keeps this correct: a commit is recorded as held (a reference
// under refs/held/) only after its pack has landed, and a pack holds everything
// reachable from the wanted commit down to held commits or, for a snapshot, the
// whole tree of the one commit. So everything reachable from a held commit, down
// to the shallow ones, is here. go-git's own Remote.Fetch leaves the shallow
// commits out of an ordinary request, so the server believes that their parents
// are held too and leaves objects out; therefore the request is built here.
//
// Where the wanted commit does not descend from a held one (a force push, an old
// commit) an ordinary answer may be the whole history. Such an answer is dropped
// when it gets larger than a few snapshots, and a snapshot is taken instead.
//
// # Locks
//
// One fetch at a time per mirror; whoever waits for it looks again at what is
// held first. Reading needs another, short lock, because go-git's object storage
// is not safe for concurrent use. A Tree that somebody holds stays readable while
// others fetch. Every fetch adds one pack; after maxPacks of them the mirror
// starts a new generation from a snapshot, and the old one stays readable until
// the next change of generation.
package gitmirror
