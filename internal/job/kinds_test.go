package job

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

type kind interface {
	river.JobArgs
	river.JobArgsWithInsertOpts
}

var kinds = []kind{Deliver{}, Verify{}, Answer{}, Replaced{}, TellDrift{}, CatchUp{}, Survey{}, Reconcile{}, Sync{}, Try{}, Stranger{}, Sweep{}, Missed{}, Overheard{}, Tags{}}

// A job in a queue that nobody works on would wait for ever.
func TestEveryKindHasWorkers(t *testing.T) {
	names, used := map[string]bool{}, map[string]bool{}
	for _, k := range kinds {
		opts := k.InsertOpts()
		if Workers[opts.Queue].MaxWorkers == 0 && Syncs("")[opts.Queue].MaxWorkers == 0 {
			t.Errorf("nobody works on queue %q of %s", opts.Queue, k.Kind())
		}
		if opts.MaxAttempts == 0 {
			t.Errorf("%s does not say how often it is tried", k.Kind())
		}
		if names[k.Kind()] {
			t.Errorf("two kinds are called %s", k.Kind())
		}
		names[k.Kind()], used[opts.Queue] = true, true
	}
	for queue := range Workers {
		if !used[queue] {
			t.Errorf("nothing is put into queue %s", queue)
		}
	}
}

// A row has one job at a time, which is told apart by the row's number alone; one
// that ended does not keep the next from being inserted.
func TestOneJobPerRow(t *testing.T) {
	for _, k := range kinds {
		unique := k.InsertOpts().UniqueOpts
		switch k.(type) {
		case Reconcile, Sync, Try, Missed, Overheard, Tags:
			if !unique.ByArgs {
				t.Errorf("%s: two rows cannot be worked on at once", k.Kind())
			}
		case Sweep:
		default:
			if !slices.Equal(unique.ByState, nil) || unique.ByArgs {
				t.Errorf("%s: work that looks alike would be dropped", k.Kind())
			}
			continue
		}
		if !slices.Contains(unique.ByState, rivertype.JobStateRunning) || !slices.Contains(unique.ByState, rivertype.JobStateRetryable) {
			t.Errorf("%s: two of them could run at once", k.Kind())
		}
		for _, ended := range []rivertype.JobState{rivertype.JobStateCompleted, rivertype.JobStateCancelled, rivertype.JobStateDiscarded} {
			if slices.Contains(unique.ByState, ended) {
				t.Errorf("%s: one that is %s keeps the next from being inserted", k.Kind(), ended)
			}
		}
	}
}

// Jobs outlive the program that inserted them: their names and fields stay.
func TestWhatTheQueueKeeps(t *testing.T) {
	for _, c := range []struct {
		args river.JobArgs
		want string
	}{
		{Deliver{Delivery: 1}, `deliver {"delivery":1}`},
		{Verify{Image: "i", Tag: "t", Delivery: 1}, `verify {"image":"i","tag":"t","delivery":1}`},
		{Verify{Image: "i", Tag: "t", Digest: "d", SourceRepo: "r", SourceCommit: "c", RunURL: "u", Delivery: 1},
			`verify {"image":"i","tag":"t","digest":"d","sourceRepo":"r","sourceCommit":"c","runURL":"u","delivery":1}`},
		{Answer{Command: 1}, `answer {"command":1}`},
		{TellDrift{Drift: 1}, `tell_drift {"drift":1}`},
		{Survey{Repo: 1}, `survey {"repo":1}`},
		{Reconcile{Promotion: 1}, `reconcile {"promotion":1}`},
		{Sync{Target: 1, Cluster: "eu"}, `sync {"target":1,"cluster":"eu"}`},
		{Try{Promotion: 1, Cluster: "eu"}, `try {"promotion":1,"cluster":"eu"}`},
		{Stranger{Repo: 1, HeadSHA: "h", BaseRef: "main", BaseSHA: "b"}, `stranger {"repo":1,"headSHA":"h","baseRef":"main","baseSHA":"b"}`},
		{Sweep{}, `sweep {}`},
		{Missed{Repo: 1}, `missed {"repo":1}`},
		{Overheard{Owner: "acme", Name: "env", Number: 9, Installation: 7}, `overheard {"owner":"acme","name":"env","number":9,"installation":7}`},
		{Tags{Image: "i"}, `tags {"image":"i"}`},
	} {
		data, err := json.Marshal(c.args)
		if got := c.args.Kind() + " " + string(data); err != nil || got != c.want {
			t.Errorf("%s, %v; want %s", got, err, c.want)
		}
	}
}

// Soon at first, never later than half a minute, and never sooner than before.
func TestRetryAfter(t *testing.T) {
	if first := RetryAfter(1); first > time.Second {
		t.Errorf("the first retry comes after %v", first)
	}
	for attempt := 1; attempt < 600; attempt++ {
		before, after := RetryAfter(attempt), RetryAfter(attempt+1)
		if after < before || after > 30*time.Second || before <= 0 {
			t.Errorf("attempt %d waits %v, and the next %v", attempt, before, after)
		}
	}
}

// Whatever a cluster is called, it has a queue of its own that the queue's library takes.
func TestEveryClusterHasAQueueOfItsOwn(t *testing.T) {
	clusters := []string{"prod-eu", "prod_eu", "prod.eu", "Prod-EU", "prod-eu-", "", "münchen", strings.Repeat("x", 80), "x_1"}
	queues := Syncs(clusters...)
	if len(queues) != 2*len(clusters) {
		t.Errorf("%d queues for %d clusters: %v", len(queues), len(clusters), queues)
	}
	_, err := river.NewClient[any](nil, &river.Config{Queues: queues})
	if err != nil && strings.Contains(err.Error(), "queue") {
		t.Error(err)
	}
	for queue := range queues {
		if len(queue) > 64 || !queueName.MatchString(queue) {
			t.Errorf("the queue %q is none", queue)
		}
	}
}
