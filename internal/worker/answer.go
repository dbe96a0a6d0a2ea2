package worker

import (
	"context"
	"fmt"
	"strings"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// The outcomes of a command, and the reactions that show them.
const (
	obeyed  = "obeyed"
	refused = "refused"
)

var reactions = map[string]string{obeyed: "rocket", refused: "confused"}

// answer works on a comment's commands: a reaction at once, then the commands,
// then the reaction that says how they went, and text where text helps.
func (w *Worker) answer(ctx context.Context, j *river.Job[job.Answer]) error {
	c, err := w.Store.Command(ctx, j.Args.Command)
	if err != nil {
		return err
	}
	door := w.GitHub.Repo(c.InstallationID, c.Owner, c.Repo)
	if c.Outcome == "" {
		// The command may be urgent; that it was seen is not, and does without where
		// GitHub's limits leave no room.
		if err := door.React(ctx, c.CommentID, "eyes"); err != nil && !fault.Is(err, fault.RateLimited) {
			return err
		}
		if c.Outcome, c.Reply, err = w.obey(ctx, c, door); err != nil {
			return err
		}
		if err := w.Store.AnswerCommand(ctx, c, c.Outcome, c.Reply); err != nil {
			return err
		}
	}
	if err := door.React(ctx, c.CommentID, reactions[c.Outcome]); err != nil {
		return err
	}
	return w.reply(ctx, c, door)
}

// reply posts the text that belongs to a command, once.
func (w *Worker) reply(ctx context.Context, c store.Command, door *github.Repo) error {
	if c.Reply == "" || c.ReplyID != 0 {
		return nil
	}
	marker := fmt.Sprintf("<!-- tagboat:reply %d -->", c.CommentID)
	if c.Replying {
		if id, found, err := door.FindComment(ctx, int(c.Number), marker); err != nil || found {
			if err != nil {
				return err
			}
			return w.Store.RecordReply(ctx, c, id)
		}
	}
	if err := w.Store.AnnounceReply(ctx, c.ID); err != nil {
		return err
	}
	id, err := door.Comment(ctx, int(c.Number), c.Reply+"\n\n"+marker)
	if err != nil {
		return err
	}
	return w.Store.RecordReply(ctx, c, id)
}

// obey carries out the commands of one comment. A command that cannot be carried
// out is refused with words; only what may pass is an error.
func (w *Worker) obey(ctx context.Context, c store.Command, door *github.Repo) (outcome, reply string, err error) {
	var replies []string
	outcome = obeyed
	for _, cmd := range command.Parse(c.Body) {
		text, err := w.obeyOne(ctx, c, door, cmd)
		if err != nil && fault.KindOf(err).Retryable() {
			return "", "", err
		}
		if err != nil {
			outcome, text = refused, checklist.Code(cmd.Source())+": "+checklist.Escape(explain(err))
		}
		if text != "" {
			replies = append(replies, text)
		}
	}
	return outcome, strings.Join(replies, "\n\n"), nil
}

func (w *Worker) obeyOne(ctx context.Context, c store.Command, door *github.Repo, cmd command.Command) (reply string, err error) {
	switch cmd := cmd.(type) {
	case command.Unknown:
		return "", fault.Errorf(fault.Invalid, "There is no command /%s; did you mean /%s?", cmd.Word, cmd.DidYouMean)
	case command.Malformed:
		return "", fault.Errorf(fault.Invalid, "%s. It is written %s.", sentence(cmd.Reason), cmd.Usage)
	}
	if err := w.mayCommand(ctx, c, door); err != nil {
		return "", err
	}
	switch cmd := cmd.(type) {
	case command.Help:
		return command.HelpText(), nil
	case command.Hold:
		return w.hold(ctx, c, cmd)
	case command.Unhold:
		return w.unhold(ctx, c)
	case command.Freeze:
		return w.freeze(ctx, c, door, cmd)
	case command.Thaw:
		return w.thaw(ctx, c, door, cmd)
	case command.Override:
		return w.override(ctx, c, cmd)
	case command.Explain:
		return w.explain(ctx, c, cmd)
	case command.Promote:
		return w.promote(ctx, c, door, cmd)
	}
	return "", fault.Errorf(fault.Broken, "there is no way to carry out %T", cmd)
}

// mayCommand: people with write permission on the repository of the comment.
func (w *Worker) mayCommand(ctx context.Context, c store.Command, door *github.Repo) error {
	role, err := door.Permission(ctx, c.Author)
	if err != nil {
		return err
	}
	if !writer(role) {
		return fault.Errorf(fault.Denied, "Only people with write permission on %s/%s can command Tagboat there; %s has “%s”. Ask one of them.", c.Owner, c.Repo, c.Author, role)
	}
	return nil
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
