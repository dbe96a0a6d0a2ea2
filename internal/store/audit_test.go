package store_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

// logged is a world with a log of six rows, and a copy of them. Nothing but the
// chain watches over the log any more: the triggers are off, which only the
// table's owner can do.
func logged(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	in := w.proposal("prod", a)
	in.Requester = alice
	out, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	w.clock.pass(1000)
	w.must(w.store.RecordRegenerated(w.ctx, out.Promotion, w.commit(a, sha("2"))))
	w.must(w.store.RecordReview(w.ctx, out.Promotion.ID, store.NewReview{ReviewID: 5, Reviewer: bob, State: "APPROVED", HeadSHA: sha("2"), SubmittedAt: w.clock.now()}, 0, reconcile))
	w.merge(w.promotion(out.Promotion.ID), alice, sha("9"))
	w.must(w.store.RecordComment(w.ctx, out.Promotion.ID, 31, "shown"))
	w.exec("ALTER TABLE audit DISABLE TRIGGER USER")
	w.exec("CREATE TABLE untouched AS TABLE audit")
	w.exec("CREATE TABLE head AS TABLE audit_head")
	return w
}

func (w *world) restore() {
	w.Helper()
	w.exec("DELETE FROM audit; INSERT INTO audit SELECT * FROM untouched; DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM head")
}

// broken wants the log to be found changed: at a row, and in a way.
func (w *world) broken(t *testing.T, row int64, kind string, marks ...store.Mark) {
	t.Helper()
	p, err := w.store.VerifyAudit(w.ctx, marks...)
	switch {
	case err != nil:
		t.Fatal(err)
	case p.Break == nil:
		t.Fatalf("nobody noticed; %d rows", p.Rows)
	case p.Break.Row != row || p.Break.Kind != kind:
		t.Errorf("%+v; want row %d %s", *p.Break, row, kind)
	case p.Break.Found == "" || p.Break.Means == "" || !strings.Contains(p.Err().Error(), p.Break.Found):
		t.Errorf("%+v does not say what happened", *p.Break)
	}
}

const rows = 6

// I8: whoever changes the log, shows. Each column of each row counts.
func TestEveryColumnOfTheAuditLogIsProven(t *testing.T) {
	w := logged(t)
	columns := strs(t, connect(t, storetest.URL(t)), "SELECT column_name FROM information_schema.columns WHERE table_name = 'audit' AND table_schema = 'public' ORDER BY 1")
	if len(columns) != 11 {
		t.Fatalf("the log has the columns %s", columns)
	}
	changes := map[string]string{
		"at": "at + interval '1 microsecond'", "actor_id": "actor_id + 1", "promotion_id": "coalesce(promotion_id, 0) + 1", "delivery_id": "coalesce(delivery_id, 0) + 1",
	}
	for _, column := range columns {
		change := changes[column]
		if change == "" {
			change = column + " || ' '"
		}
		for row := int64(1); row <= rows && column != "id"; row++ {
			w.restore()
			w.exec(fmt.Sprintf("UPDATE audit SET %s = %s WHERE id = %d", column, change, row))
			w.broken(t, row, store.Edited)
		}
	}
}

