package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/child"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/githubsim/pages"
	"github.com/tagboat/tagboat/internal/intake"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

// Options say what the world is made of.
type Options struct {
	Tagboat  []string                        // command that runs Tagboat; "serve" and flags are added
	Env      []string                        // added to Tagboat's environment
	Cluster  string                          // kubeconfig context of an existing cluster to use instead of starting two
	Progress func(string)                    // told what is being built, started or waited for
	Log      io.Writer                       // Tagboat's log; nil: a file in the world's directory
	Wrap     func(http.Handler) http.Handler // around the simulated GitHub; nil: nothing
	Durable  bool                            // PostgreSQL keeps what was committed through a power cut
	Listen   string                          // address of the simulated GitHub; "" is any free port of loopback
	Limits   *githubsim.SecondaryLimits      // that the simulated GitHub enforces; nil: none
}

// The parties of the story.
const (
	org       = "acme"
	envRepo   = "acme/env"
	imageHost = "registry.acme.test"
)

var environments = []string{"dev", "staging", "prod"}

// World is everything that runs.
type World struct {
	GitHub     *githubsim.Server
	Registry   *registrytest.Registry
	Postgres   *localpg.Server
	AppID      int64
	Clusters   map[string]*cluster.Cluster // by name: that of its environment, or newcomer
	Namespaces map[string]string           // by the same names
	Tagboat    *Process

	ci       *ci
	dir      string
	secrets  secrets
	planes   []*clustertest.ControlPlane
	options  Options
	progress func(string)
	close    sync.Once

	addresses []*child.Address
	registry  string // its address, from its first start on

	reading sync.Mutex
	memory  *store.Store // Tagboat's database, opened when it is first looked at
}

type secrets struct {
	github, registry, ci string
	more                 []string // that a story brings
}

// NewWorld starts the parts of the world, Tagboat last. Close ends it.
func NewWorld(ctx context.Context, o Options) (_ *World, err error) {
	w := &World{
		options: o, progress: o.Progress, Clusters: map[string]*cluster.Cluster{}, Namespaces: map[string]string{},
		secrets: secrets{github: rand.Text(), registry: rand.Text(), ci: rand.Text()},
	}
	if w.progress == nil {
		w.progress = func(string) {}
	}
	if w.dir, err = os.MkdirTemp("", "tagboat-demo-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	address, err := w.keepAddress()
	if err != nil {
		return nil, err
	}
	if err := w.startParts(ctx, "http://"+address); err != nil {
		return nil, err
	}
	if err := w.seed(ctx, "http://"+address); err != nil {
		return nil, err
	}
	w.Tagboat = w.process(address)
	w.progress("starting Tagboat")
	return w, w.Tagboat.Start(ctx)
}

// startParts starts what does not need each other side by side.
func (w *World) startParts(ctx context.Context, tagboat string) error {
	if err := buildParts(ctx, w.options.Cluster == "", w.progress); err != nil {
		return err
	}
	group, starting := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		w.progress("starting PostgreSQL")
		w.Postgres, err = localpg.Start(starting, localpg.Options{Progress: w.progress, Durable: w.options.Durable})
		if err != nil {
			return err
		}
		return w.makeDatabase(starting)
	})
	group.Go(func() error { return w.startRegistry(starting, tagboat) })
	group.Go(func() error { return w.startGitHub() })
	group.Go(func() error { return w.startClusters(starting) })
	return group.Wait()
}

// startRegistry starts the registry, a second time at its address and with the images
// that it held before.
func (w *World) startRegistry(ctx context.Context, tagboat string) (err error) {
	if w.registry == "" {
		if w.registry, err = w.keepAddress(); err != nil {
			return err
		}
	}
	w.progress("starting the registry")
	w.Registry, err = registrytest.Start(ctx, registrytest.Options{
		Dir: filepath.Join(w.dir, "registry"), Addr: w.registry,
		Notify: []registrytest.Notify{{URL: tagboat + "/hooks/registry/distribution", Authorization: "Bearer " + w.secrets.registry}},
	})
	return err
}

func (w *World) startGitHub() (err error) {
	w.progress("starting the GitHub simulator")
	if w.GitHub, err = githubsim.New(githubsim.Options{
		Dir: filepath.Join(w.dir, "github"), MergeableUnknown: 1, Wrap: w.options.Wrap, SecondaryLimits: w.options.Limits,
	}); err != nil {
		return err
	}
	w.GitHub.SetPages(pages.New(w.GitHub, map[string]string{"oscar": "outsider"}))
	listen := w.options.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	return w.GitHub.Listen(listen)
}

