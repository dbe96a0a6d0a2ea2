package manifest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/manifest"
)

// value draws what may stand in an object: nil, bool, int, float64, string,
// []any or map[string]any.
func value(depth int) *rapid.Generator[any] {
	texts := rapid.OneOf(rapid.SampledFrom(awkward), rapid.SampledFrom([]string{"yes", "1", "1.0", "0x1", "null", "~", "2026-01-02", "a: b", "- a", "<<", "=", "{}", "'", "app", "--x", "-1"}), rapid.StringMatching(`[a-z]{1,8}`))
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.IntRange(-5, 5).AsAny(), rapid.Float64Range(-2, 2).AsAny(), texts.AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	keys := rapid.SampledFrom([]string{"a", "b", "name", "value", "containers", "env", "ports", "port", "image", "password", "args", "x.y/z", "data", "on", "1", "metadata"})
	return rapid.OneOf(append(scalars,
		rapid.SliceOfN(value(depth-1), 0, 4).AsAny(),
		rapid.SliceOfN(rapid.MapOfN(rapid.SampledFrom([]string{"name", "value", "image", "port"}), value(depth-1), 1, 3).AsAny(), 0, 4).AsAny(),
		rapid.MapOfN(keys, value(depth-1), 0, 5).AsAny(),
	)...)
}

func things() *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": rapid.SampledFrom([]string{"Thing", "ConfigMap", "Deployment"}).Draw(t, "kind"),
			"metadata": map[string]any{"name": "x"},
			"spec":     value(3).Draw(t, "spec"), "data": value(2).Draw(t, "data"),
		}
	})
}

// write writes a value as YAML in one of the many ways there are.
func write(v any, r *rand.Rand) string {
	switch v := v.(type) {
	case nil:
		return []string{"null", "~", "Null"}[r.IntN(3)]
	case bool:
		return map[bool][]string{true: {"true", "yes", "On"}, false: {"false", "no", "OFF"}}[v][r.IntN(3)]
	case int:
		return []string{fmt.Sprint(v), fmt.Sprintf("%d.0", v), fmt.Sprintf("%d.0e0", v)}[r.IntN(3)]
	case float64:
		return fmt.Sprint(v)
	case string:
		if r.IntN(2) == 0 {
			return "!!str " + quote(v)
		}
		return quote(v)
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, write(item, r))
		}
		return "[" + strings.Join(parts, ", ") + strings.Repeat(" ", r.IntN(3)) + "]"
	case map[string]any:
		var parts []string
		for k, item := range v {
			parts = append(parts, "? "+quote(k)+" : "+write(item, r))
		}
		slices.Sort(parts)
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		return "{" + strings.Join(parts, ",\n ") + "}"
	}
	panic(fmt.Sprintf("%T", v))
}

func TestTheWayOfWritingIsNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := things().Draw(t, "a"), things().Draw(t, "b")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		same, err := manifest.Compare([]byte(write(a, r)), []byte(write(a, r)))
		if err != nil {
			t.Fatal(err)
		}
		if !same.Empty() {
			t.Fatalf("two ways to write the same differ:\n%s", told(same))
		}
		once, err := manifest.Compare([]byte(write(a, r)), []byte(write(b, r)))
		if err != nil {
			t.Fatal(err)
		}
		again, err := manifest.Compare([]byte(write(a, r)), []byte(write(b, r)))
		if err != nil {
			t.Fatal(err)
		}
		if told(once) != told(again) {
			t.Fatalf("the way of writing changes the diff:\n%s\n%s", told(once), told(again))
		}
	})
}

// TestAValueReadsAsItIsShown holds what Old and New promise: YAML on one line.
func TestAValueReadsAsItIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := value(2).Draw(t, "value")
		r := rand.New(rand.NewPCG(1, 2))
		d, err := manifest.Compare([]byte(object("Thing", "a: 1")), []byte(object("Thing", "a: 1, ? it : "+write(v, r))))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range d.Objects {
			for _, f := range o.Fields {
				if f.Secret || len(f.Lines) > 0 {
					continue
				}
				if strings.Contains(f.New, "\n") {
					t.Fatalf("%q has several lines", f.New)
				}
				if f.Path != "it" {
					continue
				}
				back, err := manifest.Compare([]byte(object("Thing", "? it : "+write(v, r))), []byte(object("Thing", "? it : "+f.New)))
				if err != nil || !back.Empty() {
					t.Fatalf("%q: %v\n%s", f.New, err, told(back))
				}
			}
		}
	})
}

