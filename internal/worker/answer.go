package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// The outcomes of a command, and the reactions that show them.
const (
	obeyed    = "obeyed"
	refused   = "refused"
	withdrawn = "withdrawn" // the comment was deleted before it was worked on
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
		a, err := w.work(ctx, c, door)
		if err != nil {
			return err
		}
		if err := w.Store.AnswerCommand(ctx, c, a); err != nil {
			return err
		}
		c.Outcome, c.Reply = a.Outcome, a.Reply
	}
	if c.Outcome == withdrawn {
		return nil
	}
	err = door.React(ctx, c.CommentID, reactions[c.Outcome])
	switch gone := fault.Is(err, fault.NotFound); {
	case gone && c.Outcome == refused:
		return nil // whoever deleted it needs no explanation
	case err != nil && !gone:
		return err
	}
	return w.reply(ctx, c, door)
}

// work shows that the comment was seen, and carries its commands out. A comment that is
// not there any more asks for nothing.
func (w *Worker) work(ctx context.Context, c store.Command, door *github.Repo) (store.Answer, error) {
	// The command may be urgent; that it was seen is not, and does without where
	// GitHub's limits leave no room.
	err := door.React(ctx, c.CommentID, "eyes")
	switch {
	case fault.Is(err, fault.NotFound):
		return store.Answer{Outcome: withdrawn}, nil
	case err != nil && !fault.Is(err, fault.RateLimited):
		return store.Answer{}, err
	}
	return w.obey(ctx, c, door)
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
// out is refused with words; only what may pass is an error. Outsiders get no words.
func (w *Worker) obey(ctx context.Context, c store.Command, door *github.Repo) (a store.Answer, err error) {
	s, err := w.speaker(ctx, c, door)
	if err != nil || s.outsider {
		return store.Answer{Outcome: refused}, err
	}
	var replies []string
	a.Outcome = obeyed
	for _, cmd := range command.Parse(c.Body) {
		if slip, ok := cmd.(command.Unknown); ok {
			text, err := w.slipped(ctx, c, slip, &a)
			if err != nil {
				return a, err
			}
			a.Outcome, replies = refused, append(replies, text)
			continue
		}
		text, err := w.obeyOne(ctx, s, cmd)
		if err != nil && fault.KindOf(err).Retryable() {
			return a, err
		}
		if err != nil {
			a.Outcome, text = refused, refusedLine(cmd, err)
		}
		replies = append(replies, text)
	}
	a.Reply = together(replies)
	return a, nil
}

// together joins answers to one comment. What GitHub would not take with the others has
// to be asked for by itself.
func together(replies []string) string {
	const left = "_What else was asked for is too long to be answered here. Ask for it in a comment of its own._"
	var all string
	for _, text := range replies {
		switch {
		case text == "":
		case all == "":
			all = text
		case len(all)+len(text)+len(left)+4 > checklist.MaxReply:
			return all + "\n\n" + left
		default:
			all += "\n\n" + text
		}
	}
	return all
}

func refusedLine(cmd command.Command, err error) string {
	return checklist.Code(cmd.Source()) + ": " + checklist.Escape(explain(err))
}

// slipped asks which verb was meant, once for each verb, person and issue: whoever goes
// on writing it means something else.
func (w *Worker) slipped(ctx context.Context, c store.Command, cmd command.Unknown, a *store.Answer) (string, error) {
	if slices.Contains(a.Slips, cmd.DidYouMean) {
		return "", nil
	}
	told, err := w.Store.ToldBefore(ctx, c, cmd.DidYouMean)
	if err != nil || told {
		return "", err
	}
	a.Slips = append(a.Slips, cmd.DidYouMean)
	return refusedLine(cmd, fault.Errorf(fault.Invalid, "There is no command /%s; did you mean /%s?", cmd.Word, cmd.DidYouMean)), nil
}

// obeyOne carries out one command: what it is about, who may, and then the command.
func (w *Worker) obeyOne(ctx context.Context, s *speaker, cmd command.Command) (reply string, err error) {
	if cmd, wrong := cmd.(command.Malformed); wrong {
		return "", fault.Errorf(fault.Invalid, "%s. It is written %s.", sentence(cmd.Reason), cmd.Usage)
	}
	if _, help := cmd.(command.Help); help {
		return w.help(ctx, s)
	}
	r, cmd, err := w.understand(ctx, s, cmd)
	if err != nil {
		return "", err
	}
	switch cmd := cmd.(type) {
	case command.Hold:
		return w.hold(ctx, r, cmd)
	case command.Unhold:
		return w.unhold(ctx, r, cmd)
	case command.Freeze:
		return w.freeze(ctx, r, s, cmd)
	case command.Thaw:
		return w.thaw(ctx, r, s, cmd)
	case command.Override:
		return w.override(ctx, s.command, cmd)
	case command.Explain:
		return w.explain(ctx, r, cmd)
	case command.Promote:
		if cmd.From != "" {
			return w.promoteFrom(ctx, r, cmd)
		}
		return w.promote(ctx, r, cmd)
	case command.Retry:
		return w.retry(ctx, r, cmd)
	case command.Status:
		return w.status(ctx, r, cmd)
	case command.Diff:
		return w.diff(ctx, r, cmd)
	case command.Rollback:
		return w.rollback(ctx, r, cmd)
	case command.PruneOK:
		return w.pruneOK(ctx, r, cmd)
	case command.Adopt:
		return w.adoptOK(ctx, r, cmd)
	case command.Allow:
		return w.allow(ctx, r, cmd)
	}
	return "", fault.Errorf(fault.Broken, "there is no way to carry out %T", cmd)
}

// understand finds out what a command is about, and lets nobody pass who may not use it
// there. Nobody hears of environments before it is known that they may use the command.
func (w *Worker) understand(ctx context.Context, s *speaker, cmd command.Command) (request, command.Command, error) {
	r := request{command: s.command, env: cmd.Environment()}
	v, known := command.VerbOf(cmd.Verb())
	if !known {
		return r, cmd, fault.Errorf(fault.Broken, "%T has no row in the table of verbs", cmd)
	}
	if err := w.place(ctx, &r, s.door); err != nil {
		return r, cmd, err
	}
	if err := s.mayUse(ctx, r.repo, v); err != nil {
		return r, cmd, err
	}
	if worded, ok := cmd.(command.Worded); ok {
		var err error
		if cmd, err = w.resolve(ctx, r, worded); err != nil {
			return r, cmd, err
		}
		r.env = cmd.Environment()
	}
	if r.env == "" && r.carried != nil {
		r.env = r.carried.Env
	}
	return r, cmd, s.mayUseIn(ctx, r.repo, v, r.env)
}

// resolve tells names from reasons.
func (w *Worker) resolve(ctx context.Context, r request, cmd command.Worded) (command.Command, error) {
	var here command.Pair
	if r.carried != nil && r.carried.SetID == nil {
		here = command.Pair{Env: r.carried.Env, App: r.carried.App}
	}
	names, err := w.names(ctx, r)
	// What cannot be read can still be stopped, on its pull request.
	if err != nil && (r.carried == nil || fault.KindOf(err).Retryable()) {
		return cmd, err
	}
	meant, wrong := cmd.Resolve(here, names)
	if wrong != "" {
		return cmd, fault.Errorf(fault.Invalid, "%s", wrong)
	}
	return meant, nil
}

// names are the environments and the apps that a comment can be about: on a pull request
// of an application's repository, the apps that run what was built from it.
func (w *Worker) names(ctx context.Context, r request) (command.Names, error) {
	b, err := w.bases.recent(ctx, r.repo, "")
	if err != nil {
		return nil, err
	}
	uses, err := w.usesIn(ctx, r.repo, func(p envrepo.Pair) bool {
		return r.meant == nil || r.carried != nil || slices.Contains(p.Moves(), r.meant.Image)
	})
	if err != nil {
		return nil, err
	}
	var names command.Names
	for _, e := range b.config.Environments {
		n := command.EnvNames{Env: e.Name}
		for _, u := range uses {
			if u.env.Name == e.Name {
				n.Apps = append(n.Apps, u.pair.App)
			}
		}
		names = append(names, n)
	}
	return names, nil
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
