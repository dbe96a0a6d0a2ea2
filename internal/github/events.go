package github

import "time"

// Event is one webhook in Tagboat's words: one of the types below. A webhook is
// a hint; whoever acts on it reads the state first.
type Event interface{ event() }

// RepoRef names a repository as a webhook does. ID stays when it is renamed.
type RepoRef struct {
	Owner, Name    string
	ID             int64
	InstallationID int64 // 0 where the webhook is not the App's own
}

// CommentCreated: somebody commented on an issue or pull request.
type CommentCreated struct {
	Repo      RepoRef
	Number    int
	IsPull    bool
	CommentID int64
	Body      string
	Author    User
	At        time.Time
}

// Reviewed is what submitted and dismissed reviews have in common.
type Reviewed struct {
	Repo     RepoRef
	Number   int
	ReviewID int64
	Reviewer User
	State    string // upper case, as in Review
	HeadSHA  string // the pull request's head when GitHub sent the event: what the reviewer saw, at the latest
	CommitID string
	At       time.Time
	Sender   User
}

// ReviewSubmitted: somebody reviewed a pull request.
type ReviewSubmitted Reviewed

// ReviewDismissed: a review no longer counts. Sender dismissed it.
type ReviewDismissed Reviewed

// PullChanged: anything about a pull request except its reviews and comments.
type PullChanged struct {
	Repo    RepoRef
	Number  int
	Action  string // "opened", "edited", "synchronize", "closed", "reopened", "labeled", ...
	Pull    Pull
	Sender  User
	OldBody *string // before an edit of the body
	OldBase string  // before an edit of the base branch
	Before  string  // the head before "synchronize"
	Reason  string  // of "dequeued": "MERGE", "MANUAL", "CI_FAILURE", ...
	At      time.Time
}

// CheckChanged: a check run or a status has a new result.
type CheckChanged struct {
	Repo    RepoRef
	HeadSHA string
	Check
}

// CheckRerequested: a person asks for our check to be made again. CheckRunID
// and Name are empty when they asked for all checks of HeadSHA.
type CheckRerequested struct {
	Repo       RepoRef
	HeadSHA    string
	CheckRunID int64
	Name       string
	AppID      int64
	Sender     User
	At         time.Time
}

// Pushed: a branch or tag moved.
type Pushed struct {
	Repo            RepoRef
	Ref             string // "refs/heads/main"
	Before, After   string // forty zeros where it did not, or no longer does, exist
	Forced, Deleted bool
	Pusher          User
	DefaultBranch   string
	Files           []string // added or changed, as far as GitHub lists its commits
}

// GroupChanged: a merge queue wants a group tested, or is done with one.
type GroupChanged struct {
	Repo             RepoRef
	Action           string // "checks_requested", "destroyed"
	Number           int    // of the pull request that the group was built for
	Branch           string // of the group
	HeadSHA          string // the commit that would become the base branch
	BaseRef, BaseSHA string // the branch; the commit that the group is built on
}

// InstallationChanged: what the App may see has changed.
type InstallationChanged struct {
	InstallationID int64
	Account        User
	Action         string // "created", "deleted", "suspend", "unsuspend", "new_permissions_accepted", "added", "removed"
	Added, Removed []RepoRef
	Sender         User
}

// RepositoryChanged: a repository is called otherwise, belongs to somebody else, has
// another default branch, or is archived, or is no more.
type RepositoryChanged struct {
	Repo   RepoRef
	Action string // "renamed", "transferred", "edited", "archived", "unarchived", "deleted", ...
	Sender User
}

func (CommentCreated) event()      {}
func (ReviewSubmitted) event()     {}
func (ReviewDismissed) event()     {}
func (PullChanged) event()         {}
func (CheckChanged) event()        {}
func (CheckRerequested) event()    {}
func (Pushed) event()              {}
func (GroupChanged) event()        {}
func (InstallationChanged) event() {}
func (RepositoryChanged) event()   {}
