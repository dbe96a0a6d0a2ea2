package job

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// The queues. Each has its own workers, so that a slow cluster or registry never
// keeps a comment waiting.
const (
	QueueEvents    = "events"    // decode what arrived, answer people
	QueueVerify    = "verify"    // ask registries
	QueueMove      = "move"      // move promotions
	QueueSurvey    = "survey"    // read env repos' base branches
	QueueStrangers = "strangers" // render people's pull requests
	QueueUpkeep    = "upkeep"    // periodic work
	QueuePolls     = "polls"     // look for what nobody told
)

// QueueSync is the queue of one cluster: only processes that reach the cluster work on
// it, and one that is slow or away keeps no other waiting.
func QueueSync(cluster string) string {
	if name := "sync_" + cluster; len(name) <= 64 && queueName.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(cluster)) // River's names are narrower than those of clusters
	return "sync_x_" + hex.EncodeToString(sum[:12])
}

// QueueTry is the queue of questions to a cluster, which do not wait behind rollouts.
func QueueTry(cluster string) string { return "try" + strings.TrimPrefix(QueueSync(cluster), "sync") }

// queueName is what River takes for a name.
var queueName = regexp.MustCompile(`^[a-z0-9]+(?:[_-][a-z0-9]+)*$`)

// syncWorkers is how many targets of one cluster a process brings at a time. Most of them
// wait for pods; how many requests the cluster gets at a time is bounded elsewhere.
const syncWorkers = 16

// Syncs are the queues of clusters.
func Syncs(clusters ...string) map[string]river.QueueConfig {
	queues := map[string]river.QueueConfig{}
	for _, c := range clusters {
		queues[QueueSync(c)] = river.QueueConfig{MaxWorkers: syncWorkers}
		queues[QueueTry(c)] = river.QueueConfig{MaxWorkers: 2}
	}
	return queues
}

// Workers is how many jobs of each queue one process works on at a time, beside those
// of clusters.
var Workers = map[string]river.QueueConfig{
	QueueEvents:    {MaxWorkers: 8},
	QueueVerify:    {MaxWorkers: 8},
	QueueMove:      {MaxWorkers: 8},
	QueueSurvey:    {MaxWorkers: 1}, // a later look never ends before an earlier one
	QueueStrangers: {MaxWorkers: 2}, // each of them renders as much side by side as there are children
	QueueUpkeep:    {MaxWorkers: 1},
	QueuePolls:     {MaxWorkers: 2},
}

// Deliver decodes a delivery and does, or enqueues, what follows from it.
type Deliver struct {
	Delivery int64 `json:"delivery"`
}

// Verify asks the registry for an image and enters it into the tag ledger.
type Verify struct {
	Image        string `json:"image"`
	Tag          string `json:"tag"`
	Digest       string `json:"digest,omitempty"` // what the event claims; "" when it does not
	SourceRepo   string `json:"sourceRepo,omitempty"`
	SourceCommit string `json:"sourceCommit,omitempty"`
	RunURL       string `json:"runURL,omitempty"`
	Builder      string `json:"builder,omitempty"`   // login of who caused the CI run
	BuilderID    int64  `json:"builderID,omitempty"` // 0: not told
	Delivery     int64  `json:"delivery"`
}

// Answer works on a comment's commands.
type Answer struct {
	Command int64 `json:"command"`
}

// Replaced tells who asked for a promotion that another took its place.
type Replaced struct {
	Promotion int64 `json:"promotion"`
}

// TellDrift tells people of a change that somebody made past Git.
type TellDrift struct {
	Drift int64 `json:"drift"`
}

// CatchUp proposes to an app's environment what it follows.
type CatchUp struct {
	Repo int64  `json:"repo"`
	App  string `json:"app"`
	Env  string `json:"env"`
}

// Survey reads the base branches of an env repo, and wants the clusters of every
// overlay brought to what it finds.
type Survey struct {
	Repo int64 `json:"repo"`
}

// Reconcile moves a promotion until there is nothing left to do.
type Reconcile struct {
	Promotion int64 `json:"promotion" river:"unique"`
}

// Sync brings a target to the newest commit of its branch.
type Sync struct {
	Target  int64  `json:"target" river:"unique"`
	Cluster string `json:"cluster"` // the target's: whoever reaches it works on this
}

// Try asks a cluster, by dry run, what it would say to a promotion, where the process
// that moves the promotion does not reach the cluster itself.
type Try struct {
	Promotion int64  `json:"promotion" river:"unique"`
	Cluster   string `json:"cluster" river:"unique"`
	// Rendered tells what is asked about: another question must not be dropped because the
	// job of the last one, which is answered, does not count as done yet.
	Rendered string `json:"rendered,omitempty" river:"unique"`
}

// Stranger looks at what a pull request of the env repo that is not ours moves, and
// makes its check.
type Stranger struct {
	Repo    int64  `json:"repo"`
	HeadSHA string `json:"headSHA"`
	BaseRef string `json:"baseRef"`
	BaseSHA string `json:"baseSHA"`
}

// Learn asks GitHub where the App is installed.
type Learn struct{}

// Sweep re-derives what a lost event would have told.
type Sweep struct{}

// Missed looks for what no webhook told of an env repo's pull requests.
type Missed struct {
	Repo int64 `json:"repo" river:"unique"`
}

