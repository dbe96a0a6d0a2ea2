package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tagboat/tagboat/internal/child"
)

// Process is Tagboat as a process of its own.
type Process struct {
	command []string
	env     []string
	address string
	log     io.Writer

	mu      sync.Mutex
	running *child.Process
	stopped bool
}

// process prepares Tagboat, with what an administrator would configure.
func (w *World) process(address string) *Process {
	p := &Process{command: append(append([]string{}, w.options.Tagboat...), "serve"), address: address, log: w.options.Log}
	if p.log == nil {
		p.log = &lateFile{path: filepath.Join(w.dir, "tagboat.log")}
	}
	clusters := make([]string, 0, len(environments))
	for _, env := range environments {
		clusters = append(clusters, env+"="+filepath.Join(w.dir, env+".kubeconfig"))
	}
	p.env = append(os.Environ(),
		"TAGBOAT_LISTEN="+address,
		"TAGBOAT_PUBLIC_URL=http://"+address,
		"TAGBOAT_DATA_DIR="+filepath.Join(w.dir, "data"),
		"TAGBOAT_DATABASE_URL="+w.Postgres.URLAs(databaseName, databaseName),
		"TAGBOAT_GITHUB_API_URL="+w.GitHub.APIURL(),
		"TAGBOAT_GITHUB_URL="+w.GitHub.URL(),
		"TAGBOAT_GITHUB_LIMITS=none", // the simulator enforces none, unless a story turns them on
		fmt.Sprintf("TAGBOAT_GITHUB_APP_ID=%d", w.AppID),
		"TAGBOAT_GITHUB_PRIVATE_KEY_FILE="+filepath.Join(w.dir, "app.pem"),
		"TAGBOAT_GITHUB_WEBHOOK_SECRET="+w.secrets.github,
		"TAGBOAT_REGISTRY_WEBHOOK_SECRET="+w.secrets.registry,
		"TAGBOAT_CI_WEBHOOK_SECRET="+w.secrets.ci,
		"TAGBOAT_ENV_REPOS="+envRepo,
		"TAGBOAT_REGISTRIES="+imageHost+"=http://"+w.Registry.Host(),
		"TAGBOAT_REMOTES=oci://"+imageHost+"/charts",
		clustersVariable+strings.Join(clusters, ","),
		"TAGBOAT_HEALTH_TIMEOUT=2m",
	)
	p.env = append(p.env, w.options.Env...)
	return p
}

// URL is where Tagboat serves.
func (p *Process) URL() string { return "http://" + p.address }

// readyWithin is how long Tagboat may take to be ready. It is a second, on an idle machine.
const readyWithin = 3 * time.Minute

// Start starts Tagboat and waits until it is ready.
func (p *Process) Start(ctx context.Context) error {
	if err := p.launch(); err != nil {
		return err
	}
	deadline := time.Now().Add(readyWithin)
	for {
		if p.ready(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended():
			return errors.New("Tagboat ended while starting; its log says why")
		case <-time.After(25 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("Tagboat is not ready after %s", readyWithin)
		}
	}
}

func (p *Process) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (p *Process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return errors.New("Tagboat was stopped")
	}
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	running, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.command[0], err)
	}
	p.running = running
	return nil
}

func (p *Process) ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running.Ended()
}

// Restart ends Tagboat as an administrator would, and starts it again.
func (p *Process) Restart(ctx context.Context) error {
	p.end(syscall.SIGTERM)
	return p.Start(ctx)
}

// reaches has Tagboat know the way to one more cluster from its next start on.
func (p *Process) reaches(name, kubeconfig string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, entry := range p.env {
		if known, ok := strings.CutPrefix(entry, clustersVariable); ok {
			p.env[i] = fmt.Sprintf("%s%s,%s=%s", clustersVariable, known, name, kubeconfig)
		}
	}
}

// clustersVariable says which clusters Tagboat can reach, and how.
const clustersVariable = "TAGBOAT_CLUSTERS="

// Kill ends Tagboat as a power cut would, and waits until it is gone.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop ends Tagboat as an administrator would; it is not started again.
func (p *Process) Stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.end(syscall.SIGTERM)
}

func (p *Process) end(signal syscall.Signal) {
	p.mu.Lock()
	running := p.running
	p.mu.Unlock()
	if running == nil {
		return
	}
	running.Signal(signal)
	running.EndWithin(30 * time.Second)
}

// lateFile is a file that is made when something is written to it.
type lateFile struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// Write appends to the file.
func (f *lateFile) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		file, err := os.OpenFile(f.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return 0, err
		}
		f.file = file
	}
	return f.file.Write(b)
}
