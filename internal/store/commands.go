package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// NewCommand is a comment that holds at least one command.
type NewCommand struct {
	Owner, Repo  string
	RepoID       int64 // GitHub's
	Installation int64
	Number       int
	IsPull       bool
	Comment      int64
	Body         string
	Author       Actor
	SaidAt       time.Time
	Delivery     int64 // 0: nobody told of it, it was found
}

// RecordCommand keeps a comment and the job that answers it, once per comment.
func (s *Store) RecordCommand(ctx context.Context, c NewCommand, job func(command int64) river.JobArgs) (err error) {
	defer wrap(&err, "record comment %d", c.Comment)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		id, err := q.InsertCommand(ctx, query.InsertCommandParams{
			Owner: c.Owner, Repo: c.Repo, GithubRepoID: c.RepoID, InstallationID: c.Installation, Number: int32(c.Number), IsPull: c.IsPull,
			CommentID: c.Comment, Body: c.Body, AuthorID: c.Author.ID, Author: c.Author.Login,
			DeliveryID: reference(c.Delivery), SaidAt: c.SaidAt, ReceivedAt: s.now(),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return s.enqueue(ctx, tx, job(id))
	})
}

// Command is one recorded comment.
func (s *Store) Command(ctx context.Context, id int64) (_ Command, err error) {
	defer wrap(&err, "read command %d", id)
	return s.query.Command(ctx, id)
}

// Answer is what came of a command.
type Answer struct {
	Outcome string
	Reply   string   // what to say about it
	Slips   []string // the verbs that the reply says were probably meant
}

// AnswerCommand writes down what came of a command, and what to say about it.
func (s *Store) AnswerCommand(ctx context.Context, c Command, a Answer) (err error) {
	defer wrap(&err, "answer command %d", c.ID)
	if a.Slips == nil {
		a.Slips = []string{}
	}
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := q.AnswerCommand(ctx, query.AnswerCommandParams{ID: c.ID, Outcome: a.Outcome, Reply: a.Reply, Slips: a.Slips}); err != nil {
			return err
		}
		return s.audit(ctx, q, Entry{
			Actor: Actor{ID: c.AuthorID, Login: c.Author}, Action: ActionAnswered, Delivery: dereference(c.DeliveryID),
			Inputs: map[string]any{"comment": c.CommentID, "body": c.Body, "outcome": a.Outcome},
		})
	})
}

// ToldBefore reports whether the author of a command was told before, on the same issue,
// that this verb was probably meant.
func (s *Store) ToldBefore(ctx context.Context, c Command, verb string) (_ bool, err error) {
	defer wrap(&err, "look what %s was told", c.Author)
	return s.query.ToldBefore(ctx, query.ToldBeforeParams{
		Owner: c.Owner, Repo: c.Repo, Number: c.Number, AuthorID: c.AuthorID, ID: c.ID, Verb: verb,
	})
}

// AnnounceReply writes down that the reply is about to be posted.
func (s *Store) AnnounceReply(ctx context.Context, id int64) (err error) {
	defer wrap(&err, "announce the reply to command %d", id)
	return s.query.AnnounceReply(ctx, id)
}

// RecordReply keeps the comment that answered a command.
func (s *Store) RecordReply(ctx context.Context, c Command, comment int64) (err error) {
	defer wrap(&err, "keep the reply to command %d", c.ID)
	e := Entry{Action: ActionReplied, Delivery: dereference(c.DeliveryID), Inputs: map[string]any{"comment": c.CommentID, "reply": comment}}
	return s.effect(ctx, e, func(q *query.Queries) error {
		return q.SetReply(ctx, query.SetReplyParams{ID: c.ID, ReplyID: comment})
	})
}
