package app

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// reach knows which files a rendering can read, without rendering. It may name too
// many, never too few: what it leaves out is not rendered at all.
//
// Kustomize reads files at or below the directory of a kustomization, and refers to
// other directories by relative paths in its kustomization file. So a directory
// reaches all that is below it, and what the strings in its kustomization could
// lead to, there or not.
type reach struct {
	tree    fs.FS
	touched map[string]bool          // paths that changed, and the directories that they are in
	known   map[string]kustomization // by directory
}

// kustomization is what a kustomization refers to; where there is none, nothing.
type kustomization struct {
	refs   []string // outside of its directory, there or not; and directories in it
	opaque bool     // it may refer to more than can be seen in it
}

// newReach asks about the changes from one tree to the other. It is nil where only
// rendering tells: a tree with symbolic links has files under several names.
func newReach(before, after fs.FS) (*reach, error) {
	changed, links, err := changes(before, after)
	if links || err != nil {
		return nil, err
	}
	return reachOf(before, changed), nil
}

// reachOf asks a tree about changed files.
func reachOf(tree fs.FS, changed []string) *reach {
	r := &reach{tree: tree, known: map[string]kustomization{}, touched: map[string]bool{}}
	for _, p := range changed {
		for ; !r.touched[p]; p = path.Dir(p) {
			r.touched[p] = true
		}
	}
	return r
}

// may reports whether a change can affect an overlay that both trees have.
func (r *reach) may(o diffOverlay) bool {
	if r == nil || !o.sameSource() || o.before.Helm != nil || o.before.Manifest != "" {
		return true
	}
	return r.follow(o.before.Dir, map[string]bool{})
}

func (r *reach) follow(p string, seen map[string]bool) bool {
	if r.touched[p] {
		return true
	}
	seen[p] = true
	k, ok := r.known[p]
	if !ok {
		k = r.read(p)
		r.known[p] = k
	}
	return k.opaque || slices.ContainsFunc(k.refs, func(ref string) bool { return !seen[ref] && r.follow(ref, seen) })
}

// read is what the kustomization of a directory refers to.
func (r *reach) read(dir string) kustomization {
	file, err := kustomizationIn(r.tree, dir)
	if err != nil {
		return kustomization{opaque: true}
	}
	if file == "" {
		return kustomization{}
	}
	data, err := readFile(r.tree, file)
	var document yaml.Node
	if err != nil || yaml.Unmarshal(data, &document) != nil {
		return kustomization{opaque: true}
	}
	var k kustomization
	r.scan(&k, dir, &document)
	return k
}

// opaqueKeys take files that refer to others in ways of their own.
var opaqueKeys = map[string]bool{"generators": true, "transformers": true, "validators": true,
	"helmglobals": true, "helmcharts": true, "helmchartinflationgenerator": true}

// scan notes every string that could be a reference. What an alias repeats stands
// elsewhere in the file.
func (r *reach) scan(k *kustomization, dir string, n *yaml.Node) {
	for _, c := range n.Content {
		r.scan(k, dir, c)
	}
	if n.Kind != yaml.ScalarNode || strings.Contains(n.Value, "\n") {
		return
	}
	k.opaque = k.opaque || opaqueKeys[strings.ToLower(n.Value)]
	ref := path.Join(dir, strings.TrimSpace(n.Value))
	if !fs.ValidPath(ref) || ref == dir {
		return
	}
	if outside := !within(ref, []string{dir}); outside || isDir(r.tree, ref) {
		k.refs = append(k.refs, ref)
	}
}

func isDir(tree fs.FS, name string) bool {
	info, err := fs.Stat(tree, name)
	return err == nil && info.IsDir()
}

// changes lists the files that differ between two trees, and reports whether there
// is a symbolic link in either.
func changes(before, after fs.FS) (changed []string, links bool, err error) {
	_, fromGit := before.(identified)
	_, toGit := after.(identified)
	walk := func(tree fs.FS, visit func(name string, entry fs.DirEntry) error) error {
		return fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return fault.E(fault.Invalid, name+" cannot be read.", err)
			case entry.IsDir() && path.Base(name) == ".git":
				return fs.SkipDir
			case entry.Type()&fs.ModeSymlink != 0:
				links = true
				return fs.SkipAll
			case entry.IsDir():
				return nil
			}
			return visit(name, entry)
		})
	}
	seen := map[string]bool{}
	err = walk(before, func(name string, _ fs.DirEntry) error {
		seen[name] = true
		if fromGit && toGit && sameID(before, after, name) {
			return nil
		}
		old, err := readFile(before, name)
		now, errNow := readFile(after, name)
		if err != nil || errNow != nil || !bytes.Equal(old, now) {
			changed = append(changed, name)
		}
		return nil
	})
	if err != nil || links {
		return nil, links, err
	}
	err = walk(after, func(name string, _ fs.DirEntry) error {
		if !seen[name] {
			changed = append(changed, name)
		}
		return nil
	})
	return changed, links, err
}

// sameID reports whether two trees of git have the same at a path.
func sameID(before, after fs.FS, name string) bool {
	a, _, errA := before.(identified).ID(name)
	b, _, errB := after.(identified).ID(name)
	return errA == nil && errB == nil && a == b
}
