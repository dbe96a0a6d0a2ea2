package clustertest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/fault"
)

func TestStartAndStop(t *testing.T) {
	dir, err := os.MkdirTemp("", "cp") // t.TempDir() is too long for a unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cp, err := clustertest.Start(t.Context(), clustertest.Options{Dir: dir, Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	defer cp.Stop()
	if !strings.HasPrefix(cp.Server, "https://127.0.0.1:") || cp.Kubeconfig != filepath.Join(dir, "kubeconfig") || cp.Context == "" {
		t.Errorf("server %s, kubeconfig %s, context %s", cp.Server, cp.Kubeconfig, cp.Context)
	}
	if name, err := cp.NewNamespace(t.Context(), "hello-"); err != nil || !strings.HasPrefix(name, "hello-") {
		t.Errorf("a new namespace: %q, %v", name, err)
	}

	cp.Stop()
	select {
	case <-cp.Ended():
	default:
		t.Error("the control plane is still there after Stop")
	}
	if _, err := cp.NewNamespace(t.Context(), "hello-"); err == nil {
		t.Error("a stopped control plane still answers")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("Stop removed a directory that is not its own: %v", err)
	}
}

// startsFor is set for a copy of this test program that only starts a control
// plane in that directory and then waits for its end.
const startsFor = "CLUSTERTEST_STARTS_FOR"

func TestMain(m *testing.M) {
	dir := os.Getenv(startsFor)
	if dir == "" {
		os.Exit(m.Run())
	}
	cp, err := clustertest.Start(context.Background(), clustertest.Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(cp.Server)
	select {}
}

// A starter that is killed leaves nothing behind: not the control plane, and not
// the processes that it consists of.
func TestItDiesWithItsStarter(t *testing.T) {
	dir, err := os.MkdirTemp("", "cp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	starter := exec.Command(os.Args[0])
	starter.Env = append(os.Environ(), startsFor+"="+dir)
	starter.Stderr = t.Output()
	out, err := starter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	server, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(strings.TrimSpace(server), "https://")
	if !listens(address) {
		t.Fatalf("nobody listens at %s", address)
	}
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // killed, as it should be

	for deadline := time.Now().Add(2 * time.Minute); listens(address); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the API server outlived its starter: see %s", server)
		}
	}
}

func listens(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func TestAProcessThatEndsEarlySaysWhy(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "controlplane")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\necho 'controlplane: no room left' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := clustertest.Start(t.Context(), clustertest.Options{Binary: binary})
	if !strings.Contains(fault.HintOf(err), "no room left") {
		t.Errorf("got %v", err)
	}
}

func TestMaxLifeEndsIt(t *testing.T) {
	_, err := clustertest.Start(t.Context(), clustertest.Options{MaxLife: 200 * time.Millisecond}) // a start takes seconds
	if !strings.Contains(fault.HintOf(err), "life") {
		t.Errorf("got %v", err)
	}
}
