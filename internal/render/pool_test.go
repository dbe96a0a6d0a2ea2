package render_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

// mischievous is a pool whose children do what the name of the directory says.
func mischievous(t *testing.T, o render.Options) *render.Pool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Command = []string{self, "mischief"}
	p := render.NewPool(o)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func do(ctx context.Context, p *render.Pool, what string) (string, error) {
	output, err := p.Build(ctx, fstest.MapFS{}, render.Source{Dir: what})
	return string(output.Manifests), err
}

func pid(t *testing.T, p *render.Pool) int {
	t.Helper()
	said, err := do(t.Context(), p, "pid")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(said)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// gone waits until a process is no more, but perhaps for its parent to notice.
func gone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; runtime.Gosched() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && strings.Contains(string(status), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func TestAChildReachesNeitherNetworkNorProgramsNorFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has seccomp")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := mischievous(t, render.Options{Workers: 1})
	for _, what := range []string{"dial=" + listener.Addr().String(), "ask=" + listener.Addr().String(), "exec", "open", "create", "kill"} {
		_, err := do(t.Context(), p, what)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "operation not permitted") {
			t.Errorf("%s: %v", what, err)
		}
	}
	environment, err := do(t.Context(), p, "environment")
	if err != nil || environment != "[]" {
		t.Errorf("the environment is %s %v", environment, err)
	}
	first := pid(t, p)
	if second := pid(t, p); second != first {
		t.Error("a refusal costs the child its life")
	}
}

// An operator learns that the machine has no seccomp, once, from whichever child says
// it first.
func TestAMissingSeccompIsLoggedOnce(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedLog{}
	p := render.NewPool(render.Options{Workers: 2, Builds: 1, Command: []string{self, "unguarded"}, Log: slog.New(slog.NewTextHandler(log, nil))})
	defer p.Close()
	for range 3 { // each has a child of its own
		pid(t, p)
	}
	_, err = do(t.Context(), p, "apps/die")
	if err == nil || strings.Contains(err.Error(), "seccomp") {
		t.Errorf("what a child says at its start is not why it ends: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "level=WARN") || !strings.Contains(said, "without seccomp") || !strings.Contains(said, `reason="the kernel has none"`) {
		t.Errorf("the log has\n%s", said)
	}
}

// A child that is guarded says nothing.
func TestSeccompIsNotLoggedWhereItIs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has seccomp")
	}
	log := &lockedLog{}
	p := render.NewPool(render.Options{Workers: 1, Log: slog.New(slog.NewTextHandler(log, nil))})
	if _, err := p.Build(t.Context(), tree(app), render.Source{Dir: prod}); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if said := log.String(); said != "" {
		t.Errorf("the log has\n%s", said)
	}
}

// lockedLog is what was logged, by whichever goroutine.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestABuildThatNeverEndsIsEnded(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1, Timeout: 5 * time.Second}) // a child starts within it, also on a busy machine
	before := pid(t, p)
	_, err := do(t.Context(), p, "apps/hang")
	if !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "apps/hang: it takes longer than 5s to render; split it" {
		t.Errorf("%v", err)
	}
	gone(t, before)
	if after := pid(t, p); after == before {
		t.Error("the child that hangs is used again")
	}
}

func TestABuildThatTakesAllMemoryIsEnded(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1, MemoryLimit: 200 << 20})
	_, err := do(t.Context(), p, "apps/hoard")
	if !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "apps/hoard: it needs more than 200 MiB of memory to render; split it" {
		t.Errorf("%v", err)
	}
	pid(t, p)
}

func TestAChildThatDiesIsReplacedOnce(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1})
	for what, reason := range map[string]string{"apps/die": "exit status 7", "apps/overflow": "stack", "apps/flood": "larger than"} {
		_, err := do(t.Context(), p, what)
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.HintOf(err), what+": Kustomize crashed on this overlay, twice") || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// One that was killed while it had nothing to do costs nobody a build.
	if err := syscall.Kill(pid(t, p), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	pid(t, p)
}

func TestAnOutputIsBounded(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1})
	output, err := do(t.Context(), p, "print=67108864")
	if err != nil || len(output) != 64<<20 {
		t.Errorf("64 MiB: %d bytes, %v", len(output), err)
	}
	_, err = do(t.Context(), p, "print=67108865")
	if !fault.Is(err, fault.Invalid) || !strings.HasSuffix(fault.HintOf(err), "it renders to more than 64 MiB; split it") {
		t.Errorf("a byte more: %v", err)
	}
}

