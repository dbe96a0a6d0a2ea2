package manifest

import (
	"regexp"
	"slices"
	"strings"
)

// guesser goes through the lines of a text that no parser understands: a file of
// settings, a script, a template. It would rather hide too much.
type guesser struct {
	lines []string
	out   []hidden
	depth int

	under    int    // how far a secret's name is indented; deeper lines belong to it. -1: none
	open     bool   // nothing followed the name on its line
	started  bool   // a line of the secret has been hidden
	until    string // the secret ends where this stands
	brackets nest   // the secret ends where they are closed
	next     bool   // the next line is the secret
	data     bool   // the name is that of a Secret's data, whose keys say nothing
	secret   bool   // the document is of a kind of Secret
	netrc    bool   // the text is like ~/.netrc
	done     int    // the lines before this one are done
	tries    int    // how many lines may still be looked at for a closing bracket
}

// hideGuessed hides the secrets of a text, line by line: what follows a secret's
// name on its line, and the lines under it.
func hideGuessed(lines []string, out []hidden, depth int) {
	g := guesser{lines: lines, out: out, depth: depth, under: -1, tries: 10_000}
	for i, line := range lines {
		if i == 0 || strings.HasPrefix(line, "---") {
			g.secret = secretDocument(lines[i:])
		}
		g.netrc = g.netrc || netrcLine.MatchString(line)
		if i >= g.done {
			g.line(i, strings.TrimRight(line, "\r"))
		}
	}
	for i := len(out) - 2; i > 0; i-- { // what is blank within a secret is a part of it
		if strings.TrimSpace(lines[i]) == "" && out[i+1].more {
			out[i] = hidden{0, true}
		}
	}
}

var (
	kindLine    = regexp.MustCompile(`^[\s-]*["']?kind["']?\s*:\s*["']?(\w*Secret)["']?[\s,]*(#.*)?$`)
	netrcLine   = regexp.MustCompile(`^\s*(machine\s+\S+|default)(\s|$)`)
	netrcSecret = regexp.MustCompile(`(?:^|\s)password\s+(\S)`)
	directive   = regexp.MustCompile(`^\s*([\w.-]*(?i:password|passwd|passphrase|secret)[\w.-]*)\s+(\S+)\s*;?\s*$`)
	lineName    = regexp.MustCompile(`^[\s-]*["']?([\w./-]+)["']?\s*[:=]`)
)

// secretDocument reports whether a document, up to the next marker, is an object
// that holds secrets as data.
func secretDocument(lines []string) bool {
	for i, line := range lines {
		if i > 0 && strings.HasPrefix(line, "---") {
			return false
		}
		if !strings.Contains(line, "Secret") {
			continue
		}
		if m := kindLine.FindStringSubmatch(strings.TrimRight(line, "\r")); m != nil && references[m[1]] == nil {
			return true
		}
	}
	return false
}

