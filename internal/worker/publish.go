package worker

import (
	"context"
	"fmt"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// publishCheck shows the gates' verdicts on the head commit.
func (w *Worker) publishCheck(ctx context.Context, l *look, gates []promotion.Gate) error {
	shown := checklist.RenderCheck(l.withGates(gates), checklist.StateOpen)
	run := github.CheckRun{
		Name: CheckName, HeadSHA: l.row.SeenHeadSHA, Status: "in_progress",
		Title: shown.Title, Summary: shown.Summary, Text: shown.Text,
		DetailsURL: w.promotionURL(l.row), ExternalID: fmt.Sprint(l.row.ID),
	}
	if shown.Conclusion != "" {
		run.Status, run.Conclusion = "completed", shown.Conclusion
	}
	remarks := annotationsHash(shown)
	id, err := w.checkRun(ctx, l, remarks)
	if err != nil {
		return err
	}
	if id != 0 {
		err = l.door.UpdateCheck(ctx, id, run)
	} else {
		run.Annotations = annotations(shown)
		id, err = l.door.CreateCheck(ctx, run)
	}
	if err != nil {
		return err
	}
	return w.Store.RecordCheckRun(ctx, l.row.ID, id, l.row.SeenHeadSHA, checkHash(shown), remarks)
}

func annotations(c checklist.Check) (all []github.Annotation) {
	for _, a := range c.Annotations {
		level := "warning"
		if a.Blocks {
			level = "failure"
		}
		all = append(all, github.Annotation{Path: a.Path, Line: max(1, a.Line), Level: level, Title: a.Title, Message: a.Message})
	}
	return all
}

// annotationsHash is "" where there are none.
func annotationsHash(c checklist.Check) string {
	var parts []string
	for _, a := range c.Annotations {
		parts = append(parts, fmt.Sprintf("%+v", a))
	}
	if parts == nil {
		return ""
	}
	return hash(parts...)
}

// checkRun is our check run on the head with these annotations, 0 if there is none:
// annotations cannot be taken back, so others want a run of their own. One whose
// creation was never recorded is looked for.
func (w *Worker) checkRun(ctx context.Context, l *look, remarks string) (int64, error) {
	if l.row.CheckSHA == l.row.SeenHeadSHA && l.row.CheckRunID != 0 && l.row.CheckAnnotations == remarks {
		return l.row.CheckRunID, nil
	}
	intent := "create check on " + l.row.SeenHeadSHA
	if remarks != "" || l.row.CheckAnnotations != "" {
		intent += " with " + remarks
	}
	fresh, err := w.Store.Announce(ctx, l.row.ID, intent)
	if err != nil || fresh {
		return 0, err
	}
	id, _, err := l.door.FindCheck(ctx, l.row.SeenHeadSHA, CheckName)
	return id, err
}

func (w *Worker) promotionURL(p store.Promotion) string {
	if w.BoardURL == "" {
		return ""
	}
	return fmt.Sprintf("%s/promotions/%d", w.BoardURL, p.ID)
}

// publishBody renders the title and the body from the model, and so takes back
// what was changed in the machine's part of it.
func (w *Worker) publishBody(ctx context.Context, l *look, gates []promotion.Gate) error {
	title := checklist.Title(l.model)
	body, err := checklist.RenderBody(l.template, l.withGates(gates))
	if err != nil {
		return err
	}
	if _, err := l.door.EditPull(ctx, int(l.row.PullNumber), github.PullEdit{Title: &title, Body: &body}); err != nil {
		return err
	}
	return w.Store.RecordBody(ctx, l.row, hash(title, body), body)
}
