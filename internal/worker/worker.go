package worker

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/policy"
	"github.com/tagboat/tagboat/internal/prometheus"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/signature"
	"github.com/tagboat/tagboat/internal/sops"
	"github.com/tagboat/tagboat/internal/store"
)

// CheckName is the check run that carries our verdict.
const CheckName = "tagboat"

// Config is what the worker works with.
type Config struct {
	Store    *store.Store
	GitHub   *github.App
	Registry *registry.Client
	Render   *render.Cache
	Clusters map[string]*cluster.Cluster // by the names that tagboat.yaml uses
	// Prometheus are the servers that metrics are asked of, by the names that tagboat.yaml uses.
	Prometheus map[string]*prometheus.Server
	EnvRepos   Selection // which repositories are env repos
	// ClusterRepos are, of clusters that take from some env repos only, those.
	ClusterRepos map[string]Selection
	Hosts        func(string) string // a registry's host as its notifications tell it -> as image names write it
	Mirrors      string              // directory for copies of env repos; a cache
	BoardURL     string              // where people find the board; "" when nowhere
	Policies     *policy.Source      // the organisation's; nil where it has none
	Sigstore     *signature.Roots    // of the instance that certifies identities; nil: none is trusted
	SOPS         *sops.Keyring       // decrypts what SOPS encrypted in Git; nil: with no keys
	Polls        Polls               // how often to look for what nobody told
	Replica      string              // names this process among those that share the database
	Installation string              // names this Tagboat among those that may want the same cluster
	InventoryKey []byte              // keys the hashes of what is applied
	// HealthTimeout is how long a rollout may take before it counts as failed.
	HealthTimeout time.Duration
	Meter         Meter // what syncs come to; nil: nobody counts
	Now           func() time.Time
	Log           *slog.Logger
}

// renderingsKept is for how many edits it is remembered what they do: as many pull
// requests as may well be open, at most some 20 kB each.
const renderingsKept = 512

// Worker holds what all job kinds share.
type Worker struct {
	Config
	bases  *bases
	people *people
	rules  *protections
	swept  swept
	began  time.Time // when this process did
	unread wonder
	// lookouts tell of changes in the clusters that this process brings.
	lookouts map[string]*lookout
	// renderings keeps what edits do to clusters, by everything that it comes from.
	renderings *lru.Cache[string, rendering]
	// origins keeps what images in no ledger were built from, lying what lies between
	// two commits.
	origins *lru.Cache[string, origin]
	lying   *lru.Cache[string, lying]
}

// New makes a worker.
func New(c Config) *Worker {
	w := &Worker{Config: c, began: c.Now()}
	if w.Meter == nil {
		w.Meter = uncounted{}
	}
	w.bases = newBases(w)
	w.lookouts = newLookouts(w)
	w.people = newPeople(w)
	w.rules = newProtections(w)
	w.renderings, _ = lru.New[string, rendering](renderingsKept) // fails for a size below one only
	w.origins, _ = lru.New[string, origin](betweenKept)
	w.lying, _ = lru.New[string, lying](betweenKept)
	w.swept.without, w.swept.asked = map[int64]time.Time{}, map[string]asking{}
	return w
}

// Register adds every job kind to workers.
func (w *Worker) Register(workers *river.Workers) {
	river.AddWorker(workers, worked(w, job.Timeout, w.deliver))
	river.AddWorker(workers, worked(w, job.Timeout, w.verify))
	river.AddWorker(workers, worked(w, job.Timeout, w.answer))
	river.AddWorker(workers, worked(w, job.Timeout, w.replaced))
	river.AddWorker(workers, worked(w, job.Timeout, w.tellDrift))
	river.AddWorker(workers, worked(w, job.Timeout, w.catchUpPair))
	river.AddWorker(workers, worked(w, job.Timeout, w.survey))
	river.AddWorker(workers, worked(w, job.Timeout, w.reconcile))
	// What is waited for has to fail before the attempt is cut off, or nobody would be told.
	river.AddWorker(workers, worked(w, max(job.SyncTimeout, w.HealthTimeout+job.SyncTimeout/3), w.sync))
	river.AddWorker(workers, worked(w, job.Timeout, w.try))
	river.AddWorker(workers, worked(w, job.StrangerTimeout, w.stranger))
	river.AddWorker(workers, worked(w, job.Timeout, w.learn))
	river.AddWorker(workers, worked(w, job.Timeout, w.sweep))
	river.AddWorker(workers, worked(w, job.PollTimeout, w.missed))
	river.AddWorker(workers, worked(w, job.PollTimeout, w.overheard))
	river.AddWorker(workers, worked(w, job.PollTimeout, w.tags))
}

