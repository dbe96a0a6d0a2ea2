package render_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"
	"unicode"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

// TestAChildThatLiesIsEnded gives builds to children that do what a build never does.
func TestAChildThatLiesIsEnded(t *testing.T) {
	var fetched atomic.Int32
	p := mischievous(t, render.Options{Workers: 2, Timeout: 10 * time.Minute, Fetch: func(context.Context, render.Remote) (fs.FS, error) {
		fetched.Add(1)
		return fstest.MapFS{}, nil
	}})
	files := tree(map[string]string{"outside": "x"})
	for i := range 200 {
		files[fmt.Sprintf("f%d", i)] = &fstest.MapFile{Data: []byte("x")}
	}
	files["outside"] = &fstest.MapFile{Data: []byte("/etc"), Mode: fs.ModeSymlink}
	for lie, reason := range map[string]string{
		"many questions": "a list of 4097, where 4096 are the most", "many in a frame": "where 4096 are the most",
		"a question of kind 4": "a question of kind 4", "a question of kind 256": "", "half a question": "", "a long question": "",
		"asking for ever": "it asks more than 16384 times", "all for ever": "it asks about more than 131072 files", "nothing for ever": "it asks about more than 131072 files",
		"path: absolute": `a question about "/etc/passwd"`, "path: above": `a question about "../x"`, "path: by a way": "a question about", "path: empty": "a question about",
		"path: double": "a question about", "path: zero": "a question about", "path: long": "a question about", "path: long name": "a question about",
		"remote: nothing": "a remote reference that is none", "remote: both": "a remote reference that is none", "remote: branch": "a remote reference that is none",
		"remote: tag": "a remote reference that is none", "remote: line": "a remote reference that is none", "remote: long": "a remote reference that is none",
		"a frame of kind x": "a frame of kind 120", "ready again": "a frame of kind 114", "answers": "a frame of kind 97", "a build": "a frame of kind 98",
		"no outcome": "a build with no outcome", "blank outcome": "a build with no outcome", "much output": "67108865 bytes of manifests", "a reason of 17": "a reason that it was not given",
		"a long report": "", "many reads": "a list of 65537, where 65536 are the most", "reads in a frame": "where 65536 are the most",
		"read: kind 4": `a read 4 of "a"`, "read: kind 257": "", "read: above": "a read", "read: absolute": "a read", "read: slash": "a read",
	} {
		t.Run(lie, func(t *testing.T) {
			t.Parallel()
			_, err := p.Build(t.Context(), files, render.Source{Dir: "lie=" + lie})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "the render child does not speak the protocol") || !strings.Contains(err.Error(), reason) {
				t.Errorf("%v: %.300v", fault.KindOf(err), err)
			}
			if hint := fault.HintOf(err); !strings.Contains(hint, "crashed") || len(hint) > 300 {
				t.Errorf("people read %.300q", hint)
			}
		})
	}
	t.Cleanup(func() {
		if n := fetched.Load(); n > 0 {
			t.Errorf("%d remotes were fetched that are none", n)
		}
	})
}

// At its deadline a build that asks all the time is at fault itself; one that waits for
// the tree is not.
func TestADeadlineIsTheBuildsOrTheTrees(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1, Timeout: 500 * time.Millisecond})
	files := fstest.MapFS{}
	for i := range 3000 { // so that it takes long to look at all
		files[fmt.Sprintf("d%d/f", i)] = &fstest.MapFile{}
	}
	if _, err := p.Build(t.Context(), files, render.Source{Dir: "lie=all for ever"}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "it takes longer than 500ms to render") {
		t.Errorf("it asks all the time: %v: %v", fault.KindOf(err), err)
	}
	p = mischievous(t, render.Options{Workers: 1, Timeout: 5 * time.Second}) // a child has to come to the tree within it
	slow := stalling{tree(app), make(chan struct{}), make(chan struct{})}
	go func() { <-slow.reached }()
	_, err := p.Build(t.Context(), slow, render.Source{Dir: prod})
	close(slow.release)
	if !fault.Is(err, fault.Transient) {
		t.Errorf("the tree stalls: %v: %v", fault.KindOf(err), err)
	}
}

// No build is tried again because its child says so.
func TestAChildCannotHaveABuildTriedAgain(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1})
	for kind, want := range map[int]fault.Kind{
		0: fault.Invalid, 1: fault.Invalid, 2: fault.Denied, 3: fault.NotFound, 4: fault.Invalid, 5: fault.Invalid, 6: fault.Invalid, 7: fault.Invalid, 99: fault.Invalid, 65535: fault.Invalid,
	} {
		if _, err := do(t.Context(), p, fmt.Sprintf("lie=kind: %d", kind)); !fault.Is(err, want) || fault.HintOf(err) != "it said so" || fault.KindOf(err).Retryable() {
			t.Errorf("%d: %v: %v; want %v", kind, fault.KindOf(err), err, want)
		}
	}
}

func TestWhatAChildSaysIsOneReadableLine(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1})
	files := fstest.MapFS{"out\nside": {Data: []byte("/etc"), Mode: fs.ModeSymlink}}
	for lie, want := range map[string]string{
		"hint: lines":    "one two   three[31m  four",
		"hint: long":     strings.Repeat("ä", 1000) + " …",
		"hint: remote":   "one two is a remote reference, which is not fetched; copy it into the repository",
		"hint: file":     "out side: it is a symbolic link that leads out of the repository",
		"most questions": "4096 answers, <nil>",
	} {
		_, err := p.Build(t.Context(), files, render.Source{Dir: "lie=" + lie})
		if hint := fault.HintOf(err); hint != want || strings.ContainsFunc(hint, unicode.IsControl) {
			t.Errorf("%s: %.300q", lie, hint)
		}
	}
}
