package overlay

import (
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// otherType holds the plain scalars that YAML 1.1 or 1.2 reads as something else
// than a string (https://yaml.org/type/, https://yaml.org/spec/1.2.2/#103-core-schema),
// a little wider than either: a quoted string is never wrong.
var otherType = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^(~|null|y|yes|n|no|true|false|on|off)?$`),
	regexp.MustCompile(`(?i)^[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-f_]+|[0-9][0-9_]*)$`),
	regexp.MustCompile(`(?i)^[-+]?([0-9][0-9_]*)?\.?[0-9_]*(e[-+]?[0-9_]+)?$`),
	regexp.MustCompile(`(?i)^[-+]?\.(inf|nan)$`),
	regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`),
	regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?$`),
	regexp.MustCompile(`^(<<|=)$`),
}

// ReadsAsString reports whether every YAML parser reads a plain scalar as a
// string.
func ReadsAsString(plain string) bool {
	return usualTag(plain) || parsedAsString(plain)
}

func parsedAsString(plain string) bool {
	for _, other := range otherType {
		if other.MatchString(plain) {
			return false
		}
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(plain), &n); err != nil || len(n.Content) != 1 {
		return false
	}
	return n.Content[0].Kind == yaml.ScalarNode && n.Content[0].Tag == "!!str" && n.Content[0].Value == plain
}

// usualTag reports, without a parser, that a plain scalar is a string for certain:
// a version such as 1.7.0, or a name of six or more characters, which is longer
// than any word that means something else.
func usualTag(plain string) bool {
	dots, digits, name := 0, true, len(plain) > 5
	for i := range len(plain) {
		b := plain[i]
		switch {
		case b >= '0' && b <= '9':
			name = name && i > 0
		case b == '.' && i > 0 && i < len(plain)-1:
			dots++
		case i == 0 && (b == 'e' || b == 'E'): // e12345 might be taken for a number
			return false
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '-' && i > 0, b == '_' && i > 0:
			digits = false
		default:
			return false
		}
	}
	return digits && dots > 1 || name
}

// quoted writes a value in the style that stands in the file, with quotes where
// the plain value would be read as another type.
func quoted(value string, style yaml.Style) string {
	switch {
	case style&yaml.SingleQuotedStyle != 0:
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	case style&yaml.DoubleQuotedStyle != 0, !ReadsAsString(value):
		return `"` + value + `"`
	}
	return value
}