// longestSnooze is how long a job is left alone because of a limit. It sleeps
// through whatever happens meanwhile, which may make it more urgent; that GitHub is
// not asked before the limit ends is seen to elsewhere.
const longestSnooze = time.Minute

// kind is one job kind: its work, its timeout, and what an error of it means.
type kind[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	worker  *Worker
	timeout time.Duration
	work    func(ctx context.Context, j *river.Job[T]) error
}

func worked[T river.JobArgs](w *Worker, timeout time.Duration, work func(ctx context.Context, j *river.Job[T]) error) river.Worker[T] {
	return &kind[T]{worker: w, timeout: timeout, work: work}
}

// Timeout bounds one attempt.
func (k *kind[T]) Timeout(*river.Job[T]) time.Duration { return k.timeout }

// NextRetry is when a job that met a passing fault is tried again.
func (k *kind[T]) NextRetry(j *river.Job[T]) time.Time {
	return k.worker.Now().Add(job.RetryAfter(j.Attempt))
}

// Work runs the job and turns its error into what the queue should do: cancel
// what no retry can mend, come back when a limit ends, retry the rest.
func (k *kind[T]) Work(ctx context.Context, j *river.Job[T]) error {
	err := k.work(ctx, j)
	if err == nil {
		return nil
	}
	snooze := new(river.JobSnoozeError)
	if errors.As(err, &snooze) {
		return err
	}
	if errors.Is(err, github.ErrAbsent) {
		// Whatever the job was about is looked at when the App is back.
		err = errors.Join(err, k.worker.Store.Enqueue(ctx, job.Learn{}))
	}
	log := k.worker.Log.With("job", j.Kind, "id", j.ID, "attempt", j.Attempt, "fault", fault.KindOf(err).String(), "error", err)
	switch kind := fault.KindOf(err); {
	case kind == fault.RateLimited:
		wait := min(max(time.Second, fault.UntilOf(err).Sub(k.worker.Now())), longestSnooze)
		log.InfoContext(ctx, "limited; coming back", "in", wait)
		return river.JobSnooze(wait)
	case !kind.Retryable():
		log.WarnContext(ctx, "given up: no retry can mend this")
		return river.JobCancel(err)
	default:
		log.InfoContext(ctx, "will be tried again")
		return err
	}
}

// repo is the door to an env repo.
func (w *Worker) repo(r store.Repo) *github.Repo {
	return w.GitHub.Repo(r.InstallationID, r.Owner, r.Name)
}

func reconcileJob(promotion int64) river.JobArgs { return job.Reconcile{Promotion: promotion} }
func replacedJob(promotion int64) river.JobArgs  { return job.Replaced{Promotion: promotion} }
func driftJob(drift int64) river.JobArgs         { return job.TellDrift{Drift: drift} }
func syncJob(t store.Target) river.JobArgs       { return job.Sync{Target: t.ID, Cluster: t.Cluster} }

// afterSync has whatever a sync can change looked at.
func afterSync() store.After {
	return store.After{Promotion: reconcileJob, Target: syncJob, Drift: driftJob}
}

// explain is an error as a person should read it.
func explain(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint
	}
	return github.Redact(err.Error())
}

// writer reports whether a role may write.
func writer(role string) bool { return role == "write" || role == "maintain" || role == "admin" }

func sameName(a, b string) bool { return strings.EqualFold(a, b) }