func TestAChildIsReplacedAfterItsTime(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1, Builds: 2})
	first := pid(t, p)
	if second := pid(t, p); second != first {
		t.Error("it is replaced too soon")
	}
	if third := pid(t, p); third == first {
		t.Error("it is not replaced")
	}
	gone(t, first)
}

func TestNothingIsLeftOfAPool(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	p := mischievous(t, render.Options{Workers: 2})
	idle := pid(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	var builds sync.WaitGroup
	for _, c := range []context.Context{ctx, t.Context()} {
		builds.Go(func() {
			if _, err := do(c, p, "hang"); !fault.Is(err, fault.Transient) {
				t.Errorf("%v", err)
			}
		})
	}
	cancel()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	builds.Wait()
	gone(t, idle)
	if _, err := do(t.Context(), p, "pid"); !fault.Is(err, fault.Transient) {
		t.Errorf("a closed pool builds: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	for deadline := time.Now().Add(2 * time.Minute); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", goroutines, runtime.NumGoroutine())
		}
	}
}

func TestChildrenEndWithTheirParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, "parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var idle, busy int
	if _, err := fmt.Fscan(out, &idle, &busy); err != nil {
		t.Error(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	gone(t, idle)
	gone(t, busy)
}

// parent has two children, one of which builds without end.
func parent() {
	p := render.NewPool(render.Options{Workers: 2, Command: []string{"/proc/self/exe", "mischief"}})
	build := func(what string) string {
		output, err := p.Build(context.Background(), fstest.MapFS{}, render.Source{Dir: what})
		if err != nil {
			fmt.Println(err)
		}
		return string(output.Manifests)
	}
	release := make(chan struct{})
	slow := stalling{fstest.MapFS{}, make(chan struct{}), release}
	first := make(chan string)
	go func() {
		output, err := p.Build(context.Background(), slow, render.Source{Dir: "pid"})
		if err != nil {
			fmt.Println(err)
		}
		first <- string(output.Manifests)
	}()
	<-slow.reached
	second := build("pid")
	close(release)
	fmt.Println(<-first, second)
	build("hang")
}

func TestACancelledBuildLeavesNothingBehind(t *testing.T) {
	p := mischievous(t, render.Options{Workers: 1})
	child := pid(t, p)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := do(ctx, p, "hang"); !fault.Is(err, fault.Transient) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	gone(t, child)
	pid(t, p)
}

func TestOneBuildReadsExactlyWhatItIsSaidToRead(t *testing.T) {
	files := tree(app)
	files["apps/other/kustomization.yaml"] = &fstest.MapFile{Data: []byte("resources: []\n")}
	var last []render.Read
	for range 3 { // cold, and then with what the parent guesses
		output, err := pool.Build(t.Context(), files, render.Source{Dir: prod})
		if err != nil {
			t.Fatal(err)
		}
		if last != nil {
			if diff := cmp.Diff(last, output.Reads); diff != "" {
				t.Errorf("the same build reads something else:\n%s", diff)
			}
		}
		last = output.Reads
	}
	read := map[string]render.ReadKind{}
	for _, r := range last {
		read[r.Path] = r.Kind
	}
	for p := range app {
		if kind, ok := read[p]; !ok || kind != render.Content {
			t.Errorf("%s is read as %v, %v", p, kind, ok)
		}
	}
	if kind, ok := read[prod+"/Kustomization"]; !ok || kind != render.Stat {
		t.Error("the absence of a second kustomization is not recorded")
	}
	// What was not read can go, what was read cannot.
	without := fstest.MapFS{}
	for _, r := range last {
		if f, ok := files[r.Path]; ok {
			without[r.Path] = f
		}
	}
	if len(without) != len(app) {
		t.Errorf("%d files are read, there are %d", len(without), len(app))
	}
	all, err := build(t.Context(), files, prod)
	if err != nil {
		t.Fatal(err)
	}
	few, err := build(t.Context(), without, prod)
	if err != nil || string(few) != string(all) {
		t.Errorf("with only what was read: %v", err)
	}
}

func TestManyBuildAtOnce(t *testing.T) {
	want, err := build(t.Context(), tree(app), prod)
	if err != nil {
		t.Fatal(err)
	}
	var builds sync.WaitGroup
	for i := range 20 {
		builds.Go(func() {
			files := tree(app)
			files[prod+"/replicas.yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: payments}\nspec: {replicas: %d}\n", i)}
			got, err := build(t.Context(), files, prod)
			if expected := strings.Replace(string(want), "replicas: 3", fmt.Sprintf("replicas: %d", i), 1); err != nil || string(got) != expected {
				t.Errorf("build %d: %v\n%s", i, err, cmp.Diff(expected, string(got)))
			}
		})
	}
	builds.Wait()
}
