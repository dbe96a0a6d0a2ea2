package overlay

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
)

// TestNoDamagedEditIsProven hands the proof what a broken splice would write.
func TestNoDamagedEditIsProven(t *testing.T) {
	const file, before = "kustomization.yaml", "images:\n- name: x # c\n  newTag: v1\n- name: y\n  newTag: v1\npatches:\n- patch: |-\n    image: z:1\n"
	prove := func(after string) error {
		o, err := open(file, []byte(before))
		if err != nil {
			t.Fatal(err)
		}
		wishes := make([][]wish, len(o.sites))
		if wishes[0], err = o.sites[0].wanted(Change{Name: "x", Version: "v2"}, ""); err != nil {
			t.Fatal(err)
		}
		_, err = o.prove([]byte(after), []bool{true, false, false}, wishes)
		return err
	}
	good := strings.Replace(before, "v1", "v2", 1)
	if err := prove(good); err != nil {
		t.Fatal(err)
	}
	for name, after := range map[string]string{
		"nothing written":   before,
		"wrong version":     strings.Replace(good, "v2", "v3", 1),
		"a number":          strings.Replace(good, "v2", "2", 1),
		"too much":          strings.ReplaceAll(before, "v1", "v2"),
		"the wrong one":     strings.Replace(before, "y\n  newTag: v1", "y\n  newTag: v2", 1),
		"a comment lost":    strings.Replace(good, " # c", "", 1),
		"a comment more":    strings.Replace(good, "v2", "v2 # d", 1),
		"another line end":  strings.Replace(good, "\n", "\r\n", 1),
		"a patch":           strings.Replace(good, "z:1", "z:2", 1),
		"a line lost":       strings.Replace(good, "- name: y\n", "", 1),
		"an entry more":     good + "components: []\n",
		"not even YAML":     strings.Replace(good, "v2", "v2: [", 1),
		"cut short":         good[:len(good)-1],
		"a place more":      strings.Replace(good, "patches:", "- name: w\npatches:", 1),
		"the site is gone":  strings.Replace(good, "  newTag: v2\n", "", 1),
		"in another order":  "patches:\n- patch: |-\n    image: z:1\nimages:\n- name: x # c\n  newTag: v2\n- name: y\n  newTag: v1\n",
		"nested under more": strings.Replace(good, "images:", "images: # x", 1),
	} {
		if err := prove(after); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSplicesThatOverlapDoNotPanic(t *testing.T) {
	got := apply([]byte("abcdef"), []splice{{span{2, 4}, "X"}, {span{1, 3}, "Y"}, {span{6, 6}, "Z"}})
	if string(got) != "aYdefZ" {
		t.Errorf("got %q", got)
	}
}
