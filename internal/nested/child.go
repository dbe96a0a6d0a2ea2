package nested

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Child is a started process that the kernel ends when this one ends, however it
// ends (on Linux; elsewhere it has to be stopped).
type Child struct {
	Ended <-chan struct{} // closed when the process is gone
	cmd   *exec.Cmd
	err   error
}

// StartChild starts cmd, with signal as its death signal.
func StartChild(cmd *exec.Cmd, signal syscall.Signal) (*Child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	dieWithParent(cmd.SysProcAttr, signal)
	ended := make(chan struct{})
	c := &Child{Ended: ended, cmd: cmd}
	started := make(chan error)
	go func() {
		// Linux binds the death signal to the thread that forks, so this one has to
		// live as long as the child. Afterwards it is given back, not ended: other
		// children may have been forked from it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(ended)
		}
	}()
	return c, <-started
}

// Signal sends a signal to the process; one that is gone is left in peace.
func (c *Child) Signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// Err is how the process ended; to be read when Ended is closed.
func (c *Child) Err() error { return c.err }
