package store_test

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/store/storetest"
)

// I8: whoever changes the log, shows.
func TestTheAuditLogTellsThatItWasChanged(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	in := w.proposal("prod", a)
	in.Requester = alice
	out, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	w.must(w.store.RecordRegenerated(w.ctx, out.Promotion, w.commit(a, sha("2"))))
	w.must(w.store.RecordClosed(w.ctx, out.Promotion, "closed"))
	w.exec("ALTER TABLE audit DISABLE TRIGGER audit_append_only") // only the table's owner can
	w.exec("CREATE TABLE untouched AS TABLE audit")
	for story, change := range map[string]struct {
		sql    string
		sound  int64 // rows before the change
		intact bool
	}{
		"nobody touched it":              {intact: true, sound: 4},
		"another actor":                  {sql: "UPDATE audit SET actor = 'bob', actor_id = 2 WHERE id = 2", sound: 1},
		"another time":                   {sql: "UPDATE audit SET at = at + interval '1 microsecond' WHERE id = 1", sound: 0},
		"other grounds":                  {sql: "UPDATE audit SET inputs = replace(inputs, 'prod', 'dev ') WHERE id = 2", sound: 1},
		"another promotion":              {sql: "UPDATE audit SET promotion_id = 9 WHERE id = 3", sound: 2},
		"a row is missing in the middle": {sql: "DELETE FROM audit WHERE id = 2", sound: 1},
		"the first row is missing":       {sql: "DELETE FROM audit WHERE id = 1", sound: 0},
		"a row is missing, and the ids closed up": {
			sql: "DELETE FROM audit WHERE id = 2; UPDATE audit SET id = id - 1 WHERE id = 3; UPDATE audit SET id = id - 1 WHERE id = 4", sound: 1,
		},
		"a row was put in": {
			sql: "INSERT INTO audit SELECT 5, at, actor_id, actor, 'merged', promotion_id, delivery_id, sha, inputs, hash, hash FROM audit WHERE id = 4", sound: 4,
		},
	} {
		t.Run(story, func(t *testing.T) {
			w.exec("DELETE FROM audit")
			w.exec("INSERT INTO audit SELECT * FROM untouched")
			if change.sql != "" {
				w.exec(change.sql)
			}
			rows, err := w.store.VerifyAudit(w.ctx)
			if rows != change.sound || (err == nil) != change.intact {
				t.Errorf("%d sound rows, %v; want %d", rows, err, change.sound)
			}
			if err != nil && !strings.Contains(err.Error(), "the log was changed") {
				t.Errorf("%v does not say what happened", err)
			}
		})
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
	if rows, err := other.VerifyAudit(w.ctx); err != nil || rows != 40 {
		t.Errorf("%d rows, %v; want 40", rows, err)
	}
}
