package rendertest

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Layout is a small env repo that shows some of what Kustomize can do.
type Layout struct {
	Files    fs.FS
	Overlays []string // every directory that can be rendered, sorted
	Helm     bool     // an overlay inflates a chart
}

//go:embed testdata/*.txtar
var layouts embed.FS

// Layouts are layouts by name.
func Layouts() (map[string]Layout, error) {
	all := map[string]Layout{}
	archives, err := layouts.ReadDir("testdata")
	if err != nil {
		return nil, err
	}
	for _, a := range archives {
		data, err := layouts.ReadFile(path.Join("testdata", a.Name()))
		if err != nil {
			return nil, err
		}
		all[strings.TrimSuffix(a.Name(), ".txtar")] = layout(txtar.Parse(data))
	}
	return all, nil
}

func layout(archive *txtar.Archive) Layout {
	var l Layout
	files := map[string][]byte{}
	for _, f := range archive.Files {
		files[f.Name] = f.Data
		if base := path.Base(f.Name); !strings.HasPrefix(strings.ToLower(base), "kustomization") {
			continue
		}
		content := string(f.Data)
		l.Helm = l.Helm || strings.Contains(content, "helmCharts:")
		if !strings.Contains(content, "kind: Component") {
			l.Overlays = append(l.Overlays, path.Dir(f.Name))
		}
	}
	slices.Sort(l.Overlays)
	l.Files = newMemory(files)
	return l
}
