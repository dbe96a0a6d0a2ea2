package overlay_test

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
)

const file = "apps/payments/overlays/prod/kustomization.yaml"

var (
	oldDigest = "sha256:" + strings.Repeat("a1", 32)
	newDigest = "sha256:" + strings.Repeat("b2", 32)
	payments  = image.Ref{Name: "registry.example.com/payments", Tag: "1.7.0", Digest: newDigest}
)

func TestAPeopleFormattedFileChangesOnlyInItsTwoScalars(t *testing.T) {
	before := "# prod, owned by platform\nresources: [../../base]   # shared\n\nimages:\n" +
		"    - name: other\n      newTag: 'x'\n" +
		"    - name: payments # the app\n      newName: registry.example.com/payments\n\n" +
		"      newTag:   \"1.6.0\"    # bumped by Tagboat\n      digest: " + oldDigest + "\n" +
		"patches: []\n"
	edit := set(t, before, payments)
	want := strings.NewReplacer("1.6.0", "1.7.0", oldDigest, newDigest).Replace(before)
	if diff := gocmp.Diff(want, string(edit.After)); diff != "" {
		t.Errorf("bytes (-want +got):\n%s", diff)
	}
	wantOld := image.Ref{Name: payments.Name, Tag: "1.6.0", Digest: oldDigest}
	if diff := gocmp.Diff([]image.Ref{wantOld, payments}, []image.Ref{edit.Old, edit.New}); diff != "" {
		t.Errorf("old and new (-want +got):\n%s", diff)
	}
	if !strings.Contains(overlay.UnifiedDiff(edit), "+      newTag:   \"1.7.0\"    # bumped by Tagboat\n") {
		t.Errorf("diff:\n%s", overlay.UnifiedDiff(edit))
	}
}

