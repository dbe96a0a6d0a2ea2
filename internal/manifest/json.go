package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Format names the shape of what JSON writes; a shape that readers of this one
// would misread gets another name.
const Format = "tagboat.dev/manifest-diff/v1"

// report is that shape: format, summary (see Summary) and overlays, every one
// that was compared, in the order given. An overlay has path, app, env, cluster,
// error where it could not be compared, and objects (see ObjectDiff and
// FieldDiff), which is empty where nothing differs.
type report struct {
	Format   string          `json:"format"`
	Summary  Summary         `json:"summary"`
	Overlays []overlayReport `json:"overlays"`
}

type overlayReport struct {
	Path    string       `json:"path"`
	App     string       `json:"app,omitempty"`
	Env     string       `json:"env,omitempty"`
	Cluster string       `json:"cluster,omitempty"`
	Error   string       `json:"error,omitempty"`
	Objects []ObjectDiff `json:"objects"`
}

// JSON is the diffs for machines, indented, in the shape that Format names:
//
//	{"format": "tagboat.dev/manifest-diff/v1",
//	 "summary": {"differ": 1, "same": 0, "failed": 0, "changed": 1, "added": 0, "removed": 0,
//	             "images": [{"name", "old", "new"}], "warnings": [{"object", "text", "overlays"}]},
//	 "overlays": [{"path", "app", "env", "cluster", "error",
//	               "objects": [{"id": {"apiVersion", "kind", "namespace", "name"}, "change", "was",
//	                            "fields": [{"path", "change", "old", "new", "lines", "secret", "reference"}]}]}]}
//
// What is empty is left out, except counts, lists of overlays and of objects.
func JSON(diffs []OverlayDiff) ([]byte, error) {
	r := report{Format: Format, Summary: Summarize(diffs), Overlays: make([]overlayReport, 0, len(diffs))}
	for _, d := range diffs {
		o := overlayReport{Path: d.Path, App: d.App, Env: d.Env, Cluster: d.Cluster, Error: d.Err, Objects: d.Diff.Objects}
		if o.Objects == nil {
			o.Objects = []ObjectDiff{}
		}
		r.Overlays = append(r.Overlays, o)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("write the diff of %d overlays as JSON: %w", len(diffs), err)
	}
	return b.Bytes(), nil
}