// startClusters starts a control plane for dev and staging, and one for prod, or
// takes the cluster that was named.
func (w *World) startClusters(ctx context.Context) error {
	if w.options.Cluster != "" {
		return w.existingCluster(ctx)
	}
	w.planes = make([]*clustertest.ControlPlane, 2)
	group, starting := errgroup.WithContext(ctx)
	for i := range w.planes {
		group.Go(func() (err error) {
			w.planes[i], err = clustertest.Start(starting, clustertest.Options{Progress: w.progress})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, env := range environments {
		plane := w.planes[0]
		if env == "prod" {
			plane = w.planes[1]
		}
		if err := w.open(ctx, env, env, plane.Config(env)); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) existingCluster(ctx context.Context) error {
	config, _, err := clustertest.Existing(w.options.Cluster)
	if err != nil {
		return err
	}
	for _, env := range environments {
		config.Name = env
		if err := w.open(ctx, env, "tagboat-demo-"+env, config); err != nil {
			return err
		}
	}
	return nil
}

// open connects to an environment's cluster and makes its namespace.
func (w *World) open(ctx context.Context, env, namespace string, config cluster.Config) (err error) {
	if w.Clusters[env], err = cluster.Open(config); err != nil {
		return err
	}
	w.Namespaces[env] = namespace
	objects, err := cluster.Decode([]byte("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: " + namespace + "\n"))
	if err != nil {
		return err
	}
	_, err = w.Clusters[env].Apply(ctx, cluster.Run{Target: cluster.Target{Key: "tagboat demo " + env}, Objects: objects, Ledger: cluster.Unrecorded{}})
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(w.dir, env+".kubeconfig")
	if config.KubeconfigData != nil {
		return os.WriteFile(kubeconfig, config.KubeconfigData, 0o600)
	}
	data, err := os.ReadFile(config.Kubeconfig)
	if err != nil {
		return err
	}
	return os.WriteFile(kubeconfig, data, 0o600)
}

// Close ends everything that NewWorld started.
func (w *World) Close() {
	w.close.Do(func() {
		if w.ci != nil {
			w.ci.stop()
		}
		if w.Tagboat != nil {
			w.Tagboat.Stop()
		}
		if w.GitHub != nil {
			_ = w.GitHub.Close()
		}
		if w.Registry != nil {
			w.Registry.Stop()
		}
		for _, plane := range w.planes {
			if plane != nil {
				plane.Stop()
			}
		}
		if w.memory != nil {
			w.memory.Close()
		}
		if w.Postgres != nil {
			w.Postgres.Stop()
		}
		for _, a := range w.addresses {
			a.Release()
		}
		_ = os.RemoveAll(w.dir)
	})
}

// DatabaseURL is Tagboat's database, as its owner sees it.
func (w *World) DatabaseURL() string { return w.Postgres.URL(databaseName) }

// databaseName is Tagboat's database, and the user that it works as there.
const databaseName = "tagboat"

// makeDatabase makes Tagboat's database as docs/audit.md says: the owner migrates
// it, and the server works as somebody who cannot change the audit log.
func (w *World) makeDatabase(ctx context.Context) error {
	if err := w.Postgres.CreateDatabase(ctx, databaseName, ""); err != nil {
		return err
	}
	if _, err := store.Migrate(ctx, w.DatabaseURL()); err != nil {
		return err
	}
	return w.asOwner(ctx, "CREATE ROLE "+databaseName+" LOGIN IN ROLE "+store.WriterRole)
}

// keepAddress finds a loopback address, and keeps it as long as the world lasts: a process
// listens on it later, and again after its end.
func (w *World) keepAddress() (string, error) {
	a, err := child.KeepAddress()
	if err != nil {
		return "", err
	}
	w.addresses = append(w.addresses, a)
	return a.String(), nil
}

// callback sends Tagboat what a CI sends after it pushed an image.
func (w *World) callback(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Tagboat.URL()+"/hooks/ci", bytes.NewReader(body))
	if err != nil {
		return err
	}
	timestamp := fmt.Sprint(time.Now().Unix())
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(intake.HeaderTimestamp, timestamp)
	req.Header.Set(intake.HeaderSignature, intake.SignCI([]byte(w.secrets.ci), timestamp, body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusAccepted {
		return errors.Join(err, fmt.Errorf("the CI callback was answered %s: %s", resp.Status, answer))
	}
	return err
}
