package render

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"

	"github.com/tagboat/tagboat/internal/fault"
)

// lies are what a hostile child says instead of building, past the code that makes a
// child keep to the bounds. An error is reported as any.
var lies = map[string]func(*view) error{
	"many questions": asking(slices.Repeat([]question{{path: "a"}}, maxQuestions+1)...),
	"most questions": func(v *view) error {
		answers, err := v.ask(slices.Repeat([]question{{path: "a"}}, maxQuestions))
		return fault.Errorf(fault.Invalid, "%d answers, %v", len(answers), err)
	},
	"a question of kind 4": asking(question{want: 4, path: "a"}),
	"a question of kind 256": func(*view) error {
		var e encoder
		e.num(1)
		e.num(256)
		e.str("a")
		return say(frameAsk, e)
	},
	"half a question": func(*view) error { return say(frameAsk, encoder{1, 0, 5, 'a'}) },
	"a long question": func(*view) error { return say(frameAsk, append(encodeQuestions([]question{{path: "a"}}), 0)) },
	"many in a frame": func(*view) error {
		return say(frameAsk, append(encoder{0xff, 0xff, 0xff, 0x1f}, make([]byte, maxFrame/2)...))
	},
	"asking for ever": func(v *view) error { return insist(v, nil) },
	"all for ever": func(v *view) error {
		return insist(v, slices.Repeat([]question{{want: wantBelow, path: "."}}, maxQuestions))
	},
	"nothing for ever": func(v *view) error {
		return insist(v, slices.Repeat([]question{{want: wantContent, path: "outside"}}, maxQuestions))
	},
	"path: absolute":  asking(question{want: wantContent, path: "/etc/passwd"}),
	"path: above":     asking(question{want: wantContent, path: "../x"}),
	"path: by a way":  asking(question{want: wantContent, path: "a/../../x"}),
	"path: empty":     asking(question{want: wantContent, path: ""}),
	"path: double":    asking(question{want: wantContent, path: "a//b"}),
	"path: zero":      asking(question{want: wantContent, path: "a\x00b"}),
	"path: long":      asking(question{want: wantContent, path: strings.Repeat("a/", maxPath/2+1) + "a"}),
	"path: long name": asking(question{want: wantContent, path: strings.Repeat("a", maxName+1)}),
	"remote: nothing": asking(question{want: wantRemote, path: "x"}),
	"remote: both":    asking(question{want: wantRemote, path: "x", remote: Remote{Git: "https://x/y", Commit: strings.Repeat("a", 40), Chart: "x"}}),
	"remote: branch":  asking(question{want: wantRemote, path: "x", remote: Remote{Git: "https://x/y", Commit: "main"}}),
	"remote: tag":     asking(question{want: wantRemote, path: "x", remote: Remote{Chart: "x/y", Digest: "1.0.0"}}),
	"remote: line":    asking(question{want: wantRemote, path: "x", remote: Remote{Git: "https://x/y\n-x", Commit: strings.Repeat("a", 40)}}),
	"remote: long":    asking(question{want: wantRemote, path: strings.Repeat("x", 1<<20), remote: Remote{Git: "https://x/y", Commit: strings.Repeat("a", 40)}}),
	"a frame of kind x": func(*view) error {
		return say('x', nil)
	},
	"ready again":    func(*view) error { return say(frameReady, nil) },
	"answers":        func(*view) error { return say(frameAnswers, encoder{0}) },
	"a build":        func(*view) error { return say(frameBuild, encodeBuild(order{})) },
	"no outcome":     func(*view) error { return done(report{}) },
	"blank outcome":  func(*view) error { return done(report{hint: "\x1b\u202e \n", manifests: []byte("a: b\n")}) },
	"much output":    func(*view) error { return done(report{manifests: make([]byte, maxOutput+1)}) },
	"a reason of 17": func(*view) error { return done(report{refusal: 17}) },
	"a long report":  func(*view) error { return say(frameDone, append(encodeReport(report{manifests: []byte("a: b\n")}), 0)) },
	"many reads":     func(*view) error { return done(report{manifests: []byte("a: b\n"), reads: make([]Read, maxReads+1)}) },
	"reads in a frame": func(*view) error {
		e := encoder{0}
		e.num(maxFrame / 4)
		return say(frameDone, append(e, make([]byte, maxFrame/2)...))
	},
	"read: kind 4":   func(*view) error { return done(report{manifests: []byte("a: b\n"), reads: []Read{{"a", 4}}}) },
	"read: kind 257": func(*view) error { return say(frameDone, encoder{1, 'x', 1, 0x81, 2, 1, 'a', 0, 0, 0}) },
	"read: above":    func(*view) error { return done(report{manifests: []byte("a: b\n"), reads: []Read{{"../a", Content}}}) },
	"read: absolute": func(*view) error {
		return done(report{manifests: []byte("a: b\n"), reads: []Read{{"/etc/passwd", Content}}})
	},
	"read: slash": func(*view) error { return done(report{manifests: []byte("a: b\n"), reads: []Read{{"a/", List}}}) },
	"hint: lines": func(*view) error {
		return fault.Errorf(fault.Invalid, "one\ntwo\r\n\tthree\x1b[31m\u202e\u2066\u0085\u2028four\xff")
	},
	"hint: long": func(*view) error { return fault.Errorf(fault.Invalid, "%s", strings.Repeat("ä", 1<<20)) },
	"hint: remote": func(v *view) error {
		v.query([]question{{want: wantRemote, path: "one\ntwo\x1b", remote: Remote{Git: "https://x/y", Commit: strings.Repeat("a", 40)}}})
		return fault.Errorf(fault.Invalid, "it was not refused")
	},
	"hint: file": func(v *view) error {
		v.stat("out\nside")
		return fault.Errorf(fault.Invalid, "it was not refused")
	},
}

func init() {
	for _, kind := range []int{0, 1, 2, 3, 4, 5, 6, 7, 99, math.MaxUint16} {
		lies[fmt.Sprintf("kind: %d", kind)] = func(*view) error { return fault.Errorf(fault.Kind(kind), "it said so") }
	}
}

func asking(questions ...question) func(*view) error {
	return func(*view) error { return say(frameAsk, encodeQuestions(questions)) }
}

// insist asks until the pool has had enough.
func insist(v *view, questions []question) error {
	for {
		if _, err := v.ask(questions); err != nil {
			return err
		}
	}
}

func done(r report) error { return say(frameDone, encodeReport(r)) }

// say writes a frame, which need not be one the pool knows, and waits to be ended.
func say(kind byte, payload []byte) error {
	if err := writeFrame(stubborn{}, kind, payload); err != nil {
		return err
	}
	select {}
}

// stubborn is the standard output, which does not wait by itself.
type stubborn struct{}

func (stubborn) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n, err := syscall.Write(syscall.Stdout, p[done:])
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			return done, err
		}
		done += max(n, 0)
	}
	return len(p), nil
}
