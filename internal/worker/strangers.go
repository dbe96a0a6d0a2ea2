package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// strangers has a pull request of the env repo looked at that is not ours: the
// branch may require our check, and people must be able to change tagboat.yaml, a
// base, or an overlay by hand. Their review is GitHub's business. But a version does
// not get into an environment that way without evidence (I1): only one that the
// environment had before, which is how people go back.
//
// A check run belongs to a commit, not to a pull request. So a commit of ours
// never gets this one, whichever branch somebody points at it.
func (w *Worker) strangers(ctx context.Context, e github.PullChanged) (string, error) {
	retargeted := e.Action == "edited" && e.OldBase != ""
	if e.Action != "opened" && e.Action != "synchronize" && e.Action != "reopened" && !retargeted {
		return "", errNotOurs
	}
	repo, err := w.envRepo(ctx, e.Repo)
	if err != nil {
		return "", err
	}
	ours, err := w.Store.KnownHead(ctx, e.Pull.HeadSHA)
	if err != nil || ours || strings.HasPrefix(e.Pull.HeadRef, branchPrefix) {
		return "one of our commits or branches", err
	}
	return "not a promotion, to be compared", w.Store.Enqueue(ctx, job.Stranger{
		Repo: repo.ID, HeadSHA: e.Pull.HeadSHA, BaseRef: e.Pull.BaseRef, BaseSHA: e.Pull.BaseSHA,
	})
}

// stranger makes the check of somebody's pull request. Where the same commit is
// proposed to several branches, the worse verdict stands: a success may have been
// about a branch on which nothing moves.
func (w *Worker) stranger(ctx context.Context, j *river.Job[job.Stranger]) error {
	repo, err := w.Store.Repo(ctx, j.Args.Repo)
	if err != nil || !store.Readable(repo) {
		return err
	}
	door := w.repo(repo)
	checks, err := door.Checks(ctx, j.Args.HeadSHA)
	if err != nil {
		return err
	}
	said := w.concluded(checks)
	if said != "" && said != "success" {
		return nil
	}
	found, deployed, err := w.compared(ctx, repo, j.Args)
	if err != nil || !deployed || said == "success" && !found.refused() {
		return err
	}
	if found.back {
		ctx = github.WithPriority(ctx, github.RollingBack) // whoever goes back waits for this check
	} else {
		ctx = github.WithPriority(ctx, github.Checking)
	}
	check := strangersCheck(j.Args.HeadSHA, found)
	id, err := door.CreateCheck(ctx, check)
	if err != nil {
		return err
	}
	return w.Store.RecordStranger(ctx, repo, id, check.HeadSHA, check.Conclusion)
}

// concluded is how our own check on a commit ended; "" where there is none.
func (w *Worker) concluded(checks []github.Check) string {
	for _, c := range checks {
		if c.AppID == w.GitHub.ID() && c.Name == CheckName {
			if c.Conclusion == "" {
				return c.Status
			}
			return c.Conclusion
		}
	}
	return ""
}

// findings are what people read about somebody's pull request.
type findings struct {
	looked   int      // overlays that it may change
	compared int      // of them, those that could be rendered with it and without it
	moved    []moving // versions that were never there, names that stand for others
	unread   []string // what cannot be rendered or read, so that nobody can tell
	// forbidden is what rules do not let in; remarks are where it stands.
	forbidden []string
	remarks   []github.Annotation
	notes     []string // what a reviewer should not overlook
	back      bool     // a version moves to one that was there before: a rollback
}

// moving is one line about what moves. The same key is the same thing, found in
// another place: in the file, and in every container that it is rendered into.
type moving struct{ key, line string }

func (f *findings) refused() bool { return len(f.moved)+len(f.unread)+len(f.forbidden) > 0 }

