package worker

import (
	"context"
	"fmt"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// replaced tells who asked for a promotion that another took its place, where they
// asked: the answer that they got there is not true any more. Who asked for the other
// one, too, knows.
func (w *Worker) replaced(ctx context.Context, j *river.Job[job.Replaced]) error {
	older, err := w.Store.Promotion(ctx, j.Args.Promotion)
	if err != nil {
		return err
	}
	newer, err := w.Store.Successor(ctx, older)
	if fault.Is(err, fault.NotFound) {
		return nil // it was merged after all
	}
	if err != nil {
		return err
	}
	asked, err := w.Store.Asked(ctx, older.ID)
	if err != nil {
		return err
	}
	for _, a := range asked {
		if a.By.ID == newer.RequesterID {
			continue
		}
		if err := w.tellReplaced(ctx, older, newer, a); err != nil {
			return err
		}
	}
	return nil
}

// tellReplaced comments where somebody asked, once per request.
func (w *Worker) tellReplaced(ctx context.Context, older, newer store.Promotion, to store.Asked) error {
	fresh, err := w.Store.Announce(ctx, older.ID, fmt.Sprintf("tell command %d of its replacement", to.Command))
	if err != nil {
		return err
	}
	at := to.Comment
	door := w.GitHub.Repo(at.Installation, at.Owner, at.Repo)
	marker := fmt.Sprintf("<!-- tagboat:replaced %d %d -->", older.ID, at.ID)
	if !fresh {
		id, found, err := door.FindComment(ctx, at.Number, marker)
		if err != nil {
			return err
		}
		if found {
			return w.Store.RecordToldReplaced(ctx, older.ID, newer.ID, to, id)
		}
	}
	text, err := w.replacement(ctx, older, newer)
	if err != nil {
		return err
	}
	id, err := door.Comment(ctx, at.Number, text+"\n\n"+marker)
	if err != nil {
		return err
	}
	return w.Store.RecordToldReplaced(ctx, older.ID, newer.ID, to, id)
}

// replacement is what happened to a promotion, in words.
func (w *Worker) replacement(ctx context.Context, older, newer store.Promotion) (string, error) {
	was, err := w.Store.Artifact(ctx, older.ArtifactID)
	if err != nil {
		return "", err
	}
	is, err := w.Store.Artifact(ctx, newer.ArtifactID)
	if err != nil {
		return "", err
	}
	by, err := w.requestedIn(ctx, newer)
	if err != nil {
		return "", err
	}
	r := checklist.Replacement{App: older.App, Env: older.Env, Was: was.Tag, Is: is.Tag, By: newer.Requester, ByURL: by, Pull: int(newer.PullNumber), PullURL: newer.PullURL}
	return checklist.RenderReplacement(r), nil
}

// requestedIn is the address of the first comment that asked for a promotion; ""
// where nobody asked in one.
func (w *Worker) requestedIn(ctx context.Context, p store.Promotion) (string, error) {
	asked, err := w.Store.Asked(ctx, p.ID)
	if err != nil || len(asked) == 0 {
		return "", err
	}
	c := asked[0].Comment
	return w.GitHub.Repo(c.Installation, c.Owner, c.Repo).CommentURL(c.Number, c.ID), nil
}

// requests reads where people asked for the promotion, and for those whose place it
// took.
func (l *look) requests(ctx context.Context) (err error) {
	if l.model.RequestURL, err = l.w.requestedIn(ctx, l.row); err != nil {
		return err
	}
	rows, err := l.w.Store.Superseded(ctx, l.row)
	for _, r := range rows {
		s := checklist.Superseded{Tag: r.Tag, Digest: r.Digest, RequestedBy: r.Requester, At: r.ReplacedAt}
		switch {
		case r.CommentID != 0:
			s.RequestURL = l.w.GitHub.Repo(l.repo.InstallationID, r.Owner, r.Repo).CommentURL(int(r.Number), r.CommentID)
		case r.Requester == "":
			s.RequestURL = r.RunURL
		}
		if r.HeadSHA != "" {
			s.CommitURL = l.door.CommitURL(r.HeadSHA)
		}
		l.model.Supersedes = append(l.model.Supersedes, s)
	}
	return err
}

// took says whose place a proposal took, without its subject; "" where it took
// nobody's.
func (w *Worker) took(ctx context.Context, done store.Proposed) (string, error) {
	if done.Older == nil {
		return "", nil
	}
	a, err := w.Store.Artifact(ctx, done.Older.ArtifactID)
	if err != nil {
		return "", err
	}
	text := " takes the place of " + checklist.Code(a.Tag)
	if by := done.Older.Requester; by != "" {
		text += ", which " + checklist.Escape(by) + " asked for"
	}
	return text + ".", nil
}
