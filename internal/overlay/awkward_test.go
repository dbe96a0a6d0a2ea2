package overlay_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/overlay"
)

var update = flag.Bool("update", false, "write the golden files anew")

// marks stand in testdata for bytes that editors and git do not keep.
var marks = strings.NewReplacer("␍", "\r", "⟦BOM⟧", "\ufeff", "⟦no newline⟧\n", "")

var unmarks = strings.NewReplacer("\r", "␍", "\ufeff", "⟦BOM⟧")

// TestAwkwardFilesGetTheSmallestDiffOrARefusal reads testdata/*.txtar: a story, what is
// asked for, the files, and the diff or the refusal that must come of it.
func TestAwkwardFilesGetTheSmallestDiffOrARefusal(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files, want := map[string][]byte{}, -1
			for i, f := range archive.Files {
				if f.Name == "want" {
					want = i
					continue
				}
				files[f.Name] = []byte(marks.Replace(string(f.Data)))
			}
			if want < 0 {
				archive.Files = append(archive.Files, txtar.File{Name: "want"})
				want = len(archive.Files) - 1
			}
			got := outcome(t, files, string(archive.Comment))
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := gocmp.Diff(string(archive.Files[want].Data), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// outcome runs what the lines of a comment ask for ("image NAME VERSION [DIGEST]",
// also with chart, revision or any; "pin PIN"; "refs") and shows what comes of it.
func outcome(t *testing.T, files map[string][]byte, comment string) string {
	var changes []overlay.Change
	var o overlay.BumpOptions
	for line := range strings.Lines(comment) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] == "#":
		case f[0] == "pin":
			o.Pin = overlay.Pin(f[1])
		case f[0] == "refs":
			o.Refs = true
		default:
			c := overlay.Change{Kind: overlay.Kind(strings.TrimPrefix(f[0], "any")), Name: f[1]}
			for _, part := range f[2:] {
				if strings.HasPrefix(part, "sha256:") {
					c.Digest = part
				} else {
					c.Version = part
				}
			}
			changes = append(changes, c)
		}
	}
	edits, err := overlay.Bump(files, changes, o)
	if err != nil {
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.NotFound || strings.Contains(err.Error(), "\n") {
			t.Errorf("kind %v: %v", k, err)
		}
		return "refused: " + err.Error() + "\n"
	}
	var b strings.Builder
	for _, e := range edits {
		b.WriteString(unmarks.Replace(overlay.UnifiedDiff(e)))
		for _, c := range changes {
			var moved map[string]string
			if len(changes) == 1 && e.Old.Tag != e.New.Tag {
				moved = map[string]string{e.Old.Tag: e.New.Tag}
			}
			if err := overlay.OnlyDeclared(e.Path, e.Before, e.After, c.Name, overlay.WithFollowed(moved)); err != nil && len(changes) == 1 && c.Kind != overlay.KindChart {
				t.Errorf("the guard does not let our own edit pass: %v", err)
			}
		}
		again, err := overlay.Bump(map[string][]byte{e.Path: e.After}, changes, overlay.BumpOptions{Pin: o.Pin})
		if err == nil && len(again) > 0 {
			t.Errorf("a second bump changes %s again:\n%s", e.Path, overlay.UnifiedDiff(again[0]))
		}
	}
	if len(edits) == 0 {
		fmt.Fprintln(&b, "nothing to change")
	}
	return b.String()
}
