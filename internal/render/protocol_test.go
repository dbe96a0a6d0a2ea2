package render

import (
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsSaidIsUnderstood(t *testing.T) {
	all := cmp.AllowUnexported(order{}, answer{}, content{}, question{}, report{})
	o := order{source: Source{Dir: "a", Helm: &Helm{Chart: "c", Release: "r", Namespace: "n", Values: []string{"x", "y"}}}, forget: true, fetches: true, first: []answer{
		{path: "a", state: directory, real: "b", links: []string{"l"}, names: []string{"d/", "f"}},
		{path: "f", state: file, links: []string{}, content: &content{id: "\x00\xff", data: []byte("data"), sent: true}},
		{path: "g", state: file, links: []string{}, content: &content{id: "i"}},
		{path: "h", state: refused, links: []string{}, problem: 17},
	}}
	if got, err := decodeBuild(encodeBuild(o)); err != nil || !cmp.Equal(o, got, all) {
		t.Errorf("%v\n%s", err, cmp.Diff(o, got, all))
	}
	questions := []question{{want: wantStat, path: "."}, {want: wantBelow, path: "a/b"}, {want: wantRemote, path: "x: y", remote: Remote{Git: "https://x/y", Commit: strings.Repeat("0", 40)}}}
	if got, err := decodeQuestions(encodeQuestions(questions)); err != nil || !cmp.Equal(questions, got, all) {
		t.Errorf("%v\n%s", err, cmp.Diff(questions, got, all))
	}
	r := report{manifests: []byte("a: b\n"), reads: []Read{{".", Stat}, {"a", Link}}, refusal: 1, kind: 2, hint: "h"}
	if got, err := decodeReport(encodeReport(r)); err != nil || !cmp.Equal(r, got, all) {
		t.Errorf("%v\n%s", err, cmp.Diff(r, got, all))
	}
}

// A frame of many small elements must not become a list of many large ones.
func TestAFrameIsNotMultipliedInMemory(t *testing.T) {
	list := encoder{}
	list.num(maxFrame / 2)
	list = append(list, make([]byte, maxFrame/2)...)
	for name, decode := range map[string]func() error{
		"questions": func() error { _, err := decodeQuestions(list); return err },
		"reads":     func() error { _, err := decodeReport(append(encoder{0}, list...)); return err },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := decode()
		runtime.ReadMemStats(&after)
		took := after.TotalAlloc - before.TotalAlloc
		if name == "reads" {
			took -= uint64(len(list)) // the copy that is made here
		}
		if !errors.Is(err, errProtocol) || took > 8<<20 {
			t.Errorf("%s: %v, with %d bytes", name, err, took)
		}
	}
}

// FuzzDecode looks for a frame of a child that is taken for more than it is.
func FuzzDecode(f *testing.F) {
	f.Add(encodeReport(report{manifests: []byte("a: b\n"), reads: []Read{{"a", Content}}, hint: "h"}))
	f.Add(encodeQuestions([]question{{want: wantBelow, path: "a"}, {want: wantRemote, path: "x"}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if questions, err := decodeQuestions(payload); err == nil {
			for _, q := range questions {
				if err := q.check(); err != nil {
					t.Errorf("%v of %q", err, payload)
				}
			}
			if again, err := decodeQuestions(encodeQuestions(questions)); err != nil || !reflect.DeepEqual(questions, again) {
				t.Errorf("%+v is read as %+v, %v", questions, again, err)
			}
		}
		if r, err := decodeReport(payload); err == nil {
			if again, err := decodeReport(encodeReport(r)); err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("%+v is read as %+v, %v", r, again, err)
			}
			if hint := oneLine(r.hint); strings.ContainsAny(hint, "\n\r\x1b\u202e") || len(hint) > maxHint+len(" …") || oneLine(hint) != hint && len(hint) < maxHint {
				t.Errorf("%q", hint)
			}
		}
	})
}
