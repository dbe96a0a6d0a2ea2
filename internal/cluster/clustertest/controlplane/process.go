package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processes are the re-executions of this binary that make up one control plane.
type processes struct {
	dir    string
	exited chan error // one per process that ended without being stopped, whatever the reason
	parts  map[string]*part
}

// part is one of the processes.
type part struct {
	args    []string
	command *exec.Cmd
	stopped atomic.Bool   // its end is wanted
	gone    chan struct{} // closed when it has ended
}

func newProcesses(dir string) *processes {
	return &processes{dir: dir, exited: make(chan error, 2), parts: map[string]*part{}} // room for both, so that no waiter is stuck
}

// start re-executes this binary as the named stock command; what it says goes to
// a log file of that name in the state directory.
func (p *processes) start(name string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(p.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, append([]string{name}, args...)...)
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a ^C is for the parent
	dieWithParent(c.SysProcAttr)
	if err := c.Start(); err != nil {
		return err
	}
	started := &part{args: args, command: c, gone: make(chan struct{})}
	p.parts[name] = started
	go func() {
		err := c.Wait()
		log.Close()
		if !started.stopped.Load() {
			p.exited <- fmt.Errorf("%s ended: %v (see %s)", name, err, log.Name())
		}
		close(started.gone)
	}()
	return nil
}

// stop kills one of them, as a crash would, and waits until it is gone. The others
// and etcd go on.
func (p *processes) stop(name string) {
	stopped := p.parts[name]
	stopped.stopped.Store(true)
	_ = stopped.command.Process.Kill()
	<-stopped.gone
}

// again starts one that was stopped as it was started the first time: a port of its
// own is kept for it by reservePort.
func (p *processes) again(name string) error {
	before := p.parts[name]
	if !before.stopped.Load() {
		return fmt.Errorf("%s runs", name)
	}
	return p.start(name, before.args...)
}

// kill ends all of them at once: the data is thrown away, nothing needs a grace.
func (p *processes) kill() {
	for _, one := range p.parts {
		_ = one.command.Process.Kill()
	}
	for _, one := range p.parts {
		<-one.gone
	}
}

// patience is how long a part may take to be there. It is a second or two, unless a dozen
// others start on the same two cores.
const patience = 3 * time.Minute

// await polls done until it says nil, a process ends or patience is over.
func (p *processes) await(ctx context.Context, what string, done func(context.Context) error) error {
	deadline := time.After(patience)
	for {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := done(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case ended := <-p.exited:
			return ended
		case <-deadline:
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// reservePort binds, without listening, a loopback port with SO_REUSEPORT: the
// kernel gives it to nobody else, and kube-apiserver --permit-port-sharing can
// still listen on it. (--secure-port=0 is not allowed.)
func reservePort() (port, fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, 0, err
	}
	unix.CloseOnExec(fd)
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
	)
	var addr unix.Sockaddr
	if err == nil {
		addr, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return 0, 0, err
	}
	return addr.(*unix.SockaddrInet4).Port, fd, nil
}
