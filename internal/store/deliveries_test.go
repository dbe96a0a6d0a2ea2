package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

func deliver(id int64) river.JobArgs { return job.Deliver{Delivery: id} }

// unqueueable is a job that the queue cannot take.
type unqueueable struct{}

func (unqueueable) Kind() string                 { return "unqueueable" }
func (unqueueable) MarshalJSON() ([]byte, error) { return nil, errors.New("no JSON") }

func TestADeliveryIsKeptWithItsJob(t *testing.T) {
	w := newWorld(t)
	arrival := store.Arrival{Source: store.SourceGitHub, DeliveryID: "guid-1", Event: "push", Body: []byte(`{"a":1}`)}
	var id int64
	fresh, err := w.store.Accept(w.ctx, arrival, func(delivery int64) river.JobArgs { id = delivery; return deliver(delivery) })
	if err != nil || !fresh {
		t.Fatalf("fresh %v, %v", fresh, err)
	}
	got, err := w.store.Delivery(w.ctx, id)
	w.must(err)
	want := store.Delivery{ID: id, Source: "github", DeliveryID: "guid-1", Event: "push", Body: []byte(`{"a":1}`), ReceivedAt: w.clock.now()}
	got.ReceivedAt = got.ReceivedAt.UTC()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := w.count("SELECT count(*) FROM river.river_job WHERE kind = 'deliver' AND (args->>'delivery')::bigint = $1", id); n != 1 {
		t.Errorf("%d jobs for the delivery, want 1", n)
	}

	w.must(w.store.FinishDelivery(w.ctx, id, "base moved", job.Survey{Repo: w.repo.ID}))
	got, err = w.store.Delivery(w.ctx, id)
	w.must(err)
	if got.HandledAt == nil || got.Outcome != "base moved" || w.jobs("survey") != 1 {
		t.Errorf("after it was worked on: %+v, %d surveys", got, w.jobs("survey"))
	}
	recent, err := w.store.RecentDeliveries(w.ctx, 5)
	w.must(err)
	if len(recent) != 1 || recent[0].Outcome != "base moved" {
		t.Errorf("recent deliveries: %+v", recent)
	}
}

// I3: eight redeliveries at once are one delivery and one job.
func TestRedeliveriesChangeNothing(t *testing.T) {
	w := newWorld(t)
	arrival := store.Arrival{Source: store.SourceGitHub, DeliveryID: "guid-1", Event: "push", Body: []byte("first")}
	var group sync.WaitGroup
	freshes := make(chan bool, 8)
	for range 8 {
		group.Go(func() {
			fresh, err := w.store.Accept(w.ctx, arrival, deliver)
			if err != nil {
				t.Error(err)
			}
			freshes <- fresh
		})
	}
	group.Wait()
	close(freshes)
	fresh := 0
	for f := range freshes {
		if f {
			fresh++
		}
	}
	if rows, jobs := w.count("SELECT count(*) FROM delivery"), w.jobs("deliver"); fresh != 1 || rows != 1 || jobs != 1 {
		t.Errorf("%d fresh, %d rows, %d jobs; want one of each", fresh, rows, jobs)
	}

	// Another source may use the same id.
	arrival.Source = store.SourceCI
	if again, err := w.store.Accept(w.ctx, arrival, deliver); err != nil || !again {
		t.Errorf("the same id of another source: fresh %v, %v", again, err)
	}
}

func TestNothingIsKeptWhoseJobCannotBeQueued(t *testing.T) {
	w := newWorld(t)
	bad := func(int64) river.JobArgs { return unqueueable{} }
	arrival := store.Arrival{Source: store.SourceGitHub, DeliveryID: "guid-1", Event: "push", Body: []byte("{}")}
	if fresh, err := w.store.Accept(w.ctx, arrival, bad); err == nil || fresh {
		t.Errorf("fresh %v, %v; want an error", fresh, err)
	}
	if n := w.count("SELECT count(*) FROM delivery"); n != 0 {
		t.Errorf("%d deliveries were kept", n)
	}
	// The sender tries again, and now it works.
	if fresh, err := w.store.Accept(w.ctx, arrival, deliver); err != nil || !fresh {
		t.Errorf("the second attempt: fresh %v, %v", fresh, err)
	}

	if err := w.store.FinishDelivery(w.ctx, 1, "done", job.Sweep{}, unqueueable{}); err == nil {
		t.Error("a delivery was finished although its jobs were not queued")
	}
	if n := w.count("SELECT count(*) FROM delivery WHERE handled_at IS NOT NULL") + w.jobs("sweep"); n != 0 {
		t.Error("a delivery was finished by halves")
	}

	if _, err := w.store.Propose(w.ctx, w.proposal("dev", w.artifact("1.7.0", digest("a"))), bad); err == nil {
		t.Error("a promotion was proposed that nobody will look at")
	}
	if n := w.count("SELECT count(*) FROM promotion"); n != 0 {
		t.Errorf("%d promotions were kept", n)
	}
}

