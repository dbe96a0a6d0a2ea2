package policy

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/policy/admission"
)

// What a directory of policies may hold.
const (
	maxPolicyFiles = 1000
	maxPolicyFile  = 1 << 20 // bytes
)

// Read reads the rules of one place: its settings, and the policies of its directory
// in the tree, which it compiles. It does not fail: what cannot be read is a violation
// of every overlay, so that nothing passes for want of a rule. Compiling takes some
// milliseconds for each policy, so keep the Source of a commit.
func Read(tree fs.FS, s Settings) *Source {
	source := &Source{Settings: s}
	if s.Dir == "" {
		return source
	}
	files, err := policyFiles(tree, s.Dir)
	if err != nil {
		source.problem(admission.Problem{File: s.Dir, Message: "the directory of policies cannot be read: " + err.Error()})
		return source
	}
	source.custom = admission.Compile(files, s.Kubernetes)
	for _, p := range source.custom.Problems() {
		source.problem(p)
	}
	for _, name := range source.custom.Names() {
		if _, taken := Builtin(name); taken {
			source.problem(admission.Problem{Policy: name, File: s.Dir, Message: "a policy has the name of a built-in rule, " + name + ", so nobody could say which a waiver is for; rename it"})
		}
	}
	return source
}

// Problems is why some of the rules cannot be kept, and what of them is hardly meant.
func (s *Source) Problems() []Violation { return s.problems }

// unreadable is the rule that files of rules violate which name none.
const unreadable = "policies"

func (s *Source) problem(p admission.Problem) {
	v := Violation{Rule: cmp.Or(p.Policy, unreadable), Mode: Enforce, Message: p.Message, Place: Place{p.File, p.Line}}
	if p.Warning {
		v.Mode = Warn
	}
	s.problems = append(s.problems, v)
}

// policyFiles are the YAML and JSON files at or below a directory. Files may be
// symbolic links, as those of a mounted ConfigMap are, whose real ones are in a hidden
// directory beside them; a link to a directory is refused, for what is behind it would
// be left out.
func policyFiles(tree fs.FS, dir string) (files []admission.File, err error) {
	err = fs.WalkDir(tree, dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != dir && strings.HasPrefix(path.Base(name), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		info, err := fs.Stat(tree, name)
		if err != nil {
			return err
		}
		if info.IsDir() {
			return fmt.Errorf("%s is a symbolic link to a directory; put the files here", name)
		}
		if ext := path.Ext(name); ext != ".yaml" && ext != ".yml" && ext != ".json" || slices.Contains(kustomizationNames, path.Base(name)) {
			return nil
		}
		if len(files) == maxPolicyFiles {
			return fmt.Errorf("it has more than %d files", maxPolicyFiles)
		}
		if !info.Mode().IsRegular() || info.Size() > maxPolicyFile {
			return fmt.Errorf("%s is no file of at most %d MiB", name, maxPolicyFile>>20)
		}
		data, err := fs.ReadFile(tree, name)
		files = append(files, admission.File{Name: name, Data: data})
		return err
	})
	return files, err
}

// judge asks the place's own policies about an overlay.
func (s *Source) judge(in Input) (found []Violation) {
	if s == nil || s.custom == nil {
		return nil
	}
	changes, objects := changesOf(in)
	for i, denials := range s.custom.Judge(changes, in.Head) {
		for _, d := range denials {
			v := Violation{Rule: d.Policy, Mode: Warn, Object: identify(objects[i]), Message: d.Message, Rules: Place{d.File, d.Line}}
			if d.Deny {
				v.Mode = Enforce
			}
			found = append(found, v)
		}
	}
	return found
}

// changesOf is an overlay's change, object by object.
func changesOf(in Input) (changes []admission.Change, objects []Object) {
	scopes, plurals := scopesOf(in.Base, in.Head), pluralsOf(in.Base, in.Head)
	add := func(o, object, old Object) {
		plural := plurals[[2]string{groupOf(text(o.Object, "apiVersion")), text(o.Object, "kind")}]
		changes = append(changes, admission.Change{Object: object, Old: old, Namespaced: scopes.of(o) == namespaced, Plural: plural})
		objects = append(objects, o)
	}
	before := map[key]Object{}
	for _, o := range in.Base {
		before[identify(o).key()] = o
	}
	for _, o := range in.Head {
		k := identify(o).key()
		add(o, o, before[k])
		delete(before, k)
	}
	for _, o := range in.Base {
		if before[identify(o).key()] != nil {
			add(o, nil, o)
		}
	}
	return changes, objects
}

// pluralsOf is what definitions that are rendered call their resources.
func pluralsOf(objects ...[]Object) map[[2]string]string {
	plurals := map[[2]string]string{}
	for _, all := range objects {
		for _, o := range all {
			if text(o.Object, "kind") == "CustomResourceDefinition" {
				plurals[[2]string{text(o.Object, "spec", "group"), text(o.Object, "spec", "names", "kind")}] = text(o.Object, "spec", "names", "plural")
			}
		}
	}
	return plurals
}
