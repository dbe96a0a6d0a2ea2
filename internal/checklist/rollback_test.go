package checklist_test

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/checklist"
)

// goingBack is a promotion that takes 1.7.0 back.
func goingBack() checklist.Pull {
	p := payments()
	p.Old, p.New = p.New, p.Old
	p.Reason = "1.7.0 returns errors; @bob"
	p.Undone = checklist.Undone{Bad: p.Old, Commits: []string{strings.Repeat("a", 40)}, Subject: "prod: payments 1.6.0 → 1.7.0 (#3)"}
	return p
}

func TestARollbackSaysWhatItTakesBackAndWhatItLeavesBehind(t *testing.T) {
	p := goingBack()
	if got, want := checklist.Title(p), "Roll payments in prod back to 1.6.0"; got != want {
		t.Errorf("the title is %q, want %q", got, want)
	}
	body, err := checklist.RenderBody(checklist.RollbackTemplate, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"Rolls **payments** in **prod** back to `1.6.0`, from `1.7.0`.", "1.7.0 returns errors; @&#8203;bob",
		"`1.7.0` is on the denylist of **prod** for **payments**", "`/allow prod payments 1.7.0` and `/unhold prod payments` lift them",
		"The commit reverts “prod: payments 1.6.0 → 1.7.0 (#&#8203;3)” (`aaaaaaaaaaaa`)",
	} {
		if !strings.Contains(body, part) {
			t.Errorf("want %q in\n%s", part, body)
		}
	}
	if items, err := checklist.HumanItems(checklist.RollbackTemplate, p); err != nil || len(items) > 0 {
		t.Errorf("a rollback asks people for %v, %v", items, err)
	}
	if text := checklist.RenderCheck(p, checklist.StateOpen).Text; !strings.Contains(text, "### Afterwards\n") {
		t.Errorf("the check does not say what comes afterwards:\n%s", text)
	}
}

// The commit is what git revert would write, whatever the subject was.
func TestTheCommitIsAGitRevert(t *testing.T) {
	p := goingBack()
	p.Undone.Commits = append(p.Undone.Commits, strings.Repeat("b", 40))
	if got, want := checklist.RevertTitle(p), `Revert "prod: payments 1.6.0 → 1.7.0 (#3)"`; got != want {
		t.Errorf("the subject is %q, want %q", got, want)
	}
	if got, want := checklist.RevertMessage(p), "This reverts commit "+strings.Repeat("a", 40)+".\nThis reverts commit "+strings.Repeat("b", 40)+".\n\n"; got != want {
		t.Errorf("the message is %q, want %q", got, want)
	}
	p.Undone.Subject = "two\nlines"
	if got := checklist.RevertTitle(p); got != `Revert "two lines"` {
		t.Errorf("the subject is %q", got)
	}
	p.Undone.Subject, p.Undone.Commits = "", nil
	if got := checklist.RevertTitle(p) + checklist.RevertMessage(p); got != checklist.Title(p) {
		t.Errorf("without a known commit it is %q", got)
	}
}
