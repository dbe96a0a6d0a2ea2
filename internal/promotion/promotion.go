package promotion

import (
	"time"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/window"
)

// State is where a promotion is in its life.
type State string

const (
	Proposed   State = "proposed"   // wanted; no pull request carries it yet
	Open       State = "open"       // its pull request is open
	Merged     State = "merged"     // in Git; the clusters are catching up
	Deployed   State = "deployed"   // every cluster of the environment was healthy with it
	Superseded State = "superseded" // a newer artifact took its place
	Closed     State = "closed"     // a person closed it, or there was nothing to do
)

// Active reports whether a promotion in this state still waits to be merged. At
// most one promotion of an (app, environment) is active (I2).
func (s State) Active() bool { return s == Proposed || s == Open }

// Person is a GitHub account: the number is the identity, the login is for
// reading (a login can be renamed and taken by somebody else).
type Person struct {
	ID    int64
	Login string
}

// Known reports whether p names anybody.
func (p Person) Known() bool { return p.ID != 0 }

// Facts are everything that Decide looks at.
type Facts struct {
	App, Env  string
	State     State
	Artifact  image.Ref // what is promoted: name, tag and digest
	Requester Person    // who asked; nobody when Tagboat proposed it by itself
	Back      *Rollback // what it takes back; nil: it leads forward
	Denial    *Denial   // keeps the artifact out; nil where nothing does

	Rule       Rule
	RuleErr    string      // why tagboat.yaml of the base branch cannot be used; "" when it can
	Plan       Plan        // what the newest base branch says about the overlay
	Digest     Digest      // what the registry says about the artifact
	Signatures []Signature // what was found of those that the rule demands
	Pull       *Pull       // the pull request as last seen; nil while there is none
	Checks     []Check     // newest result of every required check on Pull.HeadSHA
	Required   []string    // names of the checks that must succeed
	// ChecksKnown is false when the branch protection could not be read, so that
	// Required may be incomplete.
	ChecksKnown bool
	Approval    Approval
	Checklist   []ChecklistItem
	Upstream    []Upstream
	Rendered    Rendered
	Policy      Policy
	Trials      []Trial // what the environment's clusters would say to it
	Stops       []Stop  // what people stopped that this belongs to
	Queue       Queue
	Voices      []Voice    // what people said about overriding gates
	FollowUps   []FollowUp // of overrides

	Published Published // what people were last shown

	Companions []Facts // of its set, which is merged as one; each without companions of its own
	Led        bool    // one of the companions acts for it until the merge

	// What matters after the merge.
	Targets   []Target // the environment's clusters for this app
	Overtaken bool     // a newer promotion of this (app, environment) was merged
	Reported  Reported // or closed
	ClosedBy  string   // who closed the pull request; "" where no person did
}

// Target is one cluster of the environment.
type Target struct {
	Cluster   string
	Digest    string // what runs there
	Settled   bool   // its last sync came to an end
	Healthy   bool
	Ill       bool      // a rollout ended there, and is not healthy
	Measuring bool      // it has it, and is not healthy before what is measured there is known and good
	Held      bool      // it waits for an earlier wave, or for a person
	Until     time.Time // when its turn comes if nothing happens; zero: something has to
	Unserved  bool      // no process brings anything there for now
}

// Reported is what was told to GitHub since the pull request ended.
type Reported struct {
	BranchDeleted bool
	Deployments   map[string]Outcome // by cluster: those that exist, or cannot be made, and their last status
	CommitStatus  CommitStatus       // of the merge commit
	CommentHash   string             // of the status comment
	Closing       bool               // a comment says what the closing means
	TakenBack     bool               // a rollback of it was proposed, or cannot be
}

// Rule is what tagboat.yaml says about this environment.
type Rule struct {
	Needs      []Need
	Signatures []Demand        // that the artifact must carry, all of them
	Approvals  bool            // whether approvals are asked for at all
	Auto       bool            // merge as soon as every gate passes
	Schedule   window.Schedule // when merging is allowed
	Override   Override        // who may override gates
	Trying     Trying          // whether the clusters are asked first
	Clusters   []string        // which they are
	Tickers    string          // who may tick the checklist, for people
	TakesBack  bool            // what ends unhealthy is rolled back without being asked for
}

// Need is one upstream environment that must run the same digest.
type Need struct {
	Env     string
	Healthy time.Duration // contiguous healthy time of this very digest
}

// Plan is what changing the overlay on the newest base would mean.
type Plan struct {
	Err     string // why the overlay cannot be edited, for a person; "" when it can
	Nothing bool   // the base already pins this artifact
	Current image.Ref
	Back    bool   // the artifact is older than Current
	Hash    string // hash of the managed edit; equal edits on different bases have equal hashes
}

// Digest is the registry's answer about the artifact's tag.
type Digest struct {
	Now        string    // the digest that the tag has; "" when it was not asked
	Err        string    // why the registry could not answer
	ObservedAt time.Time // when it was asked
	URL        string
}

// Pull is a pull request of ours as last read from GitHub.
type Pull struct {
	Number     int
	HeadSHA    string // what GitHub says the head is
	OurHeadSHA string // the commit that we put there last
	// HeadOurs: HeadSHA is a commit that we made, though not the last one that was
	// recorded: the answer to moving the branch was lost.
	HeadOurs bool
	Labelled bool
	EditHash string // hash of the managed edit in OurHeadSHA
	Closed   bool
	Merged   bool
	MergeSHA string
	Behind   bool // GitHub asks for a head that contains the newest base, or sees a conflict
}

// Check is one required check run or commit status on the head SHA.
type Check struct {
	Name       string
	State      CheckState
	Conclusion string // GitHub's word: success, failure, timed_out, ...
	URL        string
	At         time.Time
}

