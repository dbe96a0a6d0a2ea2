package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// parentVariable is set where the test binary is to be the parent in
// TestAChildEndsWhenItsParentIsKilled.
const parentVariable = "CHILD_TEST_PARENT"

// The main thread never ends before the process does, so tests that end threads
// stay off it.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if os.Getenv(parentVariable) != "" {
		parent()
		return
	}
	os.Exit(m.Run())
}

// parent starts a child that says "alive" into the test's pipe and then holds it
// open, and lives until it is killed.
func parent() {
	pipe := os.NewFile(3, "pipe")
	cmd := exec.Command("sh", "-c", "echo alive >&3; exec sleep 60")
	cmd.ExtraFiles = []*os.File{pipe}
	if _, err := Start(cmd, syscall.SIGKILL); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	pipe.Close() // from here on only the child holds it
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestAChildEndsWhenItsParentIsKilled(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), parentVariable+"=1")
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := r.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(r)
	if line, err := out.ReadString('\n'); line != "alive\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := out.ReadByte(); err != io.EOF {
		t.Errorf("its parent was killed, and the child still holds its pipe open: %v", err)
	}
}

// cat is a child that repeats every line, until its input ends.
type cat struct {
	*Process
	in  io.WriteCloser
	out *bufio.Reader
}

func startCat(t *testing.T) *cat {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.Stdout = w
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(cmd, syscall.SIGKILL)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); p.EndWithin(10 * time.Second); r.Close() })
	return &cat{p, in, bufio.NewReader(r)}
}

func (c *cat) answers() error {
	if _, err := io.WriteString(c.in, "hello\n"); err != nil {
		return err
	}
	_, err := c.out.ReadString('\n')
	return err
}

// The kernel takes the thread that forked for the parent. One that starts a child
// and ends while the process lives on must not take the child along.
func TestAChildOutlivesTheThreadThatAskedForIt(t *testing.T) {
	var c *cat
	thread := make(chan int)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		c = startCat(t)
		thread <- syscall.Gettid()
	}()
	gone := fmt.Sprintf("/proc/self/task/%d", <-thread)
	deadline := time.Now().Add(2 * time.Minute)
	for _, err := os.Stat(gone); err == nil; _, err = os.Stat(gone) {
		if time.Now().After(deadline) {
			t.Fatal("the thread does not end")
		}
		runtime.Gosched()
	}
	if err := c.answers(); err != nil {
		t.Errorf("the child of a thread that ended: %v", err)
	}
}

func TestTheEndOfOneChildIsNotTheEndOfAnother(t *testing.T) {
	stays := startCat(t)
	for range 20 {
		goes := startCat(t)
		if err := goes.answers(); err != nil {
			t.Fatal(err)
		}
		goes.Signal(syscall.SIGKILL)
		err := goes.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("Wait: %v, want that it was killed", err)
		}
		goes.Signal(syscall.SIGTERM) // harmless
	}
	if err := stays.answers(); err != nil {
		t.Error(err)
	}
}

func TestAChildThatDoesNotEndWhenAskedIsKilled(t *testing.T) {
	cmd := exec.Command("sh", "-c", "trap '' TERM; echo; read never")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // which Start leaves as it is
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	p, err := Start(cmd, syscall.SIGKILL)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); err != nil { // it does not listen any more
		t.Fatal(err)
	}
	if group, err := syscall.Getpgid(cmd.Process.Pid); err != nil || group != cmd.Process.Pid {
		t.Errorf("the child is in group %d, %v; want its own, %d", group, err, cmd.Process.Pid)
	}
	p.Signal(syscall.SIGTERM)
	p.EndWithin(20 * time.Millisecond)
	select {
	case <-p.Ended():
	default:
		t.Error("EndWithin came back before the child was gone")
	}
}

func TestWhatCannotStartSaysSo(t *testing.T) {
	if _, err := Start(exec.Command("/no/such/program"), syscall.SIGKILL); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that it does not exist", err)
	}
}