func TestTheAuditLogTellsThatItWasChanged(t *testing.T) {
	w := logged(t)
	proof, err := w.store.VerifyAudit(w.ctx)
	w.must(err)
	if proof.Rows != rows || proof.Err() != nil || len(proof.Head) != 64 {
		t.Fatalf("untouched, it comes to %+v, %v", proof, proof.Err())
	}
	later := fmt.Sprintf("INSERT INTO audit SELECT id + %d, at, actor_id, actor, action, promotion_id, delivery_id, sha, inputs, prev_hash, hash FROM audit WHERE id = 2", rows-1)
	for story, c := range map[string]struct {
		sql  string
		row  int64
		kind string
	}{
		"a row has another number":                  {"UPDATE audit SET id = 99 WHERE id = 3", 3, store.Removed},
		"a row is missing in the middle":            {"DELETE FROM audit WHERE id = 2", 2, store.Removed},
		"several rows are missing":                  {"DELETE FROM audit WHERE id IN (3, 4)", 3, store.Removed},
		"the first row is missing":                  {"DELETE FROM audit WHERE id = 1", 1, store.Removed},
		"the last row is missing":                   {"DELETE FROM audit WHERE id = 6", 6, store.Removed},
		"all rows are missing":                      {"DELETE FROM audit", 1, store.Removed},
		"a row is missing, and the gap is closed":   {"DELETE FROM audit WHERE id = 2; UPDATE audit SET id = -id WHERE id > 2; UPDATE audit SET id = -id - 1 WHERE id < 0", 2, store.Removed},
		"the first is missing, and the gap closed":  {"DELETE FROM audit WHERE id = 1; UPDATE audit SET id = -id; UPDATE audit SET id = -id - 1", 1, store.Removed},
		"two rows are exchanged":                    {"UPDATE audit SET id = -2 WHERE id = 2; UPDATE audit SET id = 2 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = -2", 2, store.Reordered},
		"two distant rows are exchanged":            {"UPDATE audit SET id = -1 WHERE id = 1; UPDATE audit SET id = 1 WHERE id = 6; UPDATE audit SET id = 6 WHERE id = -1", 1, store.Reordered},
		"a row was put in at the end":               {later, 7, store.Reordered},
		"a row was put in between, the rest shoved": {"UPDATE audit SET id = -id WHERE id > 2; UPDATE audit SET id = -id + 1 WHERE id < 0; " + strings.Replace(later, "id + 5", "3", 1), 3, store.Reordered},
		"what the log is said to end with":          {"UPDATE audit_head SET hash = 'x'", 6, store.Rewritten},
		"the end is cut off, and said to be it":     {"DELETE FROM audit WHERE id > 4; UPDATE audit_head SET (id, hash) = (SELECT id, hash FROM audit WHERE id = 4)", 0, store.Uncontained},
	} {
		t.Run(story, func(t *testing.T) {
			w.restore()
			w.exec(c.sql)
			w.broken(t, c.row, c.kind)
		})
	}
	w.restore()
	if again, err := w.store.VerifyAudit(w.ctx); err != nil || again != proof {
		t.Errorf("restored, it comes to %+v, %v", again, err)
	}
}

// Whoever can calculate hashes can write another log that holds. Only what was
// noted of the first one shows that.
func TestALogThatWasWrittenAnewDiffersFromWhatWasNoted(t *testing.T) {
	w := logged(t)
	proof, err := w.store.VerifyAudit(w.ctx)
	w.must(err)
	mark := proof.Mark()
	if p, err := w.store.VerifyAudit(w.ctx, mark); err != nil || p.Err() != nil {
		t.Fatalf("%v, %v", err, p.Err())
	}
	now, err := w.store.AuditMark(w.ctx)
	w.must(err)
	if now != mark {
		t.Errorf("the end of the log is %s, and was proven to be %s", now, mark)
	}
	w.rewrite(5, "UPDATE audit SET actor_id = 2, actor = 'bob' WHERE id = 5")
	if p, err := w.store.VerifyAudit(w.ctx); err != nil || p.Err() != nil {
		t.Fatalf("the forgery does not hold: %v, %v", err, p.Err())
	}
	w.broken(t, mark.Row, store.Rewritten, mark)
	w.restore()
	w.broken(t, 7, store.Removed, store.Mark{Row: 7, Hash: mark.Hash})

	w.rewrite(4, `UPDATE audit SET inputs = replace(inputs, 'APPROVED', 'COMMENTED') WHERE id = 4`)
	w.broken(t, 0, store.Uncontained) // the review is in the table of reviews, too
	w.restore()
	w.exec("ALTER TABLE review DISABLE TRIGGER USER; UPDATE review SET state = 'COMMENTED'")
	w.broken(t, 0, store.Uncontained)
}

