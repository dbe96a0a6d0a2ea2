package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a child that was started.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // set when ended is closed
}

// Start starts a command and waits for it in the background: its own Wait is not
// to be called, and of its pipes only StdinPipe is of use, because Wait closes the
// others as soon as the process is gone.
//
// On Linux the kernel sends the child the signal last when this process ends,
// killed or not (prctl(2), PR_SET_PDEATHSIG). Elsewhere nothing does, and a child
// that must not stay has to watch its standard input. What the child starts itself
// is its own affair.
func Start(cmd *exec.Cmd, last syscall.Signal) (*Process, error) {
	bind(cmd, last)
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// To the kernel the parent is the thread that forked, so that thread stays
		// with this goroutine, and this goroutine with the child. Afterwards it is
		// given back, not ended as a locked one would be: other children may have
		// been forked from it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// Ended is closed when the child is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits until the child is gone and tells how it ended, as exec.Cmd.Wait
// does. Any number may wait.
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Signal sends the child a signal; one that is gone is left in peace.
func (p *Process) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// EndWithin waits until the child, which was asked to end, is gone; after
// patience it is killed.
func (p *Process) EndWithin(patience time.Duration) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}
