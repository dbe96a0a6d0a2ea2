package render

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/tagboat/tagboat/internal/child"
	"github.com/tagboat/tagboat/internal/fault"
)

// process is one child, as the pool sees it.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *complaints
	kept   *kept
	builds int
	last   pattern

	lives *child.Process
}

// unguardedLine begins the line by which a child says that it runs without seccomp, and
// why.
const unguardedLine = "tagboat render child: builds run without seccomp: "

// deathError is a child that ended before its build did.
type deathError struct {
	memory bool // because the build took too much of it
	reason string
}

func (e *deathError) Error() string { return "the render child ended: " + e.reason }

// errGone is a conversation that broke off.
var errGone = errors.New("the render child is gone")

// start starts a child. p.mu is held.
func (p *Pool) start(ctx context.Context) (*process, error) {
	if ctx.Err() != nil {
		return nil, tooLate(ctx)
	}
	command := p.options.Command
	if len(command) == 0 {
		self, err := itself()
		if err != nil {
			return nil, fault.E(fault.Broken, "Rendering needs a second process of this binary, which cannot be found.", err)
		}
		command = []string{self}
	}
	c := &process{kept: newKept(), stderr: &complaints{unguarded: p.unguarded}}
	c.cmd = exec.Command(command[0], command[1:]...)
	c.cmd.Env = []string{childVariable + "=" + strconv.FormatInt(p.options.MemoryLimit, 10), "GOTRACEBACK=none"}
	c.cmd.Stderr = c.stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, cannotStart(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, cannotStart(err)
	}
	// What is still in stdout when the child ends may be lost. A child that ends by
	// itself, or is ended, has nothing more to say.
	if c.lives, err = child.Start(c.cmd, syscall.SIGKILL); err != nil {
		return nil, cannotStart(err)
	}
	c.stdin, c.stdout = stdin, bufio.NewReaderSize(stdout, 64<<10)
	p.running.Go(func() { <-c.lives.Ended() })
	return c, nil
}

func cannotStart(err error) error {
	return fault.E(fault.Transient, "A process for rendering cannot be started; is the machine short of memory or processes?", err)
}

// itself is this very binary, on Linux even when the file was replaced since.
func itself() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// kill ends a child at once; one that is gone is left in peace.
func (c *process) kill() { c.lives.Signal(os.Kill) }

// stop ends a child that is idle.
func (c *process) stop() { _ = c.stdin.Close() }

// death waits for the end of a child and says what it died of.
func (c *process) death() *deathError {
	<-c.lives.Ended()
	said := c.stderr.fatal()
	return &deathError{
		// The kernel's refusal of memory is fatal to Go's runtime, which says so.
		memory: c.cmd.ProcessState.ExitCode() == exitMemory || strings.Contains(said, "out of memory") || strings.Contains(said, "cannot allocate memory"),
		reason: oneLine(c.cmd.ProcessState.String() + " " + said),
	}
}

// render has the child do one build. errGone says that the child is gone, or has
// to be: it does not keep to the protocol.
func (c *process) render(a *answering, src Source) (Output, error) {
	if c.builds++; c.builds == 1 {
		if kind, _, err := readFrame(c.stdout); err != nil || kind != frameReady {
			return Output{}, errGone
		}
	}
	c.stderr.reset()
	forget := c.kept.bytes > maxKept
	if forget {
		*c.kept = *newKept()
	}
	first := a.guess(c.last, src.Dir)
	if len(first) == 0 {
		first = a.about(question{want: wantContent, path: src.Dir})
	}
	if err := writeFrame(c.stdin, frameBuild, encodeBuild(order{source: src, forget: forget, fetches: a.fetch != nil, first: first})); err != nil {
		return Output{}, gone(err)
	}
	for {
		kind, payload, err := readFrame(c.stdout)
		if err != nil {
			return Output{}, gone(err)
		}
		switch kind {
		case frameAsk:
			err = c.answer(a, payload)
		case frameDone:
			output, err := c.done(a, payload)
			if err == nil {
				c.last = newPattern(src.Dir, output.Reads)
			}
			return output, err
		default:
			err = broken("a frame of kind %d", kind)
		}
		if err != nil {
			return Output{}, gone(err)
		}
	}
}

func gone(err error) error { return fmt.Errorf("%w: %w", errGone, err) }

func (c *process) answer(a *answering, payload []byte) error {
	questions, err := decodeQuestions(payload)
	if err != nil {
		return err
	}
	answers, err := a.all(questions)
	if err != nil {
		return err
	}
	var e encoder
	e.answers(answers)
	return writeFrame(c.stdin, frameAnswers, e)
}

func (c *process) done(a *answering, payload []byte) (Output, error) {
	r, err := decodeReport(payload)
	hint := oneLine(r.hint)
	switch {
	case err != nil:
		return Output{}, gone(err)
	case r.refusal > len(a.errs):
		return Output{}, gone(broken("a reason that it was not given"))
	case r.refusal > 0:
		return Output{}, a.errs[r.refusal-1]
	case hint != "":
		return Output{}, verdict(r.kind, hint)
	case r.hint != "" || len(r.manifests) == 0:
		return Output{}, gone(broken("a build with no outcome"))
	}
	return Output{Manifests: r.manifests, Reads: r.reads}, nil
}

// complaints keeps the beginning of what a child writes to its standard error while it
// builds.
type complaints struct {
	unguarded func(reason string) // called when the child says that it is

	mu   sync.Mutex
	text []byte
}

const maxComplaints = 8 << 10

func (t *complaints) Write(p []byte) (int, error) {
	t.mu.Lock()
	t.text = append(t.text, p[:min(len(p), maxComplaints-len(t.text))]...)
	reason, unguarded := t.withoutSeccomp()
	t.mu.Unlock()
	if unguarded {
		t.unguarded(oneLine(reason))
	}
	return len(p), nil
}

// withoutSeccomp is the first line by which a child says so.
func (t *complaints) withoutSeccomp() (reason string, ok bool) {
	for line := range strings.Lines(string(t.text)) {
		reason, ok = strings.CutPrefix(line, unguardedLine)
		if ok && strings.HasSuffix(line, "\n") {
			return reason, true
		}
	}
	return "", false
}

func (t *complaints) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = t.text[:0]
}

// fatal is the line that says why a Go program ended, without its stacks.
func (t *complaints) fatal() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.Lines(string(t.text)) {
		for _, start := range []string{"fatal error: ", "panic: ", "runtime: goroutine stack exceeds", "tagboat render child: "} {
			if strings.HasPrefix(line, start) && !strings.HasPrefix(line, unguardedLine) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}