func TestEveryWayOfWritingIsKept(t *testing.T) {
	long := image.Ref{Name: "x", Tag: "1.7.0", Digest: newDigest}
	tests := []struct {
		name, before, after string
		img                 image.Ref
		opts                []overlay.Option
	}{
		{"CRLF and a missing final newline",
			"images:\r\n- name: x\r\n  newTag: 1.6.0", "images:\r\n- name: x\r\n  newTag: 1.7.0\r\n  digest: " + newDigest, long, nil},
		{"byte order mark", "\ufeffimages: [{name: x, newTag: 1.6.0, digest: " + oldDigest + "}]\n",
			"\ufeffimages: [{name: x, newTag: 1.7.0, digest: " + newDigest + "}]\n", long, nil},
		{"flow style gets its digest between the braces", "images: [{name: x, newTag: 1.6.0}, {name: y}] # é\n",
			"images: [{name: x, newTag: 1.7.0, digest: " + newDigest + "}, {name: y}] # é\n", long, nil},
		{"columns count runes", "images: [{name: é, newTag: ü}, {name: x, newTag: 1.6.0, digest: '" + oldDigest + "'}]\n",
			"images: [{name: é, newTag: ü}, {name: x, newTag: 1.7.0, digest: '" + newDigest + "'}]\n", long, nil},
		{"JSON in YAML stays JSON", `{"images": [{"name": "x", "newTag": "1.6.0"}]}`,
			`{"images": [{"name": "x", "newTag": "1.7.0", "digest": "` + newDigest + `"}]}`, long, nil},
		{"only the first document is Kustomize's", "images:\n- name: x\n  newTag: 1.6.0\n---\nimages:\n- name: x\n  newTag: 1.6.0\n",
			"images:\n- name: x\n  newTag: 1.7.0\n---\nimages:\n- name: x\n  newTag: 1.6.0\n", image.Ref{Name: "x", Tag: "1.7.0"}, nil},
		{"a number gets quotes", "images:\n- name: x\n  newTag: v1\n", "images:\n- name: x\n  newTag: \"1.20\"\n", image.Ref{Name: "x", Tag: "1.20"}, nil},
		{"quotes that the old value needed stay", "images:\n- name: x\n  newTag: '1.20'\n", "images:\n- name: x\n  newTag: '1.20.1'\n", image.Ref{Name: "x", Tag: "1.20.1"}, nil},
		{"a number without quotes is mended", "images:\n- name: x\n  newTag: 1.20\n", "images:\n- name: x\n  newTag: \"1.20\"\n", image.Ref{Name: "x", Tag: "1.20"}, nil},
		{"pin tag adds no digest", "images:\n- name: x\n  newTag: 1.6.0\n", "images:\n- name: x\n  newTag: 1.7.0\n", long, []overlay.Option{overlay.WithPin(overlay.PinTag)}},
		{"pin tag moves a digest along", "images:\n- name: x\n  digest: " + oldDigest + "\n  newTag: 1.6.0\n",
			"images:\n- name: x\n  digest: " + newDigest + "\n  newTag: 1.7.0\n", long, []overlay.Option{overlay.WithPin(overlay.PinTag)}},
		{"pin digest alone", "images:\n- name: x\n  digest: " + oldDigest + "\n", "images:\n- name: x\n  digest: " + newDigest + "\n", long, []overlay.Option{overlay.WithPin(overlay.PinDigest)}},
		{"both keys are inserted", "images:\n  - newName: x # why\n    name: base\n# end\n",
			"images:\n  - newName: x # why\n    newTag: 1.7.0\n    digest: " + newDigest + "\n    name: base\n# end\n", long, nil},
		{"a tag property is kept", "images:\n- name: x\n  newTag: !!str 1.20\n", "images:\n- name: x\n  newTag: !!str 1.7.0\n", image.Ref{Name: "x", Tag: "1.7.0"}, nil},
		{"other anchors do no harm", "commonLabels: &l {a: b}\nlabels: [{pairs: *l}]\nimages:\n- name: x\n  newTag: 1.6.0\n",
			"commonLabels: &l {a: b}\nlabels: [{pairs: *l}]\nimages:\n- name: x\n  newTag: 1.7.0\n", image.Ref{Name: "x", Tag: "1.7.0"}, nil},
		{"braces in a quoted string are no template", "images:\n- name: x\n  newTag: 1.6.0\npatches:\n- patch: |-\n    a: '{{ b }}'\n",
			"images:\n- name: x\n  newTag: 1.7.0\npatches:\n- patch: |-\n    a: '{{ b }}'\n", image.Ref{Name: "x", Tag: "1.7.0"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := gocmp.Diff(tt.after, string(set(t, tt.before, tt.img, tt.opts...).After)); diff != "" {
				t.Errorf("bytes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTagsThatLookLikeOtherTypesAreQuoted(t *testing.T) {
	for _, tag := range []string{"1.20", "1e10", "12e34567", "0123", "08", "null", "Null", "on", "OFF", "y", "No", "true", "12345678",
		"0x1F", "0b11", "0o17", "1_000", "2026-10-01", "2026-1-1", "1.", "1.e5", "6.", "123"} {
		edit := set(t, "images:\n- name: x\n  newTag: v1.0.0\n", image.Ref{Name: "x", Tag: tag})
		if want := "images:\n- name: x\n  newTag: \"" + tag + "\"\n"; string(edit.After) != want {
			t.Errorf("tag %s: wrote %q", tag, edit.After)
		}
	}
	for _, tag := range []string{"1.7.0", "v1.20", "1.20-rc.1", "sha-0123", "20261001-abc", "1.2.3-4", "onward", "ye"} {
		edit := set(t, "images:\n- name: x\n  newTag: v1.0.0\n", image.Ref{Name: "x", Tag: tag})
		if want := "images:\n- name: x\n  newTag: " + tag + "\n"; string(edit.After) != want {
			t.Errorf("tag %s: wrote %q", tag, edit.After)
		}
	}
}

func TestWhatCannotBeEditedForCertainIsRefusedWithLineAndReason(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"image listed twice", "images:\n- name: x\n  newTag: '1'\n- name: x\n  newTag: '2'\n", ":4: image x is listed twice (first on line 2)"},
		{"duplicate key in the entry", "images:\n- name: x\n  newTag: '1'\n  newTag: '2'\n", `:4: key "newTag" stands here a second time (first on line 3)`},
		{"images twice", "images: []\nimages:\n- name: x\n  newTag: '1'\n", `:2: key "images" stands here a second time`},
		{"alias as value", "a: &t '1'\nimages:\n- name: x\n  newTag: *t\n", ":4: image x is written as an alias (*t)"},
		{"alias as entry", "a: &e {name: x, newTag: '1'}\nimages:\n- *e\n", ":3: image x is written as an alias (*e)"},
		{"alias as list", "a: &e [{name: x, newTag: '1'}]\nimages: *e\n", ":2: image x is written as an alias (*e)"},
		{"anchored value", "images:\n- name: x\n  newTag: &t '1'\nb: *t\n", ":3: image x is under an anchor (&t)"},
		{"anchored entry", "images:\n- &e\n  name: x\n  newTag: '1'\n", "under an anchor (&e)"},
		{"merge key", "a: &e {newTag: '1'}\nimages:\n- name: x\n  <<: *e\n", ":4: this element of images: merges another mapping"},
		{"template that parses", "images:\n- name: x\n  newTag: {{ .Values.tag }}\n", ":3: the file is a template"},
		{"template that does not parse", "images:\n{{- range .x }}\n- name: x\n", "looks like a template"},
		{"template in quotes", "images:\n- name: x\n  newTag: '{{ .tag }}'\n", ":2: image x is written with a template"},
		{"literal block", "images:\n- name: x\n  newTag: |-\n    1.6.0\n", "block scalar"},
		{"folded block", "images:\n- name: x\n  newTag: >-\n    1.6.0\n", "block scalar"},
		{"several lines", "images:\n- name: x\n  newTag: 'a\n    b'\n", "over several lines"},
		{"several plain lines", "images:\n- name: x\n  newTag: a\n    b\n", "over several lines"},
		{"empty value", "images:\n- name: x\n  newTag:\n", ":3: the value is empty"},
		{"not YAML", "images:\n- name: x\n newTag: [\n", ":2: not valid YAML: "},
		{"a list", "- a\n", ":1: a kustomization is a mapping"},
		{"images is a mapping", "images: {name: x}\n", ":1: images: must be a list"},
		{"entry is a string", "images: [x]\n", ":1: an element of images: must be a mapping"},
		{"name is a list", "images: [{name: [x]}]\n", ":1: name of an image must be a string"},
		{"tag suffix", "images:\n- name: x\n  newTag: '1'\n  tagSuffix: -arm\n", ":4: image x has a tagSuffix"},
		{"digest inside newTag", "images:\n- name: x\n  newTag: 1@" + oldDigest + "\n", ":3: newTag holds a digest too"},
		{"old Mac line break", "images:\r- name: x\r", ":1: a line break here is neither LF nor CRLF"},
		{"not UTF-8", "images:\n- name: \xff\n", ":1: the file is not UTF-8"},
		{"explicit other type", "images:\n- name: x\n  newTag: !!float 1.5\n", ":2: newTag of image x would not be read as the string"},
		{"too large", strings.Repeat("#", 3<<20), ":1: the file is larger than 2 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := overlay.SetImage(file, []byte(tt.data), image.Ref{Name: "x", Tag: "1.7.0"})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v %q, want Invalid %q", fault.KindOf(err), err, tt.want)
			}
		})
	}
}

