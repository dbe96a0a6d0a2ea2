package registrytest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tagboat/tagboat/internal/child"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/nested"
	"sigs.k8s.io/yaml"
)

// Options say how a registry is run. The zero value will do.
type Options struct {
	Dir    string // where images are kept, with the log; "" for memory and a temporary directory
	Addr   string // "" for a free port of 127.0.0.1
	Binary string // the registry's binary; "" to build it
	Notify []Notify
	// Progress is told what is being waited for; may be nil.
	Progress func(string)
}

// Notify is one place that hears about every push and pull.
type Notify struct {
	URL           string
	Authorization string // value of the Authorization header; "" to send none
}

// Registry is a running registry.
type Registry struct {
	host    string
	dir     string
	scratch bool // dir is ours to remove
	process *child.Process
	stop    sync.Once
}

// Binary builds the registry's binary, or finds it in the cache, and tells where
// it is. The first time it takes a minute or two.
func Binary(ctx context.Context, progress func(string)) (string, error) {
	return nested.Build(ctx, nested.Module{
		Name: "distribution", Dir: "internal/registry/registrytest/distribution", LDFlags: []string{"-s", "-w"},
	}, nested.Options{Progress: progress})
}

// Start runs a registry until Stop and returns when it answers. The context
// bounds the start only.
func Start(ctx context.Context, o Options) (_ *Registry, err error) {
	defer fault.Wrap(&err, "start the registry")
	if o.Binary == "" {
		if o.Binary, err = Binary(ctx, o.Progress); err != nil {
			return nil, err
		}
	}
	r := &Registry{dir: o.Dir}
	if o.Dir == "" {
		if r.dir, err = os.MkdirTemp("", "tagboat-registry-"); err != nil {
			return nil, err
		}
		r.scratch = true
	}
	if err := r.start(ctx, o); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// At is a registry that somebody else runs, to push to by plain HTTP.
func At(host string) *Registry { return &Registry{host: host} }

// Host is where the registry listens: "127.0.0.1:40123", plain HTTP.
func (r *Registry) Host() string { return r.host }

// Stop ends the registry. Images in a directory of the caller's stay there;
// notifications that were not delivered yet are lost, as with any Distribution.
func (r *Registry) Stop() {
	r.stop.Do(func() {
		if r.process != nil {
			r.process.Signal(syscall.SIGTERM)
			r.process.EndWithin(5 * time.Second)
		}
		if r.scratch {
			os.RemoveAll(r.dir)
		}
	})
}

func (r *Registry) start(ctx context.Context, o Options) error {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	config := filepath.Join(r.dir, "config.yaml")
	text, err := yaml.Marshal(configuration(o))
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, text, 0o600); err != nil { // it holds what Notify authorizes with
		return err
	}
	log, err := os.Create(filepath.Join(r.dir, "registry.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	socket, err := r.listen(o.Addr)
	if err != nil {
		return err
	}

	cmd := exec.Command(o.Binary, "serve", config)
	cmd.Env = append(foreign(os.Environ()), "OTEL_TRACES_EXPORTER=none", "LISTEN_FDS=1", "LISTEN_PID=")
	cmd.ExtraFiles = []*os.File{socket} // descriptor 3, where sd_listen_fds(3) looks
	cmd.Stdout, cmd.Stderr = log, log
	r.process, err = child.Start(cmd, syscall.SIGTERM)
	socket.Close() // a connection to a registry that ended must not wait for one
	if err != nil {
		return err
	}
	return r.ready(ctx, log.Name())
}

// foreign leaves out the variables that Distribution takes for its configuration.
func foreign(environ []string) []string {
	return slices.DeleteFunc(environ, func(v string) bool { return strings.HasPrefix(v, "REGISTRY_") })
}

// listen opens the registry's port and gives the socket to hand over.
func (r *Registry) listen(addr string) (*os.File, error) {
	l, err := net.Listen("tcp", cmp.Or(addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	defer l.Close() // the duplicate keeps listening
	r.host = l.Addr().String()
	return l.(*net.TCPListener).File()
}

// ready waits until the registry answers.
func (r *Registry) ready(ctx context.Context, log string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		if r.answers(ctx) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.process.Ended():
			return fmt.Errorf("the registry ended at once; it says: %s", lastLines(log))
		case <-ctx.Done():
			return fmt.Errorf("the registry does not answer: %w; it says: %s", ctx.Err(), lastLines(log))
		}
	}
}

func (r *Registry) answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host+"/v2/", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func lastLines(log string) string {
	b, err := os.ReadFile(log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
}

// configuration is Distribution's
// (https://distribution.github.io/distribution/about/configuration/).
func configuration(o Options) map[string]any {
	storage := map[string]any{
		"delete":      map[string]any{"enabled": true},
		"cache":       map[string]any{"blobdescriptor": "inmemory"},
		"maintenance": map[string]any{"uploadpurging": map[string]any{"enabled": false}},
	}
	if o.Dir == "" {
		storage["inmemory"] = map[string]any{}
	} else {
		storage["filesystem"] = map[string]any{"rootdirectory": filepath.Join(o.Dir, "data")}
	}
	endpoints := []map[string]any{}
	for i, n := range o.Notify {
		headers := map[string][]string{}
		if n.Authorization != "" {
			headers["Authorization"] = []string{n.Authorization}
		}
		endpoints = append(endpoints, map[string]any{
			"name": fmt.Sprintf("endpoint-%d", i), "url": n.URL, "headers": headers,
			// One failure, then a pause: events are delivered in order, and the
			// default would hammer a receiver that is restarting. One that is slow is
			// not told twice.
			"timeout": "30s", "threshold": 1, "backoff": "250ms",
		})
	}
	return map[string]any{
		"version": "0.1",
		// At level info it would log the headers above.
		"log":           map[string]any{"level": "error", "accesslog": map[string]any{"disabled": true}},
		"storage":       storage,
		"http":          map[string]any{"addr": "127.0.0.1:0", "secret": strings.Repeat("loopback", 4)},
		"notifications": map[string]any{"events": map[string]any{"includereferences": true}, "endpoints": endpoints},
	}
}
