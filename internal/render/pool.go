package render

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// Options are a pool's bounds. The zero value of a field is its default.
type Options struct {
	Workers     int           // children, and so builds at a time; default GOMAXPROCS
	Timeout     time.Duration // of one build, waiting for its turn not counted; default 30 s
	MemoryLimit int64         // bytes per child; default 512 MiB
	Builds      int           // after so many a child is replaced; default 2,000
	Command     []string      // starts a child; default this binary, whose main calls RunIfChild
	Fetch       Fetcher       // nil: everything remote is refused
	Log         *slog.Logger  // told once if children run unguarded; nil: nothing is logged
}

// Pool renders in child processes, one build at a time in each. Children are
// started when they are needed, and end with the pool or with this process,
// whichever is first. It is safe for concurrent use; builds get their turn in the
// order in which they asked.
type Pool struct {
	options Options
	turns   chan struct{}

	closing context.Context // ends at Close
	close   context.CancelFunc
	running sync.WaitGroup // processes
	warn    sync.Once      // of unguarded children

	mu   sync.Mutex
	idle []*process // the one used last is used next: few builds need few children
}

// NewPool returns a pool that has started nothing yet. The caller closes it.
func NewPool(o Options) *Pool {
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.MemoryLimit = cmp.Or(o.MemoryLimit, 512<<20)
	o.Builds = cmp.Or(o.Builds, 2000)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	p := &Pool{options: o, turns: make(chan struct{}, o.Workers)}
	p.closing, p.close = context.WithCancel(context.Background())
	return p
}

// unguarded is told by each child that it runs without seccomp, and says so to the
// operator once: it is the machine that has none.
func (p *Pool) unguarded(reason string) {
	p.warn.Do(func() {
		p.options.Log.Warn("builds run without seccomp; a file that makes use of a bug in Kustomize or Helm could do whatever this process may", "reason", reason)
	})
}

// Close ends all children, also those that build, and returns when they are gone.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.close()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.stop()
	}
	p.running.Wait()
	return nil
}

// Build renders a source of the tree. The tree must stay readable until the build
// ends, which may be after ctx did, where the tree itself keeps a read waiting.
//
// Invalid, with file and reason, when the source is wrong, leads out of the tree,
// or needs more time or memory than there is; NotFound when there is no
// kustomization or chart; Transient when ctx ends first; an error of the tree or
// of the Fetcher keeps its kind.
func (p *Pool) Build(ctx context.Context, tree fs.FS, src Source) (_ Output, err error) {
	defer fault.Wrap(&err, "render %s", src.Dir)
	if err := src.check(); err != nil {
		return Output{}, err
	}
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return Output{}, tooLate(ctx)
	case <-p.closing.Done():
		return Output{}, errClosed
	}
	type result struct {
		output Output
		err    error
	}
	done := make(chan result, 1)
	ctx, cancel := context.WithTimeoutCause(ctx, p.options.Timeout, errDeadline)
	// Not before the result is taken: the select below would choose between the two.
	defer cancel()
	var reading atomic.Bool // whether the tree is being read just now
	go func() {
		defer func() { <-p.turns }()
		output, err := p.build(ctx, tree, src, &reading)
		done <- result{output, err}
	}()
	select {
	case r := <-done:
		return r.output, r.err
	case <-ctx.Done():
	}
	if context.Cause(ctx) != errDeadline {
		return Output{}, tooLate(ctx)
	}
	stalled := time.NewTimer(patience)
	defer stalled.Stop()
	select {
	case r := <-done: // the child is being killed
		return r.output, r.err
	case <-stalled.C:
	}
	if reading.Load() {
		return Output{}, tooLate(ctx)
	}
	r := <-done
	return r.output, r.err
}

// patience is how long after the deadline one read of the tree may take before it is
// the tree that has kept the build. Without, a build that asks all the time would be
// tried again as if it had been.
const patience = time.Second

var errClosed = fault.Errorf(fault.Transient, "rendering stops because Tagboat does")

func tooLate(ctx context.Context) error {
	return fault.E(fault.Transient, "rendering took too long and will be tried again; if it happens again, the overlay is too large", context.Cause(ctx))
}

// errDeadline is why a build's context ended, if it was the pool's own bound.
var errDeadline = errors.New("the build's deadline")

// build gives one child after the other the build, because a child may die of
// something else than the build: the second one's word counts.
func (p *Pool) build(ctx context.Context, tree fs.FS, src Source, reading *atomic.Bool) (Output, error) {
	for attempt := 1; ; attempt++ {
		output, err := p.attempt(ctx, tree, src, reading)
		died, ok := errors.AsType[*deathError](err)
		switch {
		case !ok:
			return output, err
		case context.Cause(ctx) == errDeadline:
			return Output{}, refuse(src.Dir, "it takes longer than %s to render; split it", p.options.Timeout)
		case ctx.Err() != nil:
			return Output{}, tooLate(ctx)
		case p.closing.Err() != nil:
			return Output{}, errClosed
		case died.memory:
			return Output{}, refuse(src.Dir, "it needs more than %d MiB of memory to render; split it", p.options.MemoryLimit>>20)
		case attempt == 2:
			return Output{}, fault.E(fault.Invalid, fmt.Sprintf("%s: Kustomize crashed on this overlay, twice; try `kustomize build %s` and report what it says", src.Dir, src.Dir), died)
		}
	}
}

// attempt has one child do the build. A deathError says that the child ended, or
// was killed, before the build did.
func (p *Pool) attempt(ctx context.Context, tree fs.FS, src Source, reading *atomic.Bool) (Output, error) {
	child, err := p.take(ctx)
	if err != nil {
		return Output{}, err
	}
	unwatch := context.AfterFunc(ctx, child.kill)
	unguard := context.AfterFunc(p.closing, child.kill)
	a := newAnswering(ctx, tree, p.options.Fetch, child.kept, reading)
	output, err := child.render(a, src)
	if !unwatch() || !unguard() { // it has been killed, or is just being
		return Output{}, child.death()
	}
	if errors.Is(err, errGone) {
		child.kill()
		death := child.death()
		if errors.Is(err, errProtocol) { // it was well until now
			death.memory, death.reason = false, err.Error()
		}
		return Output{}, death
	}
	p.giveBack(child)
	return output, err
}

// take is an idle child, or a new one.
func (p *Pool) take(ctx context.Context) (*process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing.Err() != nil {
		return nil, errClosed
	}
	if last := len(p.idle) - 1; last >= 0 {
		child := p.idle[last]
		p.idle = p.idle[:last]
		return child, nil
	}
	return p.start(ctx)
}

// giveBack keeps a child for the next build, unless it has served its time.
func (p *Pool) giveBack(c *process) {
	p.mu.Lock()
	keep := c.builds < p.options.Builds && p.closing.Err() == nil
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.stop()
	}
}