// CheckState is what a check's result means for a gate.
type CheckState int

const (
	CheckPending CheckState = iota
	CheckPassed
	CheckFailed
)

// Approval is the verdict of package approval, handed over by the worker.
type Approval struct {
	Satisfied bool
	Blocked   bool   // somebody asked for changes
	Missing   int    // how many more are needed
	Stale     int    // how many GitHub shows that were for something else, and are to be dismissed
	Reason    string // who approved, who did not count and why, who is missing
	Owner     string // who can act
}

// ChecklistItem is one line that a person has to tick.
type ChecklistItem struct {
	ID, Text string
	Ticked   bool   // by somebody who may
	By       string // login of who ticked it, whether they may or not; "" where nobody did
	Refused  string // why the tick does not count; "" where it does
}

// Upstream is what the clusters of one needed environment run.
type Upstream struct {
	Env          string
	Digest       string    // "" when nothing is known to run there
	Tag          string    //
	Healthy      bool      // every cluster of the environment runs Digest and is healthy
	HealthySince time.Time // the latest of the clusters' times
	Reason       string    // why not healthy
}

// Rendered is what the edit does to the objects of the environment's clusters.
type Rendered struct {
	Known   bool
	Err     string // why they cannot be rendered with the edit; "" when they can
	Summary string // what changes, in a sentence
}

// Policy is what the rules find in what is rendered.
type Policy struct {
	Blocking, Warnings int
	Reason             string // what is found, in sentences
}

// Stop is a hold or a freeze in force.
type Stop struct {
	What   string // "payments in prod", "all of prod", ...
	By     string // login
	Reason string // in their words; may be ""
	Since  time.Time
	Until  time.Time // zero: until it is lifted
	Lift   string    // the command that lifts it
	Pair   bool      // of this app in this environment alone
}

// Published remembers what was shown to people, so that nothing is written to
// GitHub twice.
type Published struct {
	CheckHash string // of the check run on HeadSHA
	CheckSHA  string // the head the check run is on
	BodyHash  string
}

// Effect is one step into the outside world.
type Effect string

const (
	Rest          Effect = "rest"               // nothing to do until something changes
	OpenPull      Effect = "open pull"          // commit, branch, pull request
	AskRegistry   Effect = "ask registry"       // what the tag is now: the last answer keeps the promotion waiting
	AskSignatures Effect = "ask for signatures" // which the artifact has to carry
	AskClusters   Effect = "ask clusters"       // a dry run of what a merge would bring there
	Label         Effect = "label"              // the pull request's labels
	Regenerate    Effect = "regenerate"         // a new commit on the newest base, on the same branch
	PublishCheck  Effect = "publish check"      // the check run on the head SHA
	PublishBody   Effect = "publish body"       // the pull request's title and body
	OpenFollowUp  Effect = "open the follow-up" // an issue, for a gate that people override
	Merge         Effect = "merge"              // merge with the evaluated head SHA
	EnterQueue    Effect = "enter queue"        // the merge queue of the base branch, with the evaluated head SHA
	CheckGroup    Effect = "check group"        // our check on the commit that the merge queue tests
	Withdraw      Effect = "withdraw"           // close the pull request: the base already has the artifact
	RecordMerged  Effect = "record merged"      // GitHub merged it; write that down
	RecordClosed  Effect = "record closed"      // a person closed it, or there is nothing to do
	TellClosed    Effect = "tell closed"        // what that means, and how to ask again

	DismissReview Effect = "dismiss a review" // an approval of something else than would be merged

	DeleteBranch     Effect = "delete branch"
	CreateDeployment Effect = "create deployment" // of one cluster
	UpdateDeployment Effect = "update deployment" // of one cluster, to Decision.Took
	SetCommitStatus  Effect = "set commit status" // of the merge commit, to Decision.Status
	PublishComment   Effect = "publish comment"   // what became of it in the clusters
	RecordDeployed   Effect = "record deployed"   // and propose it to the environments that follow
	RecordOvertaken  Effect = "record overtaken"  // a newer one was merged before it ran everywhere
	TakeBack         Effect = "take back"         // propose a rollback of what ended unhealthy
)

// Decision is Decide's answer.
type Decision struct {
	Gates     []Gate
	Effect    Effect
	App       string  // of a set: whose the effect is, where it is about one of them
	Why       string  // what a person should read about a promotion that does not move
	Outcome   Outcome // after the merge: how the clusters took it
	Cluster   string  // whose deployment the effect is about
	Took      Outcome // how that cluster took it
	Status    CommitStatus
	NextCheck time.Time // when to look again even if nothing happens; zero: no such time
}

// Outcome is how the clusters of an environment took a merged promotion.
type Outcome string

const (
	Pending Outcome = ""        // some have not come to an end
	Success Outcome = "success" // all are healthy with the artifact
	Failure Outcome = "failure" // all whose turn it was came to an end, not all of them healthy

	// Left is how a single cluster took it that will never have it: it is the
	// environment's no more, or has got something newer instead. (GitHub's word.)
	Left Outcome = "inactive"
)

// CommitStatus is what the status of a merge commit says, in GitHub's words.
type CommitStatus string

const (
	StatusUnset   CommitStatus = ""        // the commit has none
	StatusPending CommitStatus = "pending" // some clusters have not come to an end
	StatusSuccess CommitStatus = "success" // all are healthy with the artifact
	StatusFailure CommitStatus = "failure" // some are not
	StatusLeft    CommitStatus = "error"   // something newer was merged before it ran everywhere

	StatusRefused CommitStatus = "unavailable" // the App may not set any; GitHub does not know this word
)

// Passed reports whether every gate passes.
func (d Decision) Passed() bool { return allPass(d.Gates) }
