package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// view is the tree as one build sees it: through questions, with the answers kept
// until the build ends. To krusty it is a read-only file system with the tree at
// its root.
type view struct {
	unchanging

	ask     func([]question) ([]answer, error)
	kept    *contents
	answers map[string]answer // by path
	reads   map[Read]struct{}
	written map[string][]byte // files served instead of the tree's, and those below writtenRoot
	fetches bool              // whether the parent fetches remote references
	mounts  map[string]Remote // what was fetched, by directory
	asks    int               // how often the parent was asked
	told    int               // answers that it gave
	refusal int               // 1 + the number of the first refused answer that was used
	failure error             // the first other reason why nothing more can be read
}

// writtenRoot is the directory of files that a build makes for krusty: what its
// charts came to. Of the tree, nothing is seen there.
const writtenRoot = ".tagboat-written"

// made reports whether a path is one of files that a build makes.
func made(p string) bool { return p == writtenRoot || strings.HasPrefix(p, writtenRoot+"/") }

// contents are the files that a child keeps from build to build, by their id.
type contents struct {
	data    map[string][]byte
	checked map[string]error                // what bounded said
	parsed  map[string]*types.Kustomization // never changed after it was parsed
	lighter map[string][]byte               // what lighter made of one
}

func newContents() *contents {
	return &contents{data: map[string][]byte{}, checked: map[string]error{}, parsed: map[string]*types.Kustomization{}, lighter: map[string][]byte{}}
}

func newView(kept *contents, fetches bool, ask func([]question) ([]answer, error)) *view {
	return &view{fetches: fetches, mounts: map[string]Remote{}, ask: ask, kept: kept, answers: map[string]answer{}, reads: map[Read]struct{}{}, written: map[string][]byte{}}
}

// inTree is a path of krusty as the tree names it.
func inTree(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
		return "."
	}
	return p
}

var errUnreadable = errors.New("the tree cannot be read")

// learn takes answers in.
func (v *view) learn(answers []answer) {
	for _, a := range answers {
		if c := a.content; c != nil && c.sent {
			v.kept.data[c.id] = c.data
		}
		if old, ok := v.answers[a.path]; ok { // two questions may have told two things
			if a.content == nil {
				a.content = old.content
			}
			if a.names == nil {
				a.names = old.names
			}
		}
		v.answers[a.path] = a
	}
}

// prefetch asks about several paths at once, so that later questions about them
// are answered already.
func (v *view) prefetch(w want, paths ...string) {
	var questions []question
	for _, p := range paths {
		if a, ok := v.answers[p]; !ok && plausible(p) || ok && !tells(a, w) {
			questions = append(questions, question{want: w, path: p})
		}
	}
	if len(questions) > 0 {
		v.query(questions)
	}
}

func (v *view) query(questions []question) {
	for some := range slices.Chunk(questions, maxQuestions) {
		if v.asks++; v.asks > maxAsks || v.told > maxAnswers/2 {
			v.fail(tooMany(some[0].path))
			return
		}
		answers, err := v.ask(some)
		if err != nil {
			v.fail(err)
		}
		v.told += len(answers)
		v.learn(answers)
		for _, a := range answers {
			if a.state == refused && v.refusal == 0 && some[0].want == wantRemote {
				v.refusal = 1 + a.problem
			}
		}
	}
}

func tooMany(file string) error {
	return refuse(file, "with it the build reads more than %d files; split it", maxReads/2)
}

// tells reports whether an answer tells what is wanted.
func tells(a answer, w want) bool {
	switch {
	case w == wantContent:
		return a.state != file || a.content != nil
	case w == wantBelow:
		return a.state != directory || a.names != nil
	}
	return true
}

// plausible reports whether a file can have this path. What krusty takes for a
// path may be a patch, and some file systems do not answer such a question with
// "no".
func plausible(p string) bool {
	if !fs.ValidPath(p) || len(p) > maxPath || strings.ContainsRune(p, 0) {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if len(part) > maxName {
			return false
		}
	}
	return true
}

// answer is what is known of a path, after asking if need be, and recorded as
// read. A refusal fails the build: krusty would try another reading of the
// reference, and hide it.
func (v *view) answer(p string, w want, kind ReadKind) answer {
	if !plausible(p) || made(p) {
		return answer{path: p}
	}
	v.prefetch(w, p)
	a, ok := v.answers[p]
	if !ok {
		if v.failure == nil {
			v.failure = fmt.Errorf("no answer about %s: %w", p, errProtocol)
		}
		return answer{path: p}
	}
	for _, l := range a.links {
		v.reads[Read{l, Link}] = struct{}{}
	}
	if a.state == refused {
		if v.refusal == 0 {
			v.refusal = 1 + a.problem
		}
		return a
	}
	if kind == Content && a.state != file {
		kind = Stat
	}
	read := p
	if a.real != "" {
		read = a.real
	}
	if !v.mounted(read) { // a remote is pinned by what names it
		v.reads[Read{read, kind}] = struct{}{}
	}
	if len(v.reads) > maxReads/2 {
		v.fail(tooMany(p))
	}
	return a
}

