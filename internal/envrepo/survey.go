package envrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Bounds of what Propose looks at in one tree.
const (
	maxSurveyFiles = 100_000
	maxSurveyBytes = 64 << 20 // parsed
	maxSurveyFile  = 1 << 20
)

// carrier is a file that carries versions.
type carrier struct {
	file     string
	dir      string // in which it stands
	manifest bool   // Kubernetes objects, rather than a kustomization or Helm values
	versions
}

func (c carrier) kustomization() bool { return slices.Contains(kustomizations, path.Base(c.file)) }

// place is what a pattern would find it by: its directory if it is a
// kustomization, else the file itself.
func (c carrier) place() string {
	if c.kustomization() {
		return c.dir
	}
	return c.file
}

// survey is what a tree has.
type survey struct {
	carriers       []carrier         // that pin an image or a chart
	bare           []carrier         // kustomizations that do not
	charts         map[string]bool   // directories with a Chart.yaml
	kustomizations map[string]string // by directory
	known          map[string]bool   // every YAML file
	notes          []note
	parsed         int // bytes
	visited        int // files
}

var errEnough = errors.New("the tree is too large")

// look walks the tree. What no environment is kept in is left out: hidden
// directories, vendored code, and what a chart brings along.
func look(tree fs.FS) (*survey, error) {
	s := &survey{charts: map[string]bool{}, kustomizations: map[string]string{}, known: map[string]bool{}}
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if name != "." && (hidden(e.Name()) || s.foreign(name)) {
				return fs.SkipDir
			}
			return nil
		}
		if s.visited++; s.visited > maxSurveyFiles || s.parsed > maxSurveyBytes {
			return errEnough
		}
		return s.file(tree, name, e)
	})
	if errors.Is(err, errEnough) {
		s.notes = append(s.notes, note{text: fmt.Sprintf("the tree is too large to be read whole; what comes after its first %d files was not looked at", s.visited-1)})
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the checkout: %w", err)
	}
	s.dropRendered()
	return s, nil
}

// foreign reports whether a directory holds nobody's environments.
func (s *survey) foreign(dir string) bool {
	switch path.Base(dir) {
	case "vendor", "node_modules", "testdata":
		return true
	case "templates", "charts", "crds":
		return s.charts[path.Dir(dir)]
	}
	return false
}

// file looks at one file.
func (s *survey) file(tree fs.FS, name string, e fs.DirEntry) error {
	base, dir := path.Base(name), path.Dir(name)
	kustomization := slices.Contains(kustomizations, base)
	switch {
	case !kustomization && !isFile(base) || !e.Type().IsRegular() || name == File:
		return nil
	case strings.HasPrefix(base, "docker-compose") || strings.HasPrefix(base, "compose."):
		return nil
	}
	s.known[name] = true
	if base == "Chart.yaml" {
		s.charts[dir] = true
	}
	if kustomization {
		s.kustomizations[dir] = name
	}
	if info, err := e.Info(); err == nil && info.Size() > maxSurveyFile {
		s.notes = append(s.notes, note{kind: "large", text: fmt.Sprintf("%s is larger than %d MiB and was not read", name, maxSurveyFile>>20)})
		return nil
	}
	data, err := fs.ReadFile(tree, name)
	if err != nil {
		return err
	}
	if !kustomization && !mayCarry(data) {
		return nil
	}
	s.parsed += len(data)
	has, err := versionsIn(name, data)
	c := carrier{file: name, dir: dir, versions: has, manifest: bytes.Contains(data, []byte("apiVersion:")) && bytes.Contains(data, []byte("kind:"))}
	switch {
	case err != nil && bytes.Contains(data, []byte("{{")):
		s.notes = append(s.notes, note{kind: "template", text: name + " is a template and was not read"})
	case err != nil:
		s.notes = append(s.notes, note{kind: "unreadable", text: fault.HintOf(err)})
	case len(has.images)+len(has.charts) > 0:
		s.carriers = append(s.carriers, c)
	case kustomization:
		s.bare = append(s.bare, c)
	}
	return nil
}

// mayCarry spares parsing what cannot name an image or a chart.
func mayCarry(data []byte) bool {
	for _, word := range []string{"image", "repository:", "chart:", "oci://", "dependencies:"} {
		if bytes.Contains(data, []byte(word)) {
			return true
		}
	}
	return false
}

// dropRendered leaves out manifests whose image a kustomization above them sets:
// the kustomization is what people edit.
func (s *survey) dropRendered() {
	sets := map[string]bool{} // directories whose kustomization sets an image
	for _, c := range s.carriers {
		if c.kustomization() && len(c.images) > 0 {
			sets[c.dir] = true
		}
	}
	s.carriers = slices.DeleteFunc(s.carriers, func(c carrier) bool {
		if !c.manifest || c.kustomization() {
			return false
		}
		for dir := c.dir; ; dir = path.Dir(dir) {
			if sets[dir] {
				return true
			}
			if dir == "." {
				return false
			}
		}
	})
}
