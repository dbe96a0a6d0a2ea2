package demo

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestWhatPeopleHold tells of people who change with kubectl what is in Git, where that is
// told and left to them. It keeps newer commits away as long as it stands, and nothing else.
func TestWhatPeopleHold(t *testing.T) {
	s := newScene(t)
	s.edit("What is marked as broken is ill", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return text + "health:\n  - {kind: ConfigMap, failed: \"has(metadata.annotations) && 'broken' in metadata.annotations\", current: \"true\", message: \"'somebody says that it is broken'\"}\n"
	}})
	s.story("what they have changed becomes ill, and well again", wellAgain)
	s.story("a newer commit waits until the change is undone", waitsUntilUndone)
	s.story("or until tagboat.yaml says that it is taken back", waitsUntilTaken)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// edits is kubectl edit of the settings that payments has in dev.
func (s *scene) edits(patch string) {
	s.Helper()
	_, err := s.byHand(configMaps, s.w.Namespaces["dev"]).Patch(s.ctx, "limits", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	s.must(err)
}

// looks has everything that is not healthy looked at: the branch has moved.
func (s *scene) looks(message string) {
	s.Helper()
	s.pushMain(message, map[string]string{"NOTES.md": message + "\n"})
}

// dev wants payments in dev to be as a condition says.
func (s *scene) dev(condition string) error {
	return s.w.none(s.ctx, `SELECT count(*) - 1 FROM target WHERE app = 'payments' AND env = 'dev' AND NOT gone AND `+condition)
}

func (s *scene) heldBack() {
	s.Helper()
	s.until("it is refused, and it is told who holds which field", func() error {
		return s.dev(`state = 'failed' AND message LIKE '%/limits%"kubectl-edit" manages data.is%force: people%'`)
	})
	s.boardSays("kubectl-edit", "manages data.is")
}

func wellAgain(s *scene) {
	s.inGit("Limits", settings{"limits": "ten"})
	s.until("dev has the limits", func() error { return s.has(settings{"limits": "ten"}) })
	s.edits(`{"metadata": {"annotations": {"broken": "yes"}}, "data": {"is": "twelve"}}`)
	s.until("both is told: the change, and that it is ill", func() error {
		return errors.Join(s.dev(`state = 'failed' AND ill AND drift_code <> '' AND message LIKE '%somebody says that it is broken%'`),
			s.w.boardSays(s.ctx, fmt.Sprintf("changed past Git: ConfigMap %s/limits: data.is is", s.w.Namespaces["dev"])))
	})
	s.looks("Look at what is ill")
	s.until("it is not applied anew over the change, and is ill, not refused", func() error {
		return s.dev(`state = 'failed' AND ill AND drift_code <> '' AND message LIKE '%somebody says that it is broken%' AND array_to_string(notes, ' ') LIKE '%cannot be applied anew%kubectl-edit%'`)
	})
	s.edits(`{"metadata": {"annotations": {"broken": null}}}`)
	s.looks("Look whether it is well")
	s.until("it is healthy, and the change is told still", func() error { return s.dev(`state = 'healthy' AND got = want AND drift_code <> ''`) })
	s.must(s.shows(settings{"limits": "twelve"}))
}

func waitsUntilUndone(s *scene) {
	s.inGit("Fewer limits", settings{"limits": "eleven"})
	s.heldBack()
	s.must(s.shows(settings{"limits": "twelve"}))
	s.edits(`{"data": {"is": "ten"}}`)
	s.until("the newer commit comes by itself", func() error { return s.has(settings{"limits": "eleven"}) })
	s.until("nothing is told as changed any more", func() error { return s.dev(`drift_code = '' AND notes = '{}'`) })
}

func waitsUntilTaken(s *scene) {
	s.edits(`{"data": {"is": "twelve"}}`)
	s.inGit("More limits", settings{"limits": "thirteen"})
	s.heldBack()
	s.edit("Take back what people change in dev", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "    clusters: [dev]\n", "    clusters: [dev]\n    force: people\n", 1)
	}})
	s.until("it is taken back", func() error { return s.has(settings{"limits": "thirteen"}) })
}
