package manifest

import (
	"regexp"
	"strings"
)

// nearby is how many arguments before and after one are looked at to learn what
// it is.
const nearby = 24

// shortFlag matches arguments that are followed by a password in some commands and
// by something else in others, or hold it themselves: mysql -uroot -px.
var shortFlag = regexp.MustCompile(`^(-[pawuU]|--user(name)?|--proxy-user|password)$`)

// secretArgument reports whether an element of a list of arguments is a secret for
// what stands around it: a flag before it, or a command that takes a password
// there. Command is what the container's command says, if that is another list.
func secretArgument(command string, n *node, i int) bool {
	word, before := n.items[i], ""
	if word.kind != textKind && word.kind != numberKind {
		return false
	}
	if i > 0 && n.items[i-1].kind == textKind {
		before = n.items[i-1].text
	}
	if secretFlag(before) {
		return true
	}
	return mayBePassword(before, word.text) &&
		passwordWithin(command+" "+phrase(n.items[max(0, i-nearby):i]), word.text, phrase(n.items[i+1:min(len(n.items), i+1+nearby)]))
}

// mayBePassword reports whether an argument may be a password in some commands,
// judging by the one before it.
func mayBePassword(before, word string) bool {
	return shortFlag.MatchString(before) || strings.HasPrefix(word, "-p")
}

// passwordWithin reports whether a credential begins within a word of a command.
func passwordWithin(before, word, after string) bool {
	for at := range credentials(before + word + " " + after) {
		if at >= len(before) && at < len(before)+len(word) {
			return true
		}
	}
	return false
}

// phrase is arguments as a shell reads them, less the quotes.
func phrase(words []*node) string {
	var b strings.Builder
	for _, w := range words {
		if w.scalar() {
			b.WriteString(w.text + " ")
		}
	}
	return b.String()
}

// commandOf is what the container n runs, where its arguments are another list.
func commandOf(n *node) string {
	command := n.field("command")
	if command == nil || command.kind != listKind || n.field("args") == nil {
		return ""
	}
	return phrase(command.items[:min(len(command.items), nearby)])
}