// add takes over what was found elsewhere.
func (f *findings) add(o findings) {
	f.looked += o.looked
	f.compared += o.compared
	f.moved = append(f.moved, o.moved...)
	f.unread = append(f.unread, o.unread...)
	f.forbidden = append(f.forbidden, o.forbidden...)
	for _, a := range o.remarks { // what stands in a base is found in every overlay of it
		if len(f.remarks) < maxRemarks && !slices.Contains(f.remarks, a) {
			f.remarks = append(f.remarks, a)
		}
	}
	f.notes = append(f.notes, o.notes...)
	f.back = f.back || o.back
}

func strangersCheck(head string, f findings) github.CheckRun {
	run := github.CheckRun{Name: CheckName, HeadSHA: head, Status: "completed", Conclusion: "success", Title: "Not a promotion", Annotations: f.remarks}
	var b strings.Builder
	switch {
	case len(f.moved) > 0:
		run.Conclusion, run.Title = "failure", "Moves a version without evidence"
	case len(f.unread) > 0:
		run.Conclusion, run.Title = "failure", "Nobody can tell what it moves"
	case len(f.forbidden) > 0:
		run.Conclusion, run.Title = "failure", "Brings what rules forbid"
	default:
		fmt.Fprintf(&b, "This pull request is not Tagboat's, and moves no version to where it was not before: %s Review it as any change.\n\n", extent(f))
	}
	if len(f.moved) > 0 {
		b.WriteString("This pull request is not Tagboat's, and moves versions that were never verified for their environment, or were taken back there:\n\n" + listed(movedLines(f.moved)) +
			"\nTake them out of it, and comment `/promote <env> <app> <tag>` instead: then the digest is verified, and the environment's gates are asked. " +
			"Going back to a version that the environment had before is allowed. An image beside the app's own can be promoted once `" + envrepo.File +
			"` names both as apps, each with its images. Another image in the place of one is no version of it: give it a container or an app of its own. " +
			"If this pull request is not meant to touch any of it, its branch is behind: update it from the base branch.\n\n")
	}
	if len(f.unread) > 0 {
		b.WriteString("With this pull request, these cannot be rendered or read, so nobody can tell which versions it moves:\n\n" + listed(f.unread) +
			"\nMend them here and push; `tagboat validate` says the same about a checkout.\n\n")
	}
	if len(f.forbidden) > 0 {
		b.WriteString("The rules in force on the base branch do not let this in:\n\n" + listed(f.forbidden) +
			"\nMend it here and push; `tagboat check` says the same about a checkout. Whoever maintains `" + envrepo.File + "` can waive a rule for a while.\n\n")
	}
	if len(f.notes) > 0 {
		b.WriteString("Worth a look:\n\n" + listed(f.notes))
	}
	run.Summary = strings.TrimSpace(b.String())
	return run
}

func movedLines(moved []moving) (lines []string) {
	said := map[string]bool{}
	for _, m := range moved {
		if !said[m.key] {
			lines = append(lines, m.line)
		}
		said[m.key] = true
	}
	return lines
}

// extent says how much the verdict rests on.
func extent(f findings) string {
	switch {
	case f.looked == 0:
		return "nothing that an overlay renders from differs."
	case f.compared < f.looked:
		return fmt.Sprintf("of %d overlays that it may change, %d could be rendered with it and without it, and were compared.", f.looked, f.compared)
	case f.looked == 1:
		return "one overlay was rendered with it and without it, and compared."
	}
	return fmt.Sprintf("%d overlays were rendered with it and without it, and compared.", f.compared)
}

// mostListed is how many lines of one kind people get to read.
const mostListed = 20

// listed is a Markdown list of the first lines, each said once.
func listed(lines []string) string {
	var b strings.Builder
	said := map[string]bool{}
	for _, line := range lines {
		if said[line] {
			continue
		}
		if said[line] = true; len(said) <= mostListed {
			b.WriteString("- " + line + "\n")
		}
	}
	if more := len(said) - mostListed; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	return b.String()
}

// inEnvironment is how people call an app in an environment.
func inEnvironment(app, env string) string {
	return checklist.Escape(app) + " in " + checklist.Escape(env)
}
