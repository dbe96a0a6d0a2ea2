package policy

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Files finds where in a tree the values of rendered objects were written. It keeps
// what it parsed and is not safe for concurrent use.
type Files struct {
	tree   fs.FS
	parsed map[string]*file
}

// NewFiles finds places in a tree.
func NewFiles(tree fs.FS) *Files { return &Files{tree, map[string]*file{}} }

// file is a file as lines and as documents; nil where it is neither.
type file struct {
	name      string
	data      []byte
	documents []*yaml.Node
}

// maxSource bounds what is searched for lines, in bytes.
const maxSource = 1 << 20

var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// open reads a file once. Documents behind one that is no YAML, as in a chart's
// template, are not known.
func (f *Files) open(name string) *file {
	if known, ok := f.parsed[name]; ok {
		return known
	}
	f.parsed[name] = nil
	info, err := fs.Stat(f.tree, name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSource {
		return nil
	}
	data, err := fs.ReadFile(f.tree, name)
	if err != nil {
		return nil
	}
	opened := &file{name: name, data: data}
	f.parsed[name] = opened
	if ext := path.Ext(name); ext == ".yaml" || ext == ".yml" || ext == ".json" || slices.Contains(kustomizationNames, path.Base(name)) {
		opened.documents = documents(data)
	}
	return opened
}

func documents(data []byte) (all []*yaml.Node) {
	defer func() { _ = recover() }() // the parser may give up on anything; what it read before counts
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var n yaml.Node
		if dec.Decode(&n) != nil {
			return all
		}
		if len(n.Content) == 1 {
			all = append(all, n.Content[0])
		}
	}
}

// Locator finds the places of one overlay.
type Locator struct {
	files *Files
	at    string   // what stands for the overlay where nothing better is known
	reads []string // what it was rendered from
}

// Locator looks in the files that an overlay was rendered from. Where nothing better
// is known, a violation is at the file that stands for the overlay: its
// kustomization, mostly.
func (f *Files) Locator(at string, reads []string) Locator { return Locator{f, at, reads} }

// Locate is where the violation stands: the line of the value, else of the closest
// thing around it that some file has, else a file and no line.
func (l Locator) Locate(v Violation) Place {
	if v.Place.File != "" || v.Object.Kind == "" {
		return v.Place
	}
	if len(v.Path) > 0 && v.Path[len(v.Path)-1].Key == "image" {
		if image, ok := v.value.(string); ok {
			if p, found := l.image(image); found {
				return p
			}
			if p, found := l.values(image); found {
				return p
			}
		}
	}
	if p, found := l.written(v); found {
		return p
	}
	if p, found := l.generated(v); found {
		return p
	}
	return Place{File: l.at}
}

// kustomizations lists the kustomizations that were read, those of the overlay first.
func (l Locator) kustomizations() []*file {
	var all []*file
	for _, name := range l.reads {
		if slices.Contains(kustomizationNames, path.Base(name)) {
			if f := l.files.open(name); f != nil && len(f.documents) > 0 {
				all = append(all, f)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *file) int { return l.nearness(b.name) - l.nearness(a.name) })
	return all
}

// nearness is how much of its path a file shares with the overlay.
func (l Locator) nearness(name string) int {
	ours, theirs := strings.Split(path.Dir(l.at), "/"), strings.Split(path.Dir(name), "/")
	n := 0
	for n < len(ours) && n < len(theirs) && ours[n] == theirs[n] {
		n++
	}
	return n
}

// image is where a kustomization sets an image.
func (l Locator) image(image string) (Place, bool) {
	name, tag, digest := split(image)
	for _, f := range l.kustomizations() {
		for _, entry := range elements(value(f.documents[0], "images")) {
			named := value(entry, "newName")
			if named == nil {
				named = value(entry, "name")
			}
			newTag, newDigest := value(entry, "newTag"), value(entry, "digest")
			switch {
			case named == nil || named.Value != name:
			case newTag != nil && newTag.Value == tag && tag != "":
				return Place{f.name, newTag.Line}, true
			case newDigest != nil && newDigest.Value == digest && digest != "":
				return Place{f.name, newDigest.Line}, true
			case newTag == nil && newDigest == nil:
				return Place{f.name, named.Line}, true
			}
		}
	}
	return Place{}, false
}

// written is where a file writes the object and the value, or what is around it.
func (l Locator) written(v Violation) (Place, bool) {
	var best Place
	most, near := -1, -1
	for _, c := range l.candidates(v.Object) {
		line, depth := follow(c.root, v.Path, v.value)
		n := l.nearness(c.file)
		if depth > most || depth == most && n > near {
			best, most, near = Place{c.file, line}, depth, n
		}
	}
	return best, most >= 0
}

// candidate is a document that may be where an object comes from.
type candidate struct {
	file, name string
	root       *yaml.Node
}

// candidates are the documents of the object's name, or else those whose name a
// kustomization's namePrefix or nameSuffix can have made it of, where they agree on
// one.
func (l Locator) candidates(id ID) []candidate {
	var exact, affixed []candidate
	for _, name := range l.reads {
		f := l.files.open(name)
		if f == nil || slices.Contains(kustomizationNames, path.Base(name)) {
			continue
		}
		for _, root := range f.documents {
			for _, object := range objectsIn(root) {
				called := str(object, "metadata", "name")
				switch {
				case str(object, "kind") != id.Kind || groupOf(str(object, "apiVersion")) != groupOf(id.APIVersion) || called == "":
				case called == id.Name:
					exact = append(exact, candidate{name, called, object})
				case strings.HasPrefix(id.Name, called+"-") || strings.HasSuffix(id.Name, "-"+called) || strings.Contains(id.Name, "-"+called+"-"):
					affixed = append(affixed, candidate{name, called, object})
				}
			}
		}
	}
	if len(exact) > 0 {
		return exact
	}
	if slices.ContainsFunc(affixed, func(c candidate) bool { return c.name != affixed[0].name }) {
		return nil
	}
	return affixed
}

// objectsIn are the objects of a document: itself, or the items of a list.
func objectsIn(root *yaml.Node) []*yaml.Node {
	if strings.HasSuffix(str(root, "kind"), "List") {
		return elements(value(root, "items"))
	}
	return []*yaml.Node{root}
}

// follow goes down a path as far as the document has it, and says how far that was.
// The end counts only where the rendered value stands there: another one was
// overwritten by somebody else.
func follow(n *yaml.Node, p Path, rendered any) (line, depth int) {
	line = n.Line
	for i, step := range p {
		next, at := down(n, step)
		if next == nil {
			return line, i
		}
		if i == len(p)-1 {
			if rendered == nil || next.Kind == yaml.ScalarNode && !same(next.Value, rendered) {
				return line, i
			}
			return at, len(p) + 1
		}
		n, line = next, at
	}
	return line, 1
}

// down is the value of one step, and its line. Elements are found by their name; one
// without a name by its place, of which the value at the end of the path has to
// prove that nobody put others before it.
func down(n *yaml.Node, s Step) (*yaml.Node, int) {
	if s.Key != "" {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == s.Key {
				return aliased(n.Content[i+1]), n.Content[i].Line
			}
		}
		return nil, 0
	}
	all := elements(n)
	for _, e := range all {
		if s.Name != "" && str(e, "name") == s.Name {
			return e, e.Line
		}
	}
	if s.Name == "" && s.Index < len(all) {
		return all[s.Index], all[s.Index].Line
	}
	return nil, 0
}

