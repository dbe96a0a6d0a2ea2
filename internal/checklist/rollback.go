package checklist

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/image"
)

// RollbackTemplate is the body of a pull request that goes back, in every environment:
// the items of an environment's own template are about what is new.
//
//go:embed rollback.md
var RollbackTemplate string

// Undone is what a pull request takes back; zero for one that leads forward.
type Undone struct {
	Bad     image.Ref
	Commits []string // that are reverted, the newest first
	Subject string   // of the first of them
}

// Back reports whether there is anything that is taken back.
func (u Undone) Back() bool { return u.Bad.Tag != "" || u.Bad.Digest != "" }

// rollbackTitle is the title of a pull request that goes back.
func rollbackTitle(p Pull) string {
	return cutRunes(fmt.Sprintf("Roll %s in %s back to %s", name(p.App), name(p.Env), version(p.New)), maxTitle)
}

// RevertTitle is the subject of the commit that goes back, as git revert writes it.
func RevertTitle(p Pull) string {
	if p.Undone.Subject == "" {
		return Title(p)
	}
	return fmt.Sprintf("Revert \"%s\"", cutRunes(clean(p.Undone.Subject), maxTitle))
}

// RevertMessage is what git revert writes below it, for each commit that is taken back.
func RevertMessage(p Pull) string {
	var b strings.Builder
	for _, sha := range p.Undone.Commits {
		b.WriteString("This reverts commit " + name(sha) + ".\n")
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// afterwards is what a rollback leaves behind.
func afterwards(p Pull) string {
	bad := version(p.Undone.Bad)
	text := fmt.Sprintf("With the merge, %s is on the denylist of **%s** for **%s**, and **%s** is on hold there: `/allow %s %s %s` and `/unhold %s %s` lift them, each by itself.",
		Code(bad), Escape(p.Env), Escape(p.App), Escape(p.App), name(p.Env), name(p.App), bad, name(p.Env), name(p.App))
	if p.Undone.Subject != "" {
		var commits []string
		for _, sha := range p.Undone.Commits {
			commits = append(commits, Code(shortCommit(sha)))
		}
		text += fmt.Sprintf(" The commit reverts “%s” (%s).", Escape(cutRunes(clean(p.Undone.Subject), maxReason)), strings.Join(commits, ", "))
	}
	return text
}

// returning is the title of what is said about the way back.
func returning(p Pull) string {
	if p.Undone.Back() {
		return "Afterwards"
	}
	return "Going back"
}