func TestAnOverlayWithoutTheImageSaysSo(t *testing.T) {
	for _, data := range []string{"", "resources: [a.yaml]\n", "images:\n", "images:\n- name: y\n", "a: 1\n---\nimages: [{name: x}]\n"} {
		_, err := overlay.Current(file, []byte(data), "x")
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "has no entry for x") {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestADigestNeverStaysBehindItsTag(t *testing.T) {
	data := []byte("images:\n- name: x\n  newTag: 1.6.0\n  digest: " + oldDigest + "\n")
	if _, err := overlay.SetImage(file, data, image.Ref{Name: "x", Tag: "1.7.0"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("tag without digest: %v", err)
	}
	if _, err := overlay.SetImage(file, data, image.Ref{Name: "x", Digest: newDigest}); !fault.Is(err, fault.Invalid) {
		t.Errorf("digest without tag: %v", err)
	}
}

func TestCurrentFindsWhatRunsBeforeWhatTheBaseNames(t *testing.T) {
	data := []byte("images:\n- {name: nginx, newName: mirror/nginx, newTag: '1'}\n- {name: web, newName: nginx, newTag: '2'}\n- {name: z, newTag: 3@" + oldDigest + "}\n")
	for name, want := range map[string]image.Ref{
		"nginx":        {Name: "nginx", Tag: "2"},
		"mirror/nginx": {Name: "mirror/nginx", Tag: "1"},
		"web":          {Name: "nginx", Tag: "2"},
		"z":            {Name: "z", Tag: "3", Digest: oldDigest},
	} {
		got, err := overlay.Current(file, data, name)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	entries, err := overlay.Entries(file, data)
	if err != nil || len(entries) != 3 || entries[1] != (overlay.Entry{Name: "web", NewName: "nginx", NewTag: "2", Line: 3}) {
		t.Errorf("entries: %+v, %v", entries, err)
	}
}

func TestTheHashIsOfTheManagedEditAndNotOfItsBase(t *testing.T) {
	a := set(t, "images:\n- name: x\n  newTag: 1.6.0\n", image.Ref{Name: "x", Tag: "1.7.0"})
	b := set(t, "# rebased\nimages:\n- name: x\n  newTag: '1.6.1'\n", image.Ref{Name: "x", Tag: "1.7.0"})
	c := set(t, "images:\n- name: x\n  newTag: 1.6.0\n", image.Ref{Name: "x", Tag: "1.7.1"})
	if a.Hash() != b.Hash() || a.Hash() == c.Hash() {
		t.Errorf("hashes: %s %s %s", a.Hash(), b.Hash(), c.Hash())
	}
	again := set(t, string(a.After), image.Ref{Name: "x", Tag: "1.7.0"})
	if again.Changed() || overlay.UnifiedDiff(again) != "" || !a.Changed() {
		t.Errorf("an edit that stands there already changes: %q", again.After)
	}
}

func TestTheGuardSeesEverythingElse(t *testing.T) {
	before := "# a\nimages:\n- name: x # b\n  newTag: 1.6.0\n- name: y\n  newTag: '1'\n"
	allowed := []string{
		"# a\nimages:\n- name: x # b\n  newTag: 1.7.0\n- name: y\n  newTag: '1'\n",
		"# a\nimages:\n- name: x # b\n  newTag: \"1.20\"\n  digest: " + newDigest + "\n- name: y\n  newTag: '1'\n",
	}
	for _, after := range allowed {
		if err := overlay.OnlyDeclared(file, []byte(before), []byte(after), "x"); err != nil {
			t.Errorf("%q: %v", after, err)
		}
	}
	forbidden := []string{
		strings.Replace(before, "# a", "# c", 1),
		strings.Replace(before, "'1'", "'2'", 1),
		strings.Replace(before, "  newTag: 1.6.0\n", "", 1),
		strings.Replace(before, "1.6.0", "1.7.0 # note", 1),
		strings.Replace(before, "1.6.0", "&a 1.7.0", 1),
		strings.Replace(before, "1.6.0", "1.7.0\n  digest: "+newDigest+" # note", 1),
		strings.Replace(before, "1.6.0", "1.7.0\n  newName: evil/x", 1),
		strings.Replace(before, "name: x", "name: z", 1),
		strings.Replace(before, "\n", "\r\n", -1),
		"\ufeff" + before,
		before + "resources: [evil.yaml]\n",
		before + "---\nkind: Secret\n",
		strings.TrimSuffix(before, "\n"),
	}
	for _, after := range forbidden {
		if err := overlay.OnlyDeclared(file, []byte(before), []byte(after), "x"); err == nil {
			t.Errorf("allowed: %q", after)
		}
	}
}

// TestAnyLayoutIsEditedToTheByte draws a file from its parts, so that the wanted
// bytes are known without asking the code under test.
func TestAnyLayoutIsEditedToTheByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		eol := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "eol")
		mark := rapid.SampledFrom([]string{"", "\ufeff"}).Draw(t, "bom")
		indent := strings.Repeat(" ", rapid.IntRange(0, 6).Draw(t, "indent"))
		comment := rapid.SampledFrom([]string{"", " # ü comment: [", "   # x"}).Draw(t, "comment")
		head := rapid.SampledFrom([]string{"", "# größe" + "\n", "résumé: \"ü # no comment\"\n", "a: |\n  newTag: 1.6.0\n", "%YAML 1.1\n---\n"}).Draw(t, "head")
		tail := rapid.SampledFrom([]string{"", "\n", "\n\n\n", "\npatches:\n- path: ü.yaml\n", "\n---\nb: 1\n...\n"}).Draw(t, "tail")
		quote := rapid.SampledFrom([]string{"", "'", `"`}).Draw(t, "quote")
		tag := rapid.StringMatching(`[a-z0-9]{1,3}\.[0-9]{1,3}\.[0-9a-z_-]{1,4}`).Draw(t, "tag")
		others := rapid.IntRange(0, 3).Draw(t, "others")
		build := func(tag string) string {
			s := head + "images:"
			for range others {
				s += "\n" + indent + "- {name: é" + strings.Repeat("é", len(s)%7) + "}"
			}
			s += "\n" + indent + "- name: x" + comment + "\n\n" + indent + "  newTag: " + quote + tag + quote + comment + tail
			return mark + strings.ReplaceAll(s, "\n", eol)
		}
		edit, err := overlay.SetImage(file, []byte(build("old")), image.Ref{Name: "x", Tag: tag})
		if err != nil {
			t.Fatalf("%q: %v", build("old"), err)
		}
		if got := string(edit.After); got != build(tag) && !(quote == "" && got == strings.Replace(build(tag), tag, `"`+tag+`"`, 1)) {
			t.Fatalf("wrote %q, want %q", got, build(tag))
		}
	})
}

