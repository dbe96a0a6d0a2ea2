package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// supersede ends a promotion whose place another takes, and has whoever asked for it
// told.
func (s *Store) supersede(ctx context.Context, tx pgx.Tx, q *query.Queries, older Promotion, by Proposal) error {
	a, err := q.Artifact(ctx, by.Artifact)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("%s took its place.", a.Tag)
	if by.Requester.Login != "" {
		message = fmt.Sprintf("%s took its place: %s asked for it.", a.Tag, by.Requester.Login)
	}
	if err := q.SupersedePromotion(ctx, query.SupersedePromotionParams{ID: older.ID, Message: message, At: s.now()}); err != nil {
		return err
	}
	if by.Replaced == nil {
		return nil
	}
	return s.enqueue(ctx, tx, by.Replaced(older.ID))
}

// Comment is where somebody said something to Tagboat; zero where they did not say it
// in a comment.
type Comment struct {
	Owner, Repo  string
	Installation int64
	Number       int
	ID           int64
}

// Asked is one request for a promotion.
type Asked struct {
	By      Actor
	At      time.Time
	Comment Comment
	Command int64
}

// Asked are the comments that asked for a promotion, in the order in which they did.
func (s *Store) Asked(ctx context.Context, promotion int64) (all []Asked, err error) {
	defer wrap(&err, "read who asked for promotion %d, and where", promotion)
	rows, err := s.query.Asked(ctx, promotion)
	for _, r := range rows {
		c := r.Command
		all = append(all, Asked{
			By: Actor{ID: r.ActorID, Login: r.Actor}, At: r.At, Command: c.ID,
			Comment: Comment{Owner: c.Owner, Repo: c.Repo, Installation: c.InstallationID, Number: int(c.Number), ID: c.CommentID},
		})
	}
	return all, err
}

// Superseded are the promotions whose place one took, the newest first: back to the
// last that came to another end.
func (s *Store) Superseded(ctx context.Context, p Promotion) (_ []query.SupersededRow, err error) {
	defer wrap(&err, "read what promotion %d superseded", p.ID)
	return s.query.Superseded(ctx, query.SupersededParams{RepoID: p.RepoID, App: p.App, Env: p.Env, ID: p.ID})
}

// Successor is the promotion that took the place of p; ErrNotFound if none did, or if
// p was merged after all.
func (s *Store) Successor(ctx context.Context, p Promotion) (_ Promotion, err error) {
	defer wrap(&err, "read what took the place of promotion %d", p.ID)
	if p.State != "superseded" || p.MergeSHA != "" {
		return Promotion{}, pgx.ErrNoRows
	}
	return s.query.NextPromotion(ctx, query.NextPromotionParams{RepoID: p.RepoID, App: p.App, Env: p.Env, ID: p.ID})
}

// RecordToldReplaced writes down, once, the comment that tells whoever asked for a
// promotion that another took its place.
func (s *Store) RecordToldReplaced(ctx context.Context, promotion, successor int64, to Asked, comment int64) (err error) {
	defer wrap(&err, "record that %s was told of the end of promotion %d", to.By.Login, promotion)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		fresh, err := q.AnnounceIntent(ctx, query.AnnounceIntentParams{
			PromotionID: promotion, Effect: fmt.Sprintf("told command %d of its replacement", to.Command), At: s.now(),
		})
		if err != nil || fresh == 0 {
			return err
		}
		return s.audit(ctx, q, Entry{Action: ActionToldReplace, Promotion: promotion, Inputs: map[string]any{
			"comment": comment, "asked by": to.By, "in": fmt.Sprintf("%s/%s#%d", to.Comment.Owner, to.Comment.Repo, to.Comment.Number), "superseded by": successor,
		}})
	})
}
