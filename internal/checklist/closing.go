package checklist

import (
	"fmt"
	"strings"
)

// ClosingMarker is the first line of the comment on a pull request that a person closed.
const ClosingMarker = "<!-- tagboat:closed -->"

// LeftMarker is the first line of the comment on a pull request that Tagboat closes because
// a rollback goes first.
const LeftMarker = "<!-- tagboat:left -->"

// RenderLeft says why Tagboat closes a pull request that brings something to an
// environment, and what to do.
func RenderLeft(env string) string {
	return fmt.Sprintf("%s\nTagboat closes this pull request: a rollback of what it would change in **%s** was asked for, and goes first. Whoever still wants this asks for it again when that is merged.\n",
		LeftMarker, Escape(env))
}

// Closing is a person's closing of a pull request.
type Closing struct {
	App, Env, Tag string
	With          []Version // the others that the pull request brought
	By            string    // login
	Follows       bool      // the environment takes new versions by itself
	BranchGone    bool
	Foreign       string // the commit on Branch that is not ours; "" where there is none
	Branch        string
}

// RenderClosing says what came of it, and how to ask again.
func RenderClosing(c Closing) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s closed this pull request, so %s of **%s**%s does not go to **%s**.", ClosingMarker, Escape(c.By), Code(c.Tag), Escape(c.App), with(c.With), Escape(c.Env))
	b.WriteString(" Tagboat opens no other one for it, newer versions included, until somebody asks again, here or on any issue of this repository:\n\n")
	for _, v := range append([]Version{{App: c.App, Tag: c.Tag}}, c.With...) {
		fmt.Fprintf(&b, "- %s asks for a version.\n", Code("/promote "+c.Env+" "+v.App))
		if c.Follows {
			fmt.Fprintf(&b, "- %s lets Tagboat propose by itself again what %s follows.\n", Code("/unhold "+c.Env+" "+v.App), Escape(c.Env))
		}
	}
	switch {
	case c.Foreign != "":
		fmt.Fprintf(&b, "\nIts branch %s stays, because commit %s on it is not Tagboat's. Whoever made that commit can save it elsewhere; the branch has to be deleted before somebody asks again.\n",
			Code(c.Branch), Code(shortCommit(c.Foreign)))
	case c.BranchGone:
		b.WriteString("\nIts branch is deleted, so GitHub cannot reopen it. Whoever restores the branch and reopens this pull request asks for this version again.\n")
	}
	return b.String()
}