func FuzzSetImage(f *testing.F) {
	for _, s := range []string{"images:\n- name: x\n  newTag: 1\n", "\ufeffimages: [{name: x, newTag: '1'}]", "images:\r\n- name: x\r\n  digest: \"" + oldDigest + "\"",
		"a: &b\nimages:\n- {name: x, newTag: !!str 1, ? b : c}", "images:\n-\n  name: x\n  newTag: {{ a }}"} {
		f.Add([]byte(s), "1.20")
	}
	f.Fuzz(func(t *testing.T, data []byte, tag string) {
		edit, err := overlay.SetImage(file, data, image.Ref{Name: "x", Tag: tag, Digest: newDigest})
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.NotFound {
				t.Fatalf("kind %v: %v", k, err)
			}
			return
		}
		got, err := overlay.Current(file, edit.After, "x")
		if err != nil || got.Digest != newDigest || (tag != "" && got.Tag != tag) {
			t.Fatalf("after the edit: %v, %v\n%q", got, err, edit.After)
		}
		again, err := overlay.SetImage(file, edit.After, image.Ref{Name: "x", Tag: tag, Digest: newDigest})
		if err != nil || again.Changed() {
			t.Fatalf("not idempotent: %v\n%q", err, again.After)
		}
	})
}

func set(t *testing.T, data string, img image.Ref, opts ...overlay.Option) overlay.Edit {
	t.Helper()
	edit, err := overlay.SetImage(file, []byte(data), img, opts...)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return edit
}