func (v *view) writtenDir(p string) answer {
	for name := range v.written {
		if strings.HasPrefix(name, p+"/") {
			return answer{path: p, state: directory}
		}
	}
	return answer{path: p}
}

func (v *view) stat(p string) answer {
	name := inTree(p)
	if _, ok := v.written[name]; ok {
		return answer{path: name, state: file}
	}
	if made(name) {
		return v.writtenDir(name)
	}
	return v.answer(name, wantStat, Stat)
}

// broken reports whether the build cannot go on.
func (v *view) broken() bool { return v.refusal != 0 || v.failure != nil }

// IsDir implements filesys.FileSystem.
func (v *view) IsDir(p string) bool { return v.stat(p).state == directory }

// Exists implements filesys.FileSystem.
func (v *view) Exists(p string) bool {
	s := v.stat(p).state
	return s == file || s == directory
}

func (v *view) isFile(p string) bool { return v.stat(p).state == file }

// real is where a path leads, links followed; of what is absent, the path itself.
func (v *view) real(p string) string {
	if a := v.stat(p); a.real != "" && a.state != absent {
		return a.real
	}
	return inTree(p)
}

// CleanedAbs splits a path into the directory that exists and the file in it,
// links followed.
func (v *view) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	switch real := path.Clean("/" + v.real(p)); v.stat(p).state {
	case directory:
		return filesys.ConfirmedDir(real), "", nil
	case file:
		return filesys.ConfirmedDir(path.Dir(real)), path.Base(real), nil
	case refused:
		return "", "", errUnreadable
	}
	return "", "", fmt.Errorf("'%s' doesn't exist", inTree(p))
}

// ReadFile reads one file and refuses what could overwhelm a YAML parser. The
// bytes are the caller's.
func (v *view) ReadFile(p string) ([]byte, error) {
	name := inTree(p)
	if data, ok := v.written[name]; ok {
		return append([]byte(nil), data...), nil
	}
	_, data, err := v.content(name)
	return append([]byte(nil), data...), err
}

// content is a file of the tree with its id. The bytes are shared.
func (v *view) content(name string) (id string, data []byte, err error) {
	a := v.answer(name, wantContent, Content)
	switch a.state {
	case refused:
		return "", nil, errUnreadable
	case directory:
		return "", nil, fmt.Errorf("%s is a directory", name)
	case absent:
		return "", nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	id = a.content.id
	data, ok := v.kept.data[id]
	if !ok {
		v.failure = fmt.Errorf("the content of %s was not sent: %w", name, errProtocol)
		return "", nil, v.failure
	}
	problem, ok := v.kept.checked[id]
	if !ok {
		problem = tooManyAliases(data)
		v.kept.checked[id] = problem
	}
	if problem != nil {
		v.fail(refuse(name, "%s", problem))
		return "", nil, errUnreadable
	}
	return id, data, nil
}

// serve has krusty read another kustomization than the file's.
func (v *view) serve(file string, k *types.Kustomization) error {
	data, err := json.Marshal(k) // JSON is YAML
	v.written[file] = data
	return err
}

// mounted reports whether a path is one of a remote that this build has mounted.
func (v *view) mounted(p string) bool {
	for mount := range v.mounts {
		if p == mount || strings.HasPrefix(p, mount+"/") {
			return true
		}
	}
	return false
}

// legible has the paths of an error's text mean something to people.
func (v *view) legible(text string) string {
	for mount, from := range v.mounts {
		text = strings.ReplaceAll(text, mount, from.String())
	}
	return text
}

// fail ends the build with err, whatever krusty makes of the failed read.
func (v *view) fail(err error) {
	if v.failure == nil {
		v.failure = err
	}
}

// unchanging are the methods of filesys.FileSystem that a build has no need of.
type unchanging struct{}

var errUnchanging = errors.New("a build can neither write nor list files")

func (unchanging) Create(string) (filesys.File, error)  { return nil, errUnchanging }
func (unchanging) Open(string) (filesys.File, error)    { return nil, errUnchanging }
func (unchanging) Mkdir(string) error                   { return errUnchanging }
func (unchanging) MkdirAll(string) error                { return errUnchanging }
func (unchanging) RemoveAll(string) error               { return errUnchanging }
func (unchanging) WriteFile(string, []byte) error       { return errUnchanging }
func (unchanging) ReadDir(string) ([]string, error)     { return nil, errUnchanging }
func (unchanging) Glob(string) ([]string, error)        { return nil, errUnchanging }
func (unchanging) Walk(string, filepath.WalkFunc) error { return errUnchanging }
