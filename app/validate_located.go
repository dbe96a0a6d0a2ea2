package app

import (
	"cmp"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

// Problem is an error for a machine: where it is, and what a person should read.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1; 0 where it is about no line
	Message string `json:"message"`
}

// Problems takes errors of Validate apart.
func Problems(errs []error) []Problem {
	problems := []Problem{}
	for _, err := range errs {
		several := envrepo.Problems(err)
		for _, p := range several {
			problems = append(problems, Problem{p.File, p.Line, p.Message})
		}
		if len(several) == 0 {
			problems = append(problems, problemOf(oneLine(err)))
		}
	}
	return problems
}

// place is how an error begins that knows its place: "FILE:LINE: ", or only the
// file or directory.
var place = regexp.MustCompile(`^([^\s:]+)(?::(\d+))?: (?s:(.*))$`)

func problemOf(text string) Problem {
	m := place.FindStringSubmatch(text)
	if m == nil {
		return Problem{Message: text}
	}
	line, _ := strconv.Atoi(m[2]) // digits, or nothing
	return Problem{File: m[1], Line: line, Message: m[3]}
}

// located gives an error about a file or a directory the line that it is about: the
// one with a value that the error quotes, else the first. Where the error names no
// file, it is about the one at the path: a file, or a directory with a kustomization.
func located(tree fs.FS, at string, err error) error {
	if err == nil || len(envrepo.Problems(err)) > 0 {
		return err
	}
	text := cmp.Or(fault.HintOf(err), err.Error())
	p := problemOf(text)
	if p.Line > 0 {
		return err
	}
	file := p.File
	if !isFile(tree, file) {
		if file != at && file != path.Dir(at) {
			p.Message = text
		}
		if file = at; !isFile(tree, at) {
			file, _ = kustomizationIn(tree, at) // rendering said what is wrong with it
		}
	}
	data, readErr := readFile(tree, file)
	if readErr != nil {
		return err
	}
	return fault.Errorf(fault.KindOf(err), "%s:%d: %s", file, quotedLine(data, text), p.Message)
}

func isFile(tree fs.FS, name string) bool {
	info, err := fs.Stat(tree, name)
	return err == nil && info.Mode().IsRegular()
}

// quoted is what an error quotes.
var quoted = regexp.MustCompile(`"([^"]+)"|'([^']+)'`)

// quotedLine is the line of a file's first scalar that an error quotes, or that is
// the end of a path which it quotes; 1 where there is none.
func quotedLine(data []byte, text string) int {
	var document yaml.Node
	if yaml.Unmarshal(data, &document) != nil {
		return 1
	}
	var values []string
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		values = append(values, m[1]+m[2])
	}
	line := 1
	var look func(*yaml.Node) bool
	look = func(n *yaml.Node) bool {
		if n.Kind == yaml.ScalarNode && n.Value != "" && slices.ContainsFunc(values, func(v string) bool {
			return v == n.Value || strings.HasSuffix(v, "/"+strings.TrimPrefix(n.Value, "./"))
		}) {
			line = n.Line
			return true
		}
		return slices.ContainsFunc(n.Content, look)
	}
	look(&document)
	return line
}