func TestACommentIsAnsweredOnce(t *testing.T) {
	w := newWorld(t)
	comment := store.NewCommand{
		Owner: "acme", Repo: "env", RepoID: 7, Installation: 77, Number: 7, IsPull: true, Comment: 99, Body: "/promote prod", Author: alice,
	}
	answer := func(id int64) river.JobArgs { return job.Answer{Command: id} }
	for range 2 { // the webhook, and its redelivery under another delivery id
		w.must(w.store.RecordCommand(w.ctx, comment, answer))
	}
	renamed, unnumbered := comment, comment
	renamed.Repo, unnumbered.RepoID = "environments", 0
	w.must(w.store.RecordCommand(w.ctx, renamed, answer))
	w.must(w.store.RecordCommand(w.ctx, unnumbered, answer))
	if rows, jobs := w.count("SELECT count(*) FROM command"), w.jobs("answer"); rows != 1 || jobs != 1 {
		t.Fatalf("%d rows, %d jobs; want one of each", rows, jobs)
	}
	c, err := w.store.Command(w.ctx, int64(w.count("SELECT id FROM command")))
	w.must(err)
	w.must(w.store.AnswerCommand(w.ctx, c, store.Answer{Outcome: "obeyed", Reply: "On its way."}))
	w.must(w.store.AnnounceReply(w.ctx, c.ID))
	w.must(w.store.RecordReply(w.ctx, c, 1234))
	c, err = w.store.Command(w.ctx, c.ID)
	w.must(err)
	if c.Outcome != "obeyed" || c.Reply != "On its way." || !c.Replying || c.ReplyID != 1234 {
		t.Errorf("the answered command is %+v", c)
	}
	log, err := w.store.AuditLog(w.ctx, 0, 10)
	w.must(err)
	if len(log) != 2 || log[1].Action != "reply posted" || log[0].Actor != "alice" || log[0].ActorID != alice.ID || log[0].Action != "command answered" {
		t.Errorf("the audit log names neither who commanded nor what: %+v", log)
	}
}

func TestAPersonIsAskedOnceWhatWasMeant(t *testing.T) {
	w := newWorld(t)
	said := func(comment int64, number int, by store.Actor, slips ...string) store.Command {
		t.Helper()
		var id int64
		w.must(w.store.RecordCommand(w.ctx, store.NewCommand{Owner: "acme", Repo: "env", Number: number, Comment: comment, Body: "/promte", Author: by},
			func(command int64) river.JobArgs { id = command; return job.Answer{Command: command} }))
		c, err := w.store.Command(w.ctx, id)
		w.must(err)
		w.must(w.store.AnswerCommand(w.ctx, c, store.Answer{Outcome: "refused", Slips: slips}))
		return c
	}
	first := said(1, 7, alice, "promote", "help")
	for _, tt := range []struct {
		story string
		c     store.Command
		verb  string
		want  bool
	}{
		{"the first time", first, "promote", false},
		{"again", said(2, 7, alice), "promote", true},
		{"another verb", said(3, 7, alice), "status", false},
		{"another person", said(4, 7, bob), "promote", false},
		{"another issue", said(5, 8, alice), "promote", false},
	} {
		told, err := w.store.ToldBefore(w.ctx, tt.c, tt.verb)
		w.must(err)
		if told != tt.want {
			t.Errorf("%s: told before is %v", tt.story, told)
		}
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	w := newWorld(t)
	asked := map[string]func() error{
		"delivery":      func() error { _, err := w.store.Delivery(w.ctx, 404); return err },
		"command":       func() error { _, err := w.store.Command(w.ctx, 404); return err },
		"promotion":     func() error { _, err := w.store.Promotion(w.ctx, 404); return err },
		"pull":          func() error { _, err := w.store.PromotionByPull(w.ctx, w.repo.ID, 404); return err },
		"active":        func() error { _, err := w.store.ActivePromotion(w.ctx, w.repo.ID, "payments", "dev"); return err },
		"artifact":      func() error { _, err := w.store.ArtifactByTag(w.ctx, payments, "9"); return err },
		"env repo":      func() error { _, err := w.store.RepoByName(w.ctx, "acme", "nothing"); return err },
		"target":        func() error { _, err := w.store.Target(w.ctx, 404); return err },
		"review's pull": func() error { return w.store.RecordReview(w.ctx, 404, store.NewReview{}, 0, reconcile) },
	}
	for name, ask := range asked {
		if err := ask(); !fault.Is(err, fault.NotFound) || !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v; want NotFound", name, err)
		}
	}
}

func TestADatabaseThatIsAwayIsTransient(t *testing.T) {
	const password = "hunter2"
	_, err := store.Open(t.Context(), fmt.Sprintf("postgres://tagboat:%s@/tagboat?host=%s", password, t.TempDir()), store.Options{})
	if !fault.Is(err, fault.Transient) || fault.HintOf(err) == "" {
		t.Errorf("%v is %v with hint %q; want transient with a hint", err, fault.KindOf(err), fault.HintOf(err))
	}
	_, malformed := store.Open(t.Context(), "postgres://tagboat:"+password+"@host:port:1/", store.Options{})
	if !fault.Is(malformed, fault.Invalid) {
		t.Errorf("a malformed URL: %v; want invalid", malformed)
	}
	for _, err := range []error{err, malformed} {
		if strings.Contains(err.Error()+fault.HintOf(err), password) {
			t.Errorf("the password is shown: %v", err)
		}
	}
}

func TestEnvReposAreFoundAsGitHubFindsThem(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"env", "ENV"} {
		r, err := w.store.RepoByName(w.ctx, "Acme", name)
		if err != nil || r.ID != w.repo.ID {
			t.Errorf("Acme/%s: %+v, %v", name, r, err)
		}
	}
	moved := w.seeRepo(store.SeenRepo{GitHubID: 501, Owner: "acme", Name: "env", Installation: 78, DefaultBranch: "trunk"})
	w.must(w.store.SetConfigError(w.ctx, moved.ID, "tagboat.yaml:3: no environments"))
	repos, err := w.store.Repos(w.ctx)
	w.must(err)
	if len(repos) != 1 || repos[0].ID != w.repo.ID || repos[0].InstallationID != 78 || repos[0].DefaultBranch != "trunk" || repos[0].ConfigError == "" {
		t.Errorf("the env repos are %+v", repos)
	}
}
