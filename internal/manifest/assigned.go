package manifest

import (
	"regexp"
	"strconv"
	"strings"
)

// assigned finds names that are given a value: password=x, "token": "x",
// secret: x, <password>x, a['key'] = x. A colon needs a space or a quote beside
// it, for token-service:1.7.0 is an image.
var assigned = regexp.MustCompile(`([A-Za-z0-9_./-]+)(?:["']\s*:|\s*:(?:\s|$|["'])|["']?\]?\s*[:?+]?=>?|>)\s*`)

// flagged finds the arguments that are followed by their value, also as elements
// of a list: --api-key x, "--token", "x".
var flagged = regexp.MustCompile(`(?:^|[\s"'\[,(])--?([A-Za-z0-9._-]+)["']?(?:\s*,\s*|\s+|$)`)

// Elements of XML with attributes, <password type="x">, and a name and its value
// as attributes, elements or keys.
var (
	element = regexp.MustCompile(`<([\w:.-]+)\s[^<>]*>`)
	entry   = regexp.MustCompile(`<\w[^<>]*\b(?:name|key)\s*=\s*["']([^"']+)["'][^<>]*>`)
	nameIs  = regexp.MustCompile(`(?i)(?:^|[\s"'{,<;])(?:name|key|variable)["']?(?:\s*[:=]\s*["']?|>\s*)([\w./-]+)`)
	pathIs  = regexp.MustCompile(`(?:^|[\s"'{,])path["']?\s*[:=]\s*["']?(/[^\s"',]+)`)
	valueIs = regexp.MustCompile(`(?i)(?:^|[\s"'{,<;])(?:value|default)["']?(?:\s*[:=]|>)\s*`)
)

// place is where in a line a secret begins; from is -1 where there is none.
// Named says that it follows a secret's name, and may stand on the next lines.
type place struct {
	from  int
	named bool
}

// earlier is the first of two places.
func (p place) earlier(from int, named bool) place {
	switch {
	case from < 0:
		return p
	case from == p.from:
		return place{from, named || p.named}
	case earliest(p.from, from) == from:
		return place{from, named}
	}
	return p
}

// secretIn finds the first secret in a line of which nobody knows what it is.
func secretIn(line string, depth int) place {
	p := place{from: -1}.earlier(credentialIn(line, depth), false)
	p = p.earlier(pairIn(line), false).earlier(secretObjectIn(line), false).earlier(quotedIn(line, depth), false)
	if !mayName(line) || !strings.ContainsAny(line, ":=->") {
		return p
	}
	return p.earlier(assignedIn(line), true).earlier(flaggedIn(line), true)
}

var literal = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'`)

// quotedIn is where in a line the first text in quotes begins that by itself is a
// secret, perhaps once its escapes are resolved; or -1.
func quotedIn(line string, depth int) int {
	if !strings.ContainsAny(line, `"'`) {
		return -1
	}
	for _, m := range literal.FindAllStringIndex(line, -1) {
		within := line[m[0]+1 : m[1]-1]
		if line[m[0]] == '"' && strings.Contains(within, `\`) {
			text, err := strconv.Unquote(strings.ReplaceAll(line[m[0]:m[1]], `\/`, "/"))
			if err == nil && text != within && holdsSecret(text, depth+1) {
				return m[0]
			}
		}
		for range credentials(within) {
			return m[0]
		}
	}
	return -1
}

func assignedIn(line string) int {
	for _, m := range assigned.FindAllStringSubmatchIndex(line, -1) {
		name := line[m[2]:m[3]]
		closing := name[0] == '/' && m[2] > 0 && line[m[2]-1] == '<'
		if !closing && secretVariable(name) && !keyOnly(name) && !tellsNothing(line[m[1]:]) {
			return m[1]
		}
	}
	return -1
}

func flaggedIn(line string) int {
	for _, m := range flagged.FindAllStringSubmatchIndex(line, -1) {
		if secretField(line[m[2]:m[3]]) && !tellsNothing(line[m[1]:]) {
			return m[1]
		}
	}
	return -1
}

// tellsNothing reports whether what follows a name on its line is a truth or the
// name of a variable, with nothing of a value behind it.
func tellsNothing(rest string) bool {
	rest = strings.TrimLeft(rest, `"'`)
	end := strings.IndexAny(rest, " \t\r\"',;]}<&")
	if strings.HasPrefix(rest, "${") {
		end = strings.IndexByte(rest, '}') + 1
	}
	if end < 0 {
		end = len(rest)
	}
	if !saysNothing(rest[:end]) {
		return false
	}
	behind := strings.TrimLeft(rest[end:], " \t\r\"'")
	return behind == "" || strings.IndexByte(",;]}<&)#-\\", behind[0]) >= 0
}

// pairIn is where in a line the value begins whose name on the same line is a
// secret's, or -1.
func pairIn(line string) int {
	for _, pattern := range []*regexp.Regexp{element, entry} {
		if !strings.Contains(line, "<") || !mayName(line) {
			break
		}
		for _, m := range pattern.FindAllStringSubmatchIndex(line, -1) {
			if secretVariable(line[m[2]:m[3]]) && strings.TrimSpace(line[m[1]:]) != "" {
				return m[1]
			}
		}
	}
	if at := valueIn(line); at >= 0 && namesSecretIn(line) {
		return at
	}
	return -1
}

// valueIn is where in a line the value of something named elsewhere begins, or -1.
func valueIn(line string) int {
	if lower := strings.ToLower(line); !strings.Contains(lower, "value") && !strings.Contains(lower, "default") {
		return -1
	}
	if m := valueIs.FindStringIndex(line); m != nil {
		return m[1]
	}
	return -1
}

// namesSecretIn reports whether a line says that the name of something is a
// secret's.
func namesSecretIn(line string) bool {
	if mayName(line) {
		for _, m := range nameIs.FindAllStringSubmatch(line, -1) {
			if secretVariable(m[1]) {
				return true
			}
		}
	}
	if !strings.Contains(line, "path") {
		return false
	}
	m := pathIs.FindStringSubmatch(line)
	return m != nil && patchesSecret(m[1])
}

// An object of a kind of Secret on one line, its data after its kind or before it.
var (
	dataAfter  = regexp.MustCompile(`["']?kind["']?\s*:\s*["']?(\w*Secret)\b.*?["']?\b(?:data|stringData)["']?\s*:\s*(\S)`)
	dataBefore = regexp.MustCompile(`\b(?:data|stringData)["']?\s*:\s*(\S).*["']?kind["']?\s*:\s*["']?(\w*Secret)\b`)
)

// secretObjectIn is where in a line the data of an object begins that holds
// secrets, or -1.
func secretObjectIn(line string) int {
	if !strings.Contains(line, "Secret") {
		return -1
	}
	if m := dataAfter.FindStringSubmatchIndex(line); m != nil && references[line[m[2]:m[3]]] == nil {
		return m[4]
	}
	if m := dataBefore.FindStringSubmatchIndex(line); m != nil && references[line[m[4]:m[5]]] == nil {
		return m[2]
	}
	return -1
}