// rewrite changes the log and calculates the hashes from a row on anew.
func (w *world) rewrite(from int64, change string) {
	w.Helper()
	w.exec(change)
	log, err := w.store.AuditLog(w.ctx, 0, 1000)
	w.must(err)
	for i := from - 1; i < int64(len(log)); i++ {
		if i > 0 {
			log[i].PrevHash = log[i-1].Hash
		}
		log[i].Hash = store.Chain(log[i])
		w.exec("UPDATE audit SET prev_hash = $2, hash = $3 WHERE id = $1", log[i].ID, log[i].PrevHash, log[i].Hash)
	}
	w.exec("UPDATE audit_head SET hash = $1", log[len(log)-1].Hash)
}

// Two rows that follow from themselves, but not from one another.
func TestARowWhoseHashWasCalculatedAnew(t *testing.T) {
	w := logged(t)
	w.exec("UPDATE audit SET actor = 'mallory' WHERE id = 3")
	log, err := w.store.AuditLog(w.ctx, 2, 1)
	w.must(err)
	w.exec("UPDATE audit SET hash = $1 WHERE id = 3", store.Chain(log[0]))
	w.broken(t, 4, store.Rewritten)
}

// Whatever is done to the rows: unless they are what they were, it shows.
func TestAnyChangeOfTheAuditLogShows(t *testing.T) {
	w := logged(t)
	row := rapid.IntRange(1, rows)
	read := func() (log []store.Audit) {
		log, err := w.store.AuditLog(w.ctx, -100, 100)
		w.must(err)
		return log
	}
	before := read()
	rapid.Check(t, func(rt *rapid.T) {
		w.restore()
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			a, b := row.Draw(rt, "row"), row.Draw(rt, "other")
			change := rapid.SampledFrom([]string{
				"UPDATE audit SET actor = (SELECT actor FROM untouched WHERE id = %[2]d) WHERE id = %[1]d",
				"UPDATE audit SET inputs = (SELECT inputs FROM untouched WHERE id = %[2]d) WHERE id = %[1]d",
				"UPDATE audit SET (hash, prev_hash) = (SELECT hash, prev_hash FROM untouched WHERE id = %[2]d) WHERE id = %[1]d",
				"DELETE FROM audit WHERE id = %[1]d",
				"DELETE FROM audit WHERE id >= %[1]d",
				"UPDATE audit SET id = -50 WHERE id = %[1]d; UPDATE audit SET id = %[1]d WHERE id = %[2]d; UPDATE audit SET id = %[2]d WHERE id = -50",
				"UPDATE audit SET id = id + 50 WHERE id >= %[1]d; UPDATE audit SET id = id - 51 WHERE id > %[1]d + 50; DELETE FROM audit WHERE id > 50",
				"INSERT INTO audit SELECT * FROM untouched ON CONFLICT DO NOTHING",
			}).Draw(rt, "change")
			w.exec(fmt.Sprintf(strings.ReplaceAll(change+" /* %[1]d %[2]d */", "\n", " "), a, b))
		}
		p, err := w.store.VerifyAudit(w.ctx)
		w.must(err)
		same := slices.EqualFunc(before, read(), func(a, b store.Audit) bool {
			return a.ID == b.ID && a.Hash == b.Hash && store.Chain(a) == store.Chain(b)
		})
		if same != (p.Break == nil) {
			rt.Fatalf("the same: %v; %+v", same, p.Break)
		}
	})
}

// What the hash is taken of never changes: every log out there hangs on it, and
// docs/audit.md tells others how to calculate it.
func TestTheHashOfARowIsForEver(t *testing.T) {
	t.Parallel()
	promotion := int64(4)
	row := store.Audit{
		ID: 2, At: time.Date(2026, 3, 5, 9, 0, 0, 120_000_000, time.FixedZone("", 3600)), ActorID: 11, Actor: "alice",
		Action: "merged", PromotionID: &promotion, SHA: "abc", Inputs: `{"why":"<b>"}`, PrevHash: "before", Hash: "whatever",
	}
	text := `{"ID":2,"At":"2026-03-05T08:00:00.12Z","ActorID":11,"Actor":"alice","Action":"merged","PromotionID":4,"DeliveryID":null,` +
		`"SHA":"abc","Inputs":"{\"why\":\"\u003cb\u003e\"}","PrevHash":"before","Hash":""}`
	if got, want := store.Chain(row), fmt.Sprintf("%x", sha256.Sum256([]byte(text))); got != want {
		t.Errorf("the hash is %s, want %s", got, want)
	}
}

