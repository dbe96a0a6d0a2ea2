package web_test

import (
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

// What was taken back is told where people look for it, with who took it back and why.
func TestBoardTellsWhatWasTakenBack(t *testing.T) {
	w := newWorld(t)
	w.story()
	_, err := w.store.RecordRevert(w.ctx, store.Taken{
		Scope: store.Scope{Owner: "acme", Repo: w.repo("env"), Env: "dev", App: "payments"}, Image: image, Tag: "1.6.9", Digest: digest("9"),
		By: alice, Reason: "Revert \"1.6.9\" <b>", Commit: digest("c")[7:47],
	}, wake)
	w.must(err)
	w.pass(time.Minute)
	board := parse(t, w.page("/"))
	board.cell(t, "payments", "dev").reads(t, "1.6.9 sha256:999999999999 was taken back by alice 1 min ago, and is denied here: Revert \"1.6.9\" <b>")
}
