package checklist

import (
	"fmt"
	"strings"
)

// Between is what lies between the commits that two images were built from. Where
// nobody can tell, Unknown says why, and the rest is empty.
type Between struct {
	Repo          string // "acme/payments"
	Ahead, Behind int    // commits of the new one that the old one has not, and the other way round
	URL           string // where people see all of it
	Newest        []Commit
	Unknown       string // plain text
}

// Commit is one commit of a source repository.
type Commit struct{ SHA, Title, Author, URL string }

// MaxCommits is how many commits are shown by their titles.
const MaxCommits = 10

const (
	maxCommitTitle  = 100 // characters
	maxCommitAuthor = 60
)

// between says how far apart two images are, and how; "" where there is nothing to
// compare with. Titles and names are whatever people wrote.
func between(p Pull) string {
	if p.Set != nil {
		return p.Set.each(between)
	}
	b := p.Between
	if b == nil {
		return ""
	}
	if b.Unknown != "" {
		return "Not known: " + Escape(cutRunes(clean(b.Unknown), maxReason))
	}
	was, is, repo := Code(version(p.Old)), Code(version(p.New)), Code(b.Repo)
	compare := link("compare", b.URL)
	switch {
	case b.Ahead == 0 && b.Behind == 0:
		return fmt.Sprintf("None: %s and %s were built from the same commit of %s.", was, is, repo)
	case b.Ahead == 0:
		return fmt.Sprintf("**This goes back**: %s was built from an older commit of %s than %s, and lacks %s (%s).",
			is, repo, was, commitCount(b.Behind), compare)
	}
	var out strings.Builder
	if b.Behind > 0 {
		fmt.Fprintf(&out, "**The two were built from different lines of history** of %s: %s has %s that %s has not, and lacks %s that %s has (%s). New are:\n\n",
			repo, is, commitCount(b.Ahead), was, commitCount(b.Behind), was, compare)
	} else {
		fmt.Fprintf(&out, "%s of %s since %s (%s):\n\n", commitCount(b.Ahead), repo, was, compare)
	}
	for i, c := range b.Newest {
		if i == MaxCommits {
			break
		}
		title := Escape(cutRunes(clean(c.Title), maxCommitTitle))
		if title == "" {
			title = "(without a title)"
		}
		fmt.Fprintf(&out, "- %s %s", link(Code(shortCommit(c.SHA)), c.URL), title)
		if author := Escape(cutRunes(clean(c.Author), maxCommitAuthor)); author != "" {
			out.WriteString(", by " + author)
		}
		out.WriteString("\n")
	}
	if more := b.Ahead - min(len(b.Newest), MaxCommits); more > 0 {
		fmt.Fprintf(&out, "- and %d older\n", more)
	}
	return strings.TrimRight(out.String(), "\n")
}

func commitCount(n int) string {
	if n == 1 {
		return "1 commit"
	}
	return fmt.Sprintf("%d commits", n)
}
