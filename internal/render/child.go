package render

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/tagboat/tagboat/internal/fault"
)

// Exit codes of a child by which its pool knows why it ended.
const (
	exitDone   = 0
	exitBroken = 1
	exitMemory = 3
)

// childVariable is set in a child's environment, to its memory limit in bytes.
const childVariable = "TAGBOAT_RENDER_CHILD"

// RunIfChild serves builds and ends the process, if a pool started it as a child;
// else it returns at once. A program that makes a pool calls it first thing in
// main, and its tests in TestMain.
func RunIfChild() {
	if limit, ok := os.LookupEnv(childVariable); ok {
		runChild(limit, build)
	}
}

// runChild takes away what a build needs not, and serves.
func runChild(limit string, b builder) {
	os.Clearenv()
	http.DefaultTransport = denied{}
	bytes, err := strconv.ParseInt(limit, 10, 64)
	if err == nil {
		limitMemory(bytes)
		if err = warmUp(); err == nil {
			lockDown(os.Stderr)
			err = serve(pipe(os.Stdin), pipe(os.Stdout), b)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tagboat render child:", err)
		os.Exit(exitBroken)
	}
	os.Exit(exitDone)
}

// pipe has the runtime's poller wait for a file, where it can. A read that blocks a
// thread would keep the only processor from the build until the scheduler notices,
// which takes it milliseconds.
func pipe(f *os.File) *os.File {
	if !pollable(f) {
		return f
	}
	return os.NewFile(f.Fd(), f.Name())
}

// denied is a transport that reaches nothing.
type denied struct{}

func (denied) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fault.Errorf(fault.Denied, "a build may not reach the network")
}

// warmUp builds something, so that what krusty loads once is loaded.
func warmUp() error {
	files := map[string]string{
		"kustomization.yaml": "resources: [d.yaml]\nimages: [{name: a, newTag: b}]\npatches: [{path: d.yaml}]\n",
		"d.yaml":             "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a, image: a}]}}}\n",
	}
	ask := func(questions []question) (answers []answer, err error) {
		for _, q := range questions {
			found := answer{path: q.path}
			if data, ok := files[q.path]; ok {
				found.state, found.content = file, &content{id: q.path, data: []byte(data), sent: true}
			} else if q.path == "." {
				found.state = directory
			}
			answers = append(answers, found)
		}
		return answers, nil
	}
	_, err := build(newView(newContents(), false, ask), Source{Dir: "."})
	return err
}

// builder is build, or what a test has a child do.
type builder func(*view, Source) ([]byte, error)

// serve serves builds until stdin ends. It reads stdin at all times, so that it
// ends the process with its parent even when a build does not end.
func serve(stdin io.Reader, stdout io.Writer, b builder) error {
	frames := make(chan frame)
	go func() {
		for {
			kind, payload, err := readFrame(stdin)
			if err != nil {
				// Nobody is there who could be told, or the parent talks nonsense.
				os.Exit(exitDone)
			}
			frames <- frame{kind, payload}
		}
	}()
	s := server{frames: frames, stdout: stdout, kept: newContents(), build: b}
	if err := writeFrame(stdout, frameReady, nil); err != nil {
		return err
	}
	for f := range frames {
		if err := s.serve(f); err != nil {
			return err
		}
	}
	return nil
}

type frame struct {
	kind    byte
	payload []byte
}

// server is a child's side of the conversation.
type server struct {
	frames <-chan frame
	stdout io.Writer
	kept   *contents
	build  builder
}

func (s *server) serve(f frame) error {
	order, err := decodeBuild(f.payload)
	switch {
	case f.kind != frameBuild:
		return errProtocol
	case err != nil:
		return err
	case order.forget:
		s.kept = newContents()
	}
	files := newView(s.kept, order.fetches, s.ask)
	files.learn(order.first)
	manifests, err := s.build(files, order.source)
	r := report{manifests: manifests, reads: sortedReads(files.reads), refusal: files.refusal}
	if err != nil {
		r.manifests, r.kind, r.hint = nil, int(fault.KindOf(err)), files.legible(cmp.Or(fault.HintOf(err), err.Error()))
	}
	return writeFrame(s.stdout, frameDone, encodeReport(r))
}

// ask puts questions to the parent.
func (s *server) ask(questions []question) ([]answer, error) {
	if err := writeFrame(s.stdout, frameAsk, encodeQuestions(questions)); err != nil {
		return nil, err
	}
	f := <-s.frames
	if f.kind != frameAnswers {
		return nil, errProtocol
	}
	d := &decoder{rest: f.payload}
	answers := d.answers()
	return answers, d.end()
}