func TestWhatIsAddedOneWayIsRemovedTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(3, 4))
		a, b := []byte(write(things().Draw(t, "a"), r)), []byte(write(things().Draw(t, "b"), r))
		forth, err := manifest.Compare(a, b)
		if err != nil {
			t.Fatal(err)
		}
		back, err := manifest.Compare(b, a)
		if err != nil {
			t.Fatal(err)
		}
		if forth.Empty() != back.Empty() || len(forth.Objects) != len(back.Objects) {
			t.Fatalf("forth:\n%sback:\n%s", told(forth), told(back))
		}
	})
}

// TestTheLinesOfATextTellItWhole undoes a text's difference: what was before must
// come out, and no line may be told that stayed, unless as context.
func TestTheLinesOfATextTellItWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "  e"}), 1, 30)
		before, after := lines.Draw(t, "before"), lines.Draw(t, "after")
		if rapid.Bool().Draw(t, "far apart") { // hunks with much between them
			middle := strings.Split(strings.Repeat("m", rapid.IntRange(0, 20).Draw(t, "middle")), "")
			before, after = slices.Concat(before, middle, lines.Draw(t, "end")), slices.Concat(after, middle, lines.Draw(t, "new end"))
		}
		file := func(lines []string) []byte {
			return []byte(object("ConfigMap", "data: {f: "+quote(strings.Join(lines, "\n")+"\n")+"}"))
		}
		d, err := manifest.Compare(file(before), file(after))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Equal(before, after) != d.Empty() {
			t.Fatalf("%q and %q: empty is %v", before, after, d.Empty())
		}
		if d.Empty() {
			return
		}
		var undone []string
		at, taken, put := 0, 0, 0
		for _, l := range d.Objects[0].Fields[0].Lines {
			var hunk int
			if n, _ := fmt.Sscanf(l, "@@ line %d", &hunk); n == 1 {
				undone = append(undone, after[at:hunk-1]...)
				at = hunk - 1
				continue
			}
			switch l[0] {
			case '-':
				undone = append(undone, l[1:])
				taken++
				continue
			case ' ':
				undone = append(undone, l[1:])
			case '+':
				put++
			}
			if at >= len(after) || after[at] != l[1:] {
				t.Fatalf("%q is not line %d of what is after", l, at+1)
			}
			at++
		}
		undone = append(undone, after[at:]...)
		if !slices.Equal(undone, before) {
			t.Fatalf("undone:\n%q, before:\n%q", undone, before)
		}
		if want := len(before) + len(after) - 2*longest(before, after); taken+put != want {
			t.Fatalf("%d lines are told, the fewest are %d", taken+put, want)
		}
	})
}

// longest is the length of the longest common subsequence, row by row.
func longest(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		corner := 0
		for j, y := range b {
			above := row[j+1]
			if row[j+1] = max(above, row[j]); x == y {
				row[j+1] = corner + 1
			}
			corner = above
		}
	}
	return row[len(b)]
}

func TestNoSecretIsEverWritten(t *testing.T) {
	secret := rapid.StringMatching(`[A-Za-z0-9+/]{4,30}`)
	rapid.Check(t, func(t *rapid.T) {
		var secrets []string
		draw := func(label string) any {
			s := "HUSH" + secret.Draw(t, label) + "HUSH"
			secrets = append(secrets, s)
			switch rapid.IntRange(0, 4).Draw(t, "shape") {
			case 0:
				return "line\n  " + s + "\n"
			case 1:
				return []any{s, map[string]any{"name": s, "value": s}}
			case 2:
				return map[string]any{"env": []any{map[string]any{"name": s}}}
			}
			return s
		}
		stream := func(label string) string {
			one := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "x", "annotations": map[string]any{}}}
			for _, field := range []string{"data", "stringData", "other"} {
				if rapid.Bool().Draw(t, field) {
					one[field] = map[string]any{"a": draw(label), rapid.StringMatching(`[a-c]`).Draw(t, "key"): draw(label)}
				} else {
					one[field] = draw(label)
				}
			}
			one["metadata"].(map[string]any)["annotations"] = map[string]any{"kubectl.kubernetes.io/last-applied-configuration": draw(label)}
			if rapid.Bool().Draw(t, "none") {
				return object("Service", "a: 1")
			}
			return write(one, rand.New(rand.NewPCG(5, 6)))
		}
		before, after := stream("before"), stream("after")
		d, err := manifest.Compare([]byte(before), []byte(after))
		if err != nil {
			t.Fatal(err)
		}
		all := []manifest.OverlayDiff{{Path: "apps/payments", Diff: d}}
		raw, err := manifest.JSON(all)
		if err != nil {
			t.Fatal(err)
		}
		written := manifest.Text(all) + manifest.Markdown(all, 60_000) + string(raw)
		for _, s := range secrets {
			if strings.Contains(written, s) {
				t.Fatalf("%s can be read in:\n%s", s, written)
			}
		}
		if strings.Contains(written, "HUSH") {
			t.Fatalf("a part of a secret can be read in:\n%s", written)
		}
	})
}

