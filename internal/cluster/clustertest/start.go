package clustertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tagboat/tagboat/internal/child"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/nested"
)

// Options of Start; the zero value is fine.
type Options struct {
	Dir      string        // state directory, new or empty, with a short path; "" for a temporary one that Stop removes
	Binary   string        // a controlplane binary; "" to build it, or take it from the cache
	Progress func(string)  // told what is being built or waited for; may be nil
	MaxLife  time.Duration // the control plane ends itself after this long; 0 for no limit
}

// ControlPlane is a running cluster. Its credentials may do everything.
type ControlPlane struct {
	Kubeconfig string // path
	Server     string // URL
	Context    string // in the kubeconfig

	process *child.Process
	stdin   io.WriteCloser // open as long as the control plane shall live
	answers <-chan []byte  // to what is written there; closed when it has ended
	order   sync.Mutex     // one at a time
	dir     string
	temp    bool // dir is ours to remove
}

// startWithin is how long a control plane may take until pods can be made. It is
// about 3 s on an idle machine, and its parts have patience of their own.
const startWithin = 5 * time.Minute

// Start starts a control plane, building it first if it has to. The control
// plane ends with Stop or with this process, however that ends.
//
// ctx bounds the start only.
func Start(ctx context.Context, o Options) (_ *ControlPlane, err error) {
	defer fault.Wrap(&err, "start a control plane")
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Binary == "" {
		if o.Binary, err = Binary(ctx, o.Progress); err != nil {
			return nil, err
		}
	}
	o.Progress("starting a Kubernetes control plane")
	cp := &ControlPlane{dir: o.Dir}
	if cp.dir == "" {
		cp.temp = true
		if cp.dir, err = os.MkdirTemp("", "cp"); err != nil {
			return nil, err
		}
	}
	if err := cp.launch(ctx, o); err != nil {
		cp.Stop()
		return nil, err
	}
	return cp, nil
}

func (cp *ControlPlane) launch(ctx context.Context, o Options) error {
	if err := os.MkdirAll(cp.dir, 0o700); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(cp.dir, "controlplane.log"))
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own copy
	cmd := exec.Command(o.Binary, "up", "--dir", cp.dir, "--max-life", o.MaxLife.String())
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a ^C is for this process, which then stops it
	if cp.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, write, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout = write
	// The closed standard input ends it with this process; the signal is quicker.
	cp.process, err = child.Start(cmd, syscall.SIGTERM)
	write.Close()
	if err != nil {
		stdout.Close()
		return err
	}
	lines := make(chan []byte, 1) // nobody is told more than what was asked for
	cp.answers = lines
	go func() {
		defer stdout.Close()
		defer close(lines)
		for said := bufio.NewReader(stdout); ; {
			line, err := said.ReadBytes('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	select {
	case line := <-lines: // an early end is an empty one
		return cp.readReady(line)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(startWithin):
		return fault.Errorf(fault.Transient, "the control plane is not ready after %s%s", startWithin, cp.lastWords())
	}
}

func (cp *ControlPlane) readReady(line []byte) error {
	var ready struct{ Kubeconfig, Server, Context string }
	if err := json.Unmarshal(line, &ready); err != nil {
		return fault.E(fault.Broken, "The control plane ended before it was ready"+cp.lastWords(), errors.New("no ready line"))
	}
	cp.Kubeconfig, cp.Server, cp.Context = ready.Kubeconfig, ready.Server, ready.Context
	return nil
}

// lastWords is the end of the control plane's log, as the end of a sentence.
func (cp *ControlPlane) lastWords() string {
	b, err := os.ReadFile(filepath.Join(cp.dir, "controlplane.log"))
	if err != nil || len(b) == 0 {
		return "."
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return fmt.Sprintf(": %s", lines[len(lines)-1])
}

// StopAPIServer kills the API server, as a crash of its machine would, and waits until
// it is gone: its address refuses connections. What etcd holds is kept, and the
// controllers go on trying. StartAPIServer ends that.
func (cp *ControlPlane) StopAPIServer(ctx context.Context) error {
	return cp.tell(ctx, "stop kube-apiserver")
}

// StartAPIServer starts an API server that was stopped, at the same address and with
// everything that was there, and waits until it is ready.
func (cp *ControlPlane) StartAPIServer(ctx context.Context) error {
	return cp.tell(ctx, "start kube-apiserver")
}

// tell has the control plane do something, and waits until it is done. A ctx that ends
// meanwhile ends the control plane: its answer would be taken for that to something else.
func (cp *ControlPlane) tell(ctx context.Context, order string) (err error) {
	defer fault.Wrap(&err, "%s", order)
	cp.order.Lock()
	defer cp.order.Unlock()
	if _, err := fmt.Fprintln(cp.stdin, order); err != nil {
		return fault.E(fault.Broken, "The control plane has ended"+cp.lastWords(), err)
	}
	select {
	case line, ok := <-cp.answers:
		if !ok {
			return fault.E(fault.Broken, "The control plane has ended"+cp.lastWords(), errors.New("no answer"))
		}
		var answer struct{ Error string }
		if err := json.Unmarshal(line, &answer); err != nil {
			return err
		}
		if answer.Error != "" {
			return fault.Errorf(fault.Broken, "%s", answer.Error)
		}
		return nil
	case <-ctx.Done():
		_ = cp.stdin.Close()
		return ctx.Err()
	}
}

// Config is how package cluster reaches the control plane, under the name that
// tagboat.yaml gives to the cluster.
func (cp *ControlPlane) Config(name string) cluster.Config {
	return cluster.Config{Name: name, Kubeconfig: cp.Kubeconfig, Context: cp.Context}
}

// Ended is closed when the control plane is gone, for whatever reason.
func (cp *ControlPlane) Ended() <-chan struct{} { return cp.process.Ended() }

// Stop ends the control plane, waits until it is gone and removes its state if
// that was in a temporary directory. It may be called more than once.
func (cp *ControlPlane) Stop() {
	if cp.process != nil {
		_ = cp.stdin.Close() // the polite signal
		cp.process.EndWithin(10 * time.Second)
	}
	if cp.temp {
		_ = os.RemoveAll(cp.dir) // throwaway data below the temporary directory
	}
}

// module is the nested module. The version in its go.mod is linked in, because
// without that the API server calls itself v0.0.0.
func module() nested.Module {
	const pkg = "k8s.io/component-base/version."
	return nested.Module{
		Name: "controlplane",
		Dir:  "internal/cluster/clustertest/controlplane",
		LDFlags: []string{"-s", "-w",
			"-X", pkg + "gitVersion=v1.37.2", "-X", pkg + "gitMajor=1", "-X", pkg + "gitMinor=37"},
	}
}

// Binary builds the control plane's binary, or finds it in the cache, and tells
// where it is. The first time it takes five to ten minutes on two cores.
func Binary(ctx context.Context, progress func(string)) (string, error) {
	return nested.Build(ctx, module(), nested.Options{Progress: progress})
}