// Overheard looks for comments that no webhook told.
type Overheard struct {
	Owner        string `json:"owner" river:"unique"`
	Name         string `json:"name" river:"unique"`
	Number       int64  `json:"number"` // GitHub's, of the repository
	Installation int64  `json:"installation"`
}

// Tags looks for versions of an image that its registry did not tell.
type Tags struct {
	Image string `json:"image" river:"unique"`
}

// Kind names the job in the queue's table.
func (Deliver) Kind() string   { return "deliver" }
func (Verify) Kind() string    { return "verify" }     // Kind names the job in the queue's table.
func (Answer) Kind() string    { return "answer" }     // Kind names the job in the queue's table.
func (Replaced) Kind() string  { return "replaced" }   // Kind names the job in the queue's table.
func (TellDrift) Kind() string { return "tell_drift" } // Kind names the job in the queue's table.
func (CatchUp) Kind() string   { return "catch_up" }   // Kind names the job in the queue's table.
func (Survey) Kind() string    { return "survey" }     // Kind names the job in the queue's table.
func (Reconcile) Kind() string { return "reconcile" }  // Kind names the job in the queue's table.
func (Sync) Kind() string      { return "sync" }       // Kind names the job in the queue's table.
func (Try) Kind() string       { return "try" }        // Kind names the job in the queue's table.
func (Stranger) Kind() string  { return "stranger" }   // Kind names the job in the queue's table.
func (Learn) Kind() string     { return "learn" }      // Kind names the job in the queue's table.
func (Sweep) Kind() string     { return "sweep" }      // Kind names the job in the queue's table.
func (Missed) Kind() string    { return "missed" }     // Kind names the job in the queue's table.
func (Overheard) Kind() string { return "overheard" }  // Kind names the job in the queue's table.
func (Tags) Kind() string      { return "tags" }       // Kind names the job in the queue's table.

// live are the states in which a unique job keeps another from being inserted.
var live = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
	rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// forDays are the attempts of what nothing else would do again: at half a minute
// each they outlast a long weekend.
const forDays = 12_000

// InsertOpts: a delivery is worked on until it succeeds or is found invalid.
func (Deliver) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEvents, MaxAttempts: forDays}
}

// InsertOpts: a registry may be down for hours.
func (Verify) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueVerify, MaxAttempts: forDays}
}

// InsertOpts: a person waits for the answer, but GitHub may be down.
func (Answer) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEvents, MaxAttempts: forDays}
}

// InsertOpts: nothing else would tell them.
func (Replaced) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEvents, MaxAttempts: forDays}
}

// InsertOpts: nothing else would tell them.
func (TellDrift) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEvents, MaxAttempts: forDays}
}

// InsertOpts: nothing else would, as long as nobody pushes to the base branch.
func (CatchUp) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueEvents, MaxAttempts: forDays}
}

// InsertOpts: the sweep surveys again.
func (Survey) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueSurvey, MaxAttempts: 50}
}

// InsertOpts: one per promotion; what gives up is woken by the sweep.
func (Reconcile) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueMove, MaxAttempts: 500, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: live}}
}

// InsertOpts: one per target; what gives up is woken by the sweep.
func (s Sync) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueSync(s.Cluster), MaxAttempts: 500, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: live}}
}

// InsertOpts: whoever waits for the answer asks again.
func (t Try) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTry(t.Cluster), MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: live}}
}

// InsertOpts: a person's merge waits for the check, and nothing else would make it.
func (Stranger) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueStrangers, MaxAttempts: forDays}
}

// InsertOpts: the sweep asks again.
func (Learn) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueUpkeep, MaxAttempts: 10}
}

// InsertOpts: the next sweep comes anyway.
func (Sweep) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueUpkeep, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByState: live}}
}

// poll: what cannot be read now is due still, and asked for again by the sweep.
var poll = river.InsertOpts{Queue: QueuePolls, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: live}}

// InsertOpts: see poll.
func (Missed) InsertOpts() river.InsertOpts { return poll }

// InsertOpts: see poll.
func (Overheard) InsertOpts() river.InsertOpts { return poll }

// InsertOpts: see poll.
func (Tags) InsertOpts() river.InsertOpts { return poll }

// Timeouts of one attempt. A sync waits for rollouts, and somebody's pull request may
// have thousands of overlays rendered; what an attempt rendered is kept for the next. A
// poll goes through many pull requests.
// Nothing else waits for anything but answers over the network.
const (
	Timeout         = 2 * time.Minute
	PollTimeout     = 5 * time.Minute
	SyncTimeout     = 15 * time.Minute
	StrangerTimeout = 15 * time.Minute
)

// StuckAfter is how long a job may count as running before somebody else does it, though
// its process is not known to be gone: it may be frozen. Attempts that may take longer
// have until their own timeout. It leaves a living process, whose attempts end at their
// timeout, the time to say how they ended.
const StuckAfter = Timeout + time.Minute

// RetryAfter is how long to wait after the nth failed attempt: soon at first,
// because most faults pass in a moment, and never longer than half a minute,
// because people wait.
func RetryAfter(attempt int) time.Duration {
	const most = 30 * time.Second
	if attempt > 10 {
		return most
	}
	return min(most, time.Duration(250*attempt*attempt)*time.Millisecond)
}
