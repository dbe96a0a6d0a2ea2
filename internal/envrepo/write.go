package envrepo

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// yaml writes the proposal as a person would.
func (p *proposal) yaml() []byte {
	var b strings.Builder
	b.WriteString("# Proposed by `tagboat init` from what stands in this repository. Read it before you commit it.\n")
	for _, s := range p.sentences() {
		b.WriteString("# unsure: " + s + "\n")
	}
	fmt.Fprintf(&b, "apiVersion: %s\napps:\n", APIVersion)
	for _, e := range p.entries {
		if !e.split {
			e.write(&b)
		}
	}
	b.WriteString("environments:\n")
	for _, e := range p.envs {
		e.write(&b)
	}
	if len(p.cluster) > 0 {
		b.WriteString("clusters:\n")
	}
	for _, c := range p.cluster {
		fmt.Fprintf(&b, "  - {name: %s, path: %s}\n", scalar(c.Name), scalar(c.Path))
	}
	return []byte(b.String())
}

func (e entry) write(b *strings.Builder) {
	dash := "  - "
	field := func(key, value string) {
		if value != "" {
			b.WriteString(dash + key + ": " + value + "\n")
			dash = "    "
		}
	}
	field("discover", block(e.Discover))
	field("name", block(e.Name))
	field("path", block(e.Path))
	field("file", block(e.File))
	field("images", list(e.Images))
	field("charts", list(e.Charts))
	if e.Helm != nil {
		values := ""
		if len(e.Helm.Values) > 0 {
			values = ", values: " + list(e.Helm.Values)
		}
		field("helm", "{chart: "+scalar(e.Helm.Chart)+values+"}")
	}
}

func (e Environment) write(b *strings.Builder) {
	fmt.Fprintf(b, "  - name: %s\n", scalar(e.Name))
	for _, n := range e.Needs {
		fmt.Fprintf(b, "    needs: [{env: %s}]\n", scalar(n.Env))
	}
	if e.Follow != nil && e.Follow.Semver != "" {
		fmt.Fprintf(b, "    follow: {semver: %q}%s\n    merge: auto\n", e.Follow.Semver, prereleases(e.Follow.Semver))
	} else if e.Follow != nil {
		fmt.Fprintf(b, "    follow: {env: %s}\n", scalar(e.Follow.Env))
	}
	if e.Approvals.Asked() { // a proposal names nobody
		fmt.Fprintf(b, "    approvals: {count: %d}\n", e.Approvals[0].Count)
	}
	if e.Refs {
		b.WriteString("    refs: true\n")
	}
	fmt.Fprintf(b, "    clusters: %s\n", list(e.Clusters))
}

func list(items []string) string {
	if len(items) == 0 {
		return ""
	}
	quoted := make([]string, 0, len(items))
	for _, s := range items {
		quoted = append(quoted, scalar(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// What YAML takes as it stands, in flow style and in block style, unless it looks
// like another type.
var (
	plainInFlow  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9/._-]*$`)
	plainInBlock = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9/._{}-]*$`)
)

// scalar is a string as YAML reads it back, in flow style.
func scalar(s string) string { return quoteUnless(plainInFlow, s) }

// block is scalar for a value that has a line of its own.
func block(s string) string { return quoteUnless(plainInBlock, s) }

func quoteUnless(plain *regexp.Regexp, s string) string {
	var n yaml.Node
	if s == "" || plain.MatchString(s) && yaml.Unmarshal([]byte(s), &n) == nil && len(n.Content) == 1 && n.Content[0].Tag == "!!str" {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// prereleases is a remark for people on what a range takes in that looks as if it
// took in less.
func prereleases(semver string) string {
	before, ok := strings.CutSuffix(semver, "-0")
	if !ok {
		return ""
	}
	return fmt.Sprintf(" # every new version by itself, prereleases too; %q leaves those out", before)
}
