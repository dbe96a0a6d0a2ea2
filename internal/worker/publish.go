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
	id, err := w.checkRun(ctx, l)
	if err != nil {
		return err
	}
	if id != 0 {
		err = l.door.UpdateCheck(ctx, id, run)
	} else {
		id, err = l.door.CreateCheck(ctx, run)
	}
	if err != nil {
		return err
	}
	return w.Store.RecordCheckRun(ctx, l.row.ID, id, l.row.SeenHeadSHA, checkHash(shown))
}

// checkRun is our check run on the head, 0 if there is none. One whose creation
// was never recorded is looked for.
func (w *Worker) checkRun(ctx context.Context, l *look) (int64, error) {
	if l.row.CheckSHA == l.row.SeenHeadSHA && l.row.CheckRunID != 0 {
		return l.row.CheckRunID, nil
	}
	fresh, err := w.Store.Announce(ctx, l.row.ID, "create check on "+l.row.SeenHeadSHA)
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