func (g *guesser) line(i int, line string) {
	indent := indentation(line)
	switch {
	case g.until != "":
		g.hide(i, indent, g.started)
		g.started = true
		if strings.Contains(line, g.until) {
			g.until = ""
		}
	case g.brackets > 0:
		g.hide(i, 0, true)
		g.brackets.read(line)
	case indent == len(line): // blank
	case g.next:
		g.next = strings.HasSuffix(line, `\`)
		g.hide(i, indent, g.started)
		g.started = true
	case g.belongs(line, indent):
		g.below(i, line, indent)
	default:
		g.plain(i, line)
	}
}

// hide hides a line from a column on; more says that it goes on with the secret
// of the line before.
func (g *guesser) hide(i, from int, more bool) {
	g.out[i] = hidden{from, more}
}

// belongs reports whether a line stands under the secret name above it. A list may
// stand at the same indentation as its name, and so may brackets; a comment ends
// nothing.
func (g *guesser) belongs(line string, indent int) bool {
	rest := line[indent:]
	switch {
	case g.under < 0 || indent > g.under:
		return g.under >= 0
	case g.open && indent == g.under && (rest == "-" || strings.HasPrefix(rest, "- ") || !g.started && strings.IndexByte("[{\"'", rest[0]) >= 0):
		return true
	case rest[0] != '#':
		g.under = -1
	}
	return false
}

// below hides a line under a secret's name, unless the line only speaks of a secret.
func (g *guesser) below(i int, line string, indent int) {
	if m := lineName.FindStringSubmatch(line); g.open && !g.started && !g.data && m != nil && speaksOnly(m[1]) {
		if p := secretIn(line, g.depth); p.from < 0 {
			return
		}
	}
	g.hide(i, indent, g.started)
	if !g.started && strings.IndexByte("[{", line[indent]) >= 0 {
		g.brackets.read(line)
	}
	g.started = true
}

// plain hides what is secret in a line that belongs to nothing.
func (g *guesser) plain(i int, line string) {
	if g.fragment(i, line) {
		return
	}
	p := secretIn(line, g.depth)
	if p.named && g.parsed(i, line, p) {
		return
	}
	data := g.dataIn(line)
	g.data = data >= 0
	p = p.earlier(data, true).earlier(g.directiveIn(line), false).earlier(g.argumentIn(i), false)
	p = p.earlier(g.pairAround(i), true)
	if p.from < 0 {
		return
	}
	rest := strings.TrimSpace(line[p.from:])
	g.open, g.started = p.named && emptyValue.MatchString(rest), false
	if !g.open {
		g.hide(i, p.from, false)
		g.started = true
	}
	if !p.named {
		return
	}
	if m := lineName.FindStringSubmatch(line); !g.open || m == nil || holdsAll(m[1]) {
		g.under = nameColumn(line)
	}
	switch {
	case g.open && p.flag(line), strings.HasSuffix(rest, `\`):
		g.next, g.under = true, -1
	case g.open && strings.HasSuffix(strings.TrimRight(line[:p.from], " \t"), ">"):
		g.until, g.under = "</", -1
	case g.open:
	default:
		g.ends(rest)
	}
}

// parsed hides what is secret in a line that is YAML or JSON by itself, where the
// value of the secret's name has parts; it reports whether it could.
func (g *guesser) parsed(i int, line string, p place) bool {
	if p.from == len(line) || strings.IndexByte("[{", line[p.from]) < 0 {
		return false
	}
	out := []hidden{{from: -1}}
	if !hideParsed(strings.TrimLeft(line, " \t"), []string{strings.TrimLeft(line, " \t")}, out, g.depth) {
		return false
	}
	if out[0].from >= 0 {
		g.hide(i, indentation(line)+out[0].from, false)
	}
	return true
}

// leadingTabs are what YAML does not take for indentation.
var leadingTabs = regexp.MustCompile(`(?m)^[ \t]*\t`)

// fragment hides what is secret in a mapping or a list in brackets that begins on
// a line, and reports whether there is one which the parser understands.
func (g *guesser) fragment(i int, line string) bool {
	if start := nameColumn(line); start == len(line) || strings.IndexByte("[{", line[start]) < 0 {
		return false
	}
	var open nest
	last := i
	for open.read(line); open > 0; open.read(g.lines[last]) {
		if last++; last == len(g.lines) || g.tries == 0 {
			return false
		}
		g.tries--
	}
	out := make([]hidden, last+1-i)
	for j := range out {
		out[j].from = -1
	}
	lines := g.lines[i : last+1]
	text := leadingTabs.ReplaceAllStringFunc(strings.Join(lines, "\n"), func(tabs string) string { return strings.Repeat(" ", len(tabs)) })
	if !hideParsed(text, lines, out, g.depth) {
		return false
	}
	copy(g.out[i:], out)
	g.done = last + 1
	return true
}

// emptyValue matches what may follow a name whose value stands below: nothing, a
// comment, an anchor, a tag.
var emptyValue = regexp.MustCompile(`^([&!]\S*\s*)*(#.*|//.*)?$`)

// flag reports whether what comes before the place is an argument without a value.
func (p place) flag(line string) bool {
	before := strings.Fields(line[:p.from])
	return len(before) > 0 && flagOnly.MatchString(strings.Trim(before[len(before)-1], `"',`))
}

// nameColumn is how far the first name in a line is indented, which may follow the
// dashes of lists.
func nameColumn(line string) int {
	at := indentation(line)
	for strings.HasPrefix(line[at:], "- ") {
		at += 2 + indentation(line[at+2:])
	}
	return at
}

// ends finds out whether a value that begins on a line ends there: quotes and
// brackets may go on.
func (g *guesser) ends(rest string) {
	for _, quote := range []string{`"""`, "'''", `"`, "'", "`"} {
		if after, ok := strings.CutPrefix(rest, quote); ok {
			if !strings.Contains(strings.ReplaceAll(after, `\`+quote, ""), quote) {
				g.until = quote
			}
			return
		}
	}
	if strings.IndexByte("[{(", rest[0]) >= 0 {
		g.brackets.read(rest)
	}
}

// directiveIn is where the value of a directive like "password x" begins, or -1.
func (g *guesser) directiveIn(line string) int {
	if m := netrcSecret.FindStringSubmatchIndex(line); g.netrc && m != nil {
		return m[2]
	}
	if len(g.lines) == 1 || !mayName(line) {
		return -1
	}
	if m := directive.FindStringSubmatchIndex(line); m != nil && secretField(line[m[2]:m[3]]) && !tellsNothing(line[m[4]:]) {
		return m[4]
	}
	return -1
}

// dataIn is where the data of a Secret begins, or -1.
func (g *guesser) dataIn(line string) int {
	if m := lineName.FindStringSubmatchIndex(line); g.secret && m != nil && holdsData(line[m[2]:m[3]]) {
		return m[1] + indentation(line[m[1]:])
	}
	return -1
}

// maxApart is how many lines a name and its value may be apart.
const maxApart = 12

// pairAround is where on a line a value begins whose name, on a line nearby that
// is indented alike, is a secret's; or -1.
func (g *guesser) pairAround(i int) int {
	value := valueIn(g.lines[i])
	if value < 0 {
		return -1
	}
	column := nameColumn(g.lines[i])
	for _, step := range []int{-1, 1} {
		for j := i; j >= 0 && j < len(g.lines) && j >= i-maxApart && j <= i+maxApart; j += step {
			line := g.lines[j]
			first := strings.HasPrefix(strings.TrimLeft(line, " \t"), "- ")
			if j != i && step > 0 && first && nameColumn(line) <= column {
				break // the next element
			}
			if strings.TrimSpace(line) != "" && nameColumn(line) < column {
				break
			}
			if j != i && nameColumn(line) == column && namesSecretIn(line) {
				return value
			}
			if step < 0 && first && nameColumn(line) <= column {
				break
			}
		}
	}
	return -1
}

var listed = regexp.MustCompile(`^\s*-\s+["']?([^\s"'|>][^\s"']*)["']?\s*,?$`)

// argumentIn is where on a line an argument begins that is a password for what
// stands on the lines around it; or -1.
func (g *guesser) argumentIn(i int) int {
	m := listed.FindStringSubmatchIndex(g.lines[i])
	if m == nil {
		return -1
	}
	words := func(from, to int) (found []string) {
		for _, line := range g.lines[max(0, from):min(len(g.lines), to)] {
			if m := listed.FindStringSubmatch(line); m != nil {
				found = append(found, m[1])
			}
		}
		return found
	}
	word, last := g.lines[i][m[2]:m[3]], words(i-1, i)
	if !mayBePassword(strings.Join(last, ""), word) {
		return -1
	}
	before, after := words(i-nearby, i), words(i+1, i+nearby)
	// The command may follow its arguments.
	all := slices.Concat(before, after, before, []string{""})
	if passwordWithin(strings.Join(all, " "), word, strings.Join(after, " ")) {
		return m[2]
	}
	return -1
}

// nest counts the brackets that are open, those in quotes and comments aside.
type nest int

func (n *nest) read(line string) {
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case strings.IndexByte("[{(", c) >= 0:
			*n++
		case c == '#' || strings.HasPrefix(line[i:], "//"):
			return
		case strings.IndexByte("]})", c) >= 0:
			if *n--; *n <= 0 {
				*n = 0
				return
			}
		}
	}
}