func TestMarkdownHoldsWhateverIsInIt(t *testing.T) {
	texts := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(awkward), rapid.String()), 0, 4).Draw(t, "parts"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		all := hostile(texts.Draw(t, "a"), texts.Draw(t, "b"))
		limit := rapid.IntRange(-1, 12_000).Draw(t, "limit")
		judge(t, manifest.Markdown(all, limit), limit)
	})
}

func TestEveryLimitIsKept(t *testing.T) {
	all := release(t)
	whole := len(manifest.Markdown(all, 60_000))
	for limit := -1; limit < whole+300; limit++ {
		judge(t, manifest.Markdown(all, limit), limit)
		if t.Failed() {
			t.Fatalf("at the limit %d", limit)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte(overlay), []byte(strings.Replace(overlay, "1.6.0", "1.7.0", 1)))
	f.Add([]byte(hostileObject("```", "@acme")), []byte(hostileObject("- [ ] a", "</details>")))
	f.Add([]byte("%YAML 1.1\n---\n"+service), []byte(service+"...\n"))
	f.Add([]byte(settings("a: |\n  passwords:\n  - 'x\n\n    y'\n# token: z\nb: {c: \"d\n  e\"}")), []byte(settings("{{ x }}\n\tauth: [\n'a]', // b\n]\r\nkey = \"\"\"\nc")))
	f.Add([]byte("a: &a [*a]"), []byte("{<<: [{a: b}]}"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		d, err := manifest.Compare(before, after)
		if err != nil {
			if strings.Contains(err.Error(), "gave up") {
				t.Skip("the parser's own trouble")
			}
			return
		}
		all := []manifest.OverlayDiff{{Path: "apps/payments", Diff: d}}
		judge(t, manifest.Markdown(all, 5000), 5000)
		if _, err := manifest.JSON(all); err != nil {
			t.Error(err)
		}
		manifest.Text(all)
		if again, err := manifest.Compare(append([]byte("# a comment\n"), before...), before); err == nil && !again.Empty() {
			if objects, err := manifest.Parse(before); err == nil && len(objects) > 0 {
				t.Errorf("a comment is a difference:\n%s", told(again))
			}
		}
	})
}

func BenchmarkCompareImageBump(b *testing.B) {
	five := overlay + "---\n" + object("ServiceAccount", "a: 1") + "---\n" + strings.Replace(service, "name: payments\n", "name: second\n", 1)
	before, after := []byte(five), []byte(strings.Replace(five, "payments:1.6.0", "payments:1.7.0", 1))
	for b.Loop() {
		if d, err := manifest.Compare(before, after); err != nil || len(d.Objects) != 1 {
			b.Fatal(d, err)
		}
	}
}

func BenchmarkCompareEqual(b *testing.B) {
	before, after := []byte(overlay), []byte(overlay)
	for b.Loop() {
		if d, err := manifest.Compare(before, after); err != nil || !d.Empty() {
			b.Fatal(d, err)
		}
	}
}

// BenchmarkCompareMoved is two streams of the same documents in another order.
func BenchmarkCompareMoved(b *testing.B) {
	before, after := []byte(overlay), []byte(deployment+"---\n"+configMap+"---\n"+service)
	for b.Loop() {
		if d, err := manifest.Compare(before, after); err != nil || !d.Empty() {
			b.Fatal(d, err)
		}
	}
}

// BenchmarkCompareDeep is a list far inside: the work must not grow with the
// product of its length and its depth.
func BenchmarkCompareDeep(b *testing.B) {
	before := []byte(object("Thing", "a: 1"))
	after := []byte(object("Thing", "a: "+strings.Repeat("{a: [", 90)+strings.Repeat("xy, ", 10_000)+"x"+strings.Repeat("]}", 90)))
	for b.Loop() {
		if _, err := manifest.Compare(before, after); err != nil {
			b.Fatal(err)
		}
	}
}
