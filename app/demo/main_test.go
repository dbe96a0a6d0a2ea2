package demo

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	_ "github.com/tagboat/tagboat/app" // what the binary is made of: without it, Go would take a cached result for that of a changed binary
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/githubsim/openapi"
)

// tagboat is the binary under test.
var tagboat string

func TestMain(m *testing.M) {
	os.Exit(withBinary(m))
}

// withBinary builds the command, so that the stories run the program that users
// run.
func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tagboat-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	tagboat = filepath.Join(dir, "tagboat")
	build := exec.Command("go", "build", "-o", tagboat, "github.com/tagboat/tagboat/cmd/tagboat")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// newWorld is a world for one test, with settings of Tagboat's beside the usual ones. Every request that Tagboat makes of GitHub,
// and every answer that it gets, has to be as GitHub's OpenAPI description says.
func newWorld(t *testing.T, settings ...string) *World {
	t.Helper()
	ctx := context.Background()
	judge, err := openapi.Load(ctx, "")
	if err != nil {
		t.Fatalf("load GitHub's OpenAPI description: %v", err)
	}
	log := &logBuffer{}
	w, err := NewWorld(ctx, Options{
		Tagboat: []string{tagboat}, Env: settings, Log: log, Progress: func(s string) { t.Log(s) },
		Wrap: func(next http.Handler) http.Handler {
			return judge.Wrap(next, func(err error) { t.Errorf("against GitHub's description: %v", err) })
		},
	})
	if err != nil {
		t.Fatalf("start the world: %v\n%s", err, log)
	}
	w.GitHub.OnEvent(func(e githubsim.Event) {
		if e.Name == "issues" { // the App has not subscribed to it
			return
		}
		if err := judge.Webhook(e.Name, e.Action, e.Payload); err != nil {
			t.Errorf("webhook %s %s against GitHub's description: %v", e.Name, e.Action, err)
		}
	})
	t.Cleanup(func() {
		w.Close()
		if t.Failed() {
			t.Logf("Tagboat's log:\n%s", log)
		}
	})
	return w
}

// logBuffer keeps a process's log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
