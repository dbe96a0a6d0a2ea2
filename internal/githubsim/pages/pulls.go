package pages

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/githubsim"
)

var errNoPlace = errors.New("a push needs a branch and the path of a file")

// pullRow is a line of a list. Word is Open, Draft, Merged or Closed.
type pullRow struct {
	githubsim.PullView
	Word string
}

type pullsPage struct {
	Open, Closed []pullRow // newest first
	Base         string
}

func (v *visit) showPulls() {
	p := pullsPage{Base: v.defaultBranch()}
	for _, pull := range slices.Backward(v.github.Pulls(v.repo)) {
		row := pullRow{pull, pullWord(pull)}
		if pull.State == "open" {
			p.Open = append(p.Open, row)
		} else {
			p.Closed = append(p.Closed, row)
		}
	}
	v.show("pulls", "pulls", "Pull requests", p)
}

func (v *visit) openPull() {
	number, err := v.person().OpenPull(v.repo, v.field("head"), v.field("base"), v.field("title"), v.field("body"))
	v.done(err, fmt.Sprintf("/%s/pull/%d", v.repo, number), v.showPulls)
}

// remark is a review or a comment, in the order of time.
type remark struct {
	Anchor, Author, Body string
	State                string // of a review
	Commit               string // that a review saw
	Stale                bool   // the review saw an older head
	When                 time.Time
	Edited               bool
	Reactions            []reactions
}

// reactions are those of one kind.
type reactions struct {
	Emoji, Name string
	Count       int
	Who         string
}

type pullPage struct {
	githubsim.PullView
	Remarks []remark
	Diff    []fileDiff
	Word    string // Open, Draft, Merged, Closed
}

// Added is the number of added lines, Removed of removed ones.
func (p pullPage) Added() (n int) {
	for _, f := range p.Diff {
		n += f.Added
	}
	return n
}

// Removed is the number of lines that are gone.
func (p pullPage) Removed() (n int) {
	for _, f := range p.Diff {
		n += f.Removed
	}
	return n
}

func (v *visit) showPull() {
	number, isDiff := strings.CutSuffix(v.r.PathValue("n"), ".diff")
	n, err := strconv.Atoi(number)
	if err != nil {
		v.missing("There is no pull request #" + number + ".")
		return
	}
	pull, err := v.github.Pull(v.repo, n)
	if err != nil {
		if _, ok := v.issue(n); ok {
			http.Redirect(v.w, v.r, fmt.Sprintf("/%s/issues/%d", v.repo, n), http.StatusFound)
			return
		}
		v.missing("There is no pull request #" + number + ".")
		return
	}
	if isDiff {
		v.text([]byte(pull.Diff))
		return
	}
	p := pullPage{PullView: pull, Diff: splitDiff(pull.Diff), Remarks: remarksOf(pull), Word: pullWord(pull)}
	v.show("pull", "pulls", fmt.Sprintf("%s #%d", pull.Title, n), p)
}

func pullWord(p githubsim.PullView) string {
	switch {
	case p.Merged:
		return "Merged"
	case p.State == "closed":
		return "Closed"
	case p.Draft:
		return "Draft"
	}
	return "Open"
}

func remarksOf(p githubsim.PullView) []remark {
	remarks := commentRemarks(p.Comments)
	for _, r := range p.Reviews {
		remarks = append(remarks, remark{
			Anchor: fmt.Sprintf("pullrequestreview-%d", r.ID), Author: r.Author, Body: r.Body, State: r.State,
			Commit: r.Commit, Stale: r.Commit != p.HeadSHA, When: r.Submitted,
		})
	}
	slices.SortStableFunc(remarks, func(a, b remark) int { return a.When.Compare(b.When) })
	return remarks
}

func commentRemarks(comments []githubsim.CommentView) []remark {
	var remarks []remark
	for _, c := range comments {
		remarks = append(remarks, remark{
			Anchor: fmt.Sprintf("issuecomment-%d", c.ID), Author: c.Author, Body: c.Body, When: c.Created,
			Edited: c.Updated.After(c.Created), Reactions: group(c.Reactions),
		})
	}
	return remarks
}

var emoji = map[string]string{
	"+1": "👍", "-1": "👎", "laugh": "😄", "hooray": "🎉", "confused": "😕", "heart": "❤️", "rocket": "🚀", "eyes": "👀",
}

func group(views []githubsim.ReactionView) []reactions {
	var groups []reactions
	for _, r := range views {
		at := slices.IndexFunc(groups, func(g reactions) bool { return g.Name == r.Content })
		if at < 0 {
			groups = append(groups, reactions{Emoji: emoji[r.Content], Name: r.Content, Count: 1, Who: r.User})
			continue
		}
		groups[at].Count++
		groups[at].Who += ", " + r.User
	}
	return groups
}

// changePull does what one of the forms of the page asks for.
func (v *visit) changePull() {
	n, err := strconv.Atoi(v.r.PathValue("n"))
	if err != nil {
		v.missing("There is no pull request " + v.r.PathValue("n") + ".")
		return
	}
	anchor, err := v.pullDeed(n)
	v.done(err, v.r.URL.Path+"#"+anchor, v.showPull)
}

// pullDeed gives the part of the page where the deed is to be seen.
func (v *visit) pullDeed(n int) (anchor string, err error) {
	person := v.person()
	var id int64
	switch do := v.field("do"); do {
	case "comment":
		id, err = person.Comment(v.repo, n, v.field("body"))
		return fmt.Sprintf("issuecomment-%d", id), err
	case "APPROVE", "REQUEST_CHANGES", "COMMENT":
		id, err = person.Review(v.repo, n, do, v.field("body"))
		return fmt.Sprintf("pullrequestreview-%d", id), err
	case "tick":
		return "description", v.tick(n)
	case "edit":
		return "description", person.EditPullBody(v.repo, n, func(string) string { return v.field("body") })
	case "merge":
		_, err = person.MergePull(v.repo, n, v.field("method"))
		return "merge", err
	case "close":
		return "merge", person.ClosePull(v.repo, n)
	case "reopen":
		return "merge", person.ReopenPull(v.repo, n)
	case "update":
		return "files", person.UpdateBranch(v.repo, n)
	case "push":
		return "files", v.pushTo(strings.TrimSpace(v.field("branch")))
	}
	return "", v.unknownDeed()
}

// tick ticks or unticks a box of the description.
func (v *visit) tick(n int) error {
	key, on := v.field("tick"), true
	if key == "" {
		key, on = v.field("untick"), false
	}
	pull, err := v.github.Pull(v.repo, n)
	if err != nil {
		return err
	}
	if _, err := setBox(pull.Body, key, on); err != nil {
		return err
	}
	var gone error
	err = v.person().EditPullBody(v.repo, n, func(body string) string {
		body, gone = setBox(body, key, on)
		return body
	})
	return errors.Join(err, gone)
}