// same compares a scalar of a file with what was rendered.
func same(written string, rendered any) bool {
	if b, ok := rendered.(bool); ok {
		return b == strings.EqualFold(written, "true")
	}
	return written == scalar(rendered)
}

// hash is what Kustomize puts behind the name of what it generates.
var hash = regexp.MustCompile(`-[a-z0-9]{10}$`)

// generated is where a kustomization generates a ConfigMap or a Secret: the literal,
// the file, or the entry.
func (l Locator) generated(v Violation) (Place, bool) {
	list := map[string]string{"ConfigMap": "configMapGenerator", "Secret": "secretGenerator"}[v.Object.Kind]
	if list == "" {
		return Place{}, false
	}
	name := hash.ReplaceAllString(v.Object.Name, "")
	for _, f := range l.kustomizations() {
		for _, entry := range elements(value(f.documents[0], list)) {
			if called := str(entry, "name"); called == "" || called != name && called != v.Object.Name {
				continue
			}
			if len(v.Path) == 2 {
				return l.source(f, entry, v.Path[1].Key), true
			}
			return Place{f.name, entry.Line}, true
		}
	}
	return Place{}, false
}

// source is where a generator has one key from.
func (l Locator) source(f *file, entry *yaml.Node, key string) Place {
	for _, literal := range elements(value(entry, "literals")) {
		if strings.HasPrefix(literal.Value, key+"=") {
			return Place{f.name, literal.Line}
		}
	}
	for _, from := range elements(value(entry, "files")) {
		name, at, renamed := strings.Cut(from.Value, "=")
		if !renamed {
			name, at = path.Base(from.Value), from.Value
		}
		if at = path.Join(path.Dir(f.name), at); name == key && l.files.open(at) != nil {
			return Place{File: at}
		}
	}
	envs := append(elements(value(entry, "envs")), value(entry, "env"))
	for _, env := range envs {
		if env == nil {
			continue
		}
		if opened := l.files.open(path.Join(path.Dir(f.name), env.Value)); opened != nil {
			for i, line := range strings.Split(string(opened.data), "\n") {
				if strings.HasPrefix(strings.TrimSpace(line), key+"=") {
					return Place{opened.name, i + 1}
				}
			}
		}
	}
	return Place{f.name, entry.Line}
}

// The rest reads parsed YAML in which anything may stand anywhere.

func aliased(n *yaml.Node) *yaml.Node {
	for i := 0; n != nil && n.Kind == yaml.AliasNode && i < 10; i++ {
		n = n.Alias
	}
	return n
}

func value(n *yaml.Node, key string) *yaml.Node {
	n = aliased(n)
	for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return aliased(n.Content[i+1])
		}
	}
	return nil
}

func str(n *yaml.Node, keys ...string) string {
	for _, k := range keys {
		n = value(n, k)
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

func elements(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	all := make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		all[i] = aliased(c)
	}
	return all
}
