package chart

import (
	"regexp"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"

	"github.com/tagboat/tagboat/internal/fault"
)

// invalid is an error about one part of a chart.
func invalid(c *chart.Chart, part string, err error) error {
	return fault.Errorf(fault.Invalid, "chart %s: %s: %s", c.Name(), part, oneLine(err.Error()))
}

var (
	located     = regexp.MustCompile(`(?s)^(?:execution|parse) error (?:at|in) \(([^)]+)\): (.*)$`)
	notYAML     = regexp.MustCompile(`(?s)^YAML parse error on ([^:]+): (.*)$`)
	executing   = regexp.MustCompile(`(\S+:\d+:\d+):? executing "[^"]*" at <.*?>: `)
	nilPointer  = regexp.MustCompile(`nil pointer evaluating \S*(?: \{\})?\.(\w+)`)
	wrongStruct = regexp.MustCompile(`json: cannot unmarshal (\w+) into Go (?:struct field \w+\.([\w.]+)|value) of type \S+`)
)

// templateProblem says in one line what Helm's engine says in many: the file and
// line of the innermost template, and what is wrong there.
func templateProblem(err error) error {
	text := strings.TrimSpace(err.Error())
	if m := notYAML.FindStringSubmatch(text); m != nil {
		return fault.Errorf(fault.Invalid, "%s renders to what is not valid YAML: %s", m[1], oneLine(m[2]))
	}
	if m := located.FindStringSubmatch(text); m != nil {
		return fault.Errorf(fault.Invalid, "%s: %s", m[1], oneLine(m[2]))
	}
	text = strings.Join(strings.Fields(text), " ")
	if steps := executing.FindAllStringSubmatchIndex(text, -1); len(steps) > 0 {
		at := steps[len(steps)-1]
		return fault.Errorf(fault.Invalid, "%s: %s", text[at[2]:at[3]], oneLine(text[at[1]:]))
	}
	return fault.Errorf(fault.Invalid, "%s", oneLine(strings.TrimPrefix(text, "template: ")))
}

// oneLine makes a text of a library one for people: one line, of bounded length,
// without names of Go types.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	text = nilPointer.ReplaceAllString(text, "there is nothing to take .$1 from")
	text = wrongStruct.ReplaceAllString(text, "$2 has the wrong type ($1)")
	text = strings.NewReplacer("error converting YAML to JSON: ", "", "error unmarshaling JSON: ", "", "while decoding JSON: ", "",
		"yaml: ", "", "interface {}", "value", "map[string]interface {}", "mapping").Replace(text)
	const most = 400
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " ..."
	}
	return strings.TrimSpace(text)
}