// The database refuses a row that does not continue the log, with the triggers on.
func TestOnlyTheNextRowCanBeAppended(t *testing.T) {
	w := newWorld(t)
	w.artifact("1.7.0", digest("a"))
	for _, row := range []string{"1, 'x', 'y'", "3, 'x', 'y'", "2, 'x', 'y'", "2, '', 'y'"} {
		_, err := w.store.Pool().Exec(w.ctx, "INSERT INTO audit (id, prev_hash, hash, at, actor_id, actor, action, sha, inputs) SELECT "+row+", now(), 0, '', 'merged', '', '{}'")
		if err == nil || !strings.Contains(err.Error(), "does not continue the log") {
			t.Errorf("%s: %v", row, err)
		}
	}
}

// Replicas append at once, and read what PostgreSQL kept: the chain holds.
func TestTheAuditLogIsOneChain(t *testing.T) {
	w := newWorld(t)
	other := storetest.Open(t)
	done := make(chan error, 40)
	for i := range 40 {
		s := w.store
		if i%2 == 0 {
			s = other
		}
		go func() {
			_, err := s.Refuse(w.ctx, w.verified(strings.Repeat("9", i+1), digest("a")), "because")
			done <- err
		}()
	}
	for range 40 {
		w.must(<-done)
	}
	if p, err := other.VerifyAudit(w.ctx); err != nil || p.Err() != nil || p.Rows != 40 {
		t.Errorf("%d rows, %v, %v; want 40", p.Rows, err, p.Err())
	}
}

// What changes something, or comes to something else, has a row; a look that finds
// everything as it was has none.
func TestLooksHaveNoRows(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	target := w.target("prod", "eu")
	p := w.open("prod", a, 7, sha("1"))
	w.merge(p, alice, sha("9"))
	counted := func(action string) int { return w.count("SELECT count(*) FROM audit WHERE action = $1", action) }
	finish := func(sync int64, r store.Reached) {
		t.Helper()
		target, err := w.store.Target(w.ctx, target.ID)
		w.must(err)
		w.must(w.store.FinishSync(w.ctx, target, sync, r, after))
	}
	healthy := store.Reached{Commit: sha("9"), Digest: a.Digest, State: store.TargetHealthy}
	away := store.Reached{Commit: sha("9"), Digest: a.Digest, State: store.TargetUnreachable, Message: "no answer"}
	mended := healthy
	mended.Changed = 1
	later := healthy
	later.Commit = sha("8")
	for i, step := range []struct {
		sync    int64
		reached store.Reached
		rows    int
	}{{1, healthy, 1}, {0, healthy, 1}, {0, later, 1}, {0, mended, 2}, {2, later, 3}, {3, away, 4}, {4, away, 4}, {0, healthy, 5}} {
		finish(step.sync, step.reached)
		if n := counted(store.ActionSynced); n != step.rows {
			t.Errorf("step %d: %d rows, want %d", i, n, step.rows)
		}
	}
	if n := w.count("SELECT count(*) FROM audit WHERE action = 'cluster synced' AND promotion_id = $1", p.ID); n != 5 {
		t.Errorf("%d rows name the promotion that brought the digest", n)
	}
	for range 2 {
		w.must(w.store.Observe(w.ctx, p, a.Digest, []store.Observed{{Gate: "digest", Verdict: "pass"}, {Gate: "head", Verdict: "pass"}}, true))
		w.must(w.store.RecordToldRefused(w.ctx, p.ID, 5, w.verified("1.7.0", digest("b")), "other content"))
	}
	if observed, told := counted(store.ActionObserved), counted(store.ActionToldRefused); observed != 1 || told != 1 {
		t.Errorf("%d rows about the gates, %d about the refusal; want one each", observed, told)
	}
}
