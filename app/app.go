package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/intake"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/web"
	"github.com/tagboat/tagboat/internal/worker"
)

const (
	sweepEvery  = time.Minute // or as often as something is polled, if that is more often
	rescueEvery = 5 * time.Second
	stopWithin  = 20 * time.Second

	renderingsKept = 256 << 20 // bytes; 3,000 small overlays are 30 MB
)

// App is a Tagboat server.
type App struct {
	config  Config
	log     *slog.Logger
	store   *store.Store
	render  *renderer
	queue   *river.Client[pgx.Tx]
	server  *http.Server
	socket  net.Listener
	work    *worker.Worker
	replica string
	// clusters are those that this process brings.
	clusters []string
}

// Log is the logger of a server: JSON lines without secrets.
func Log(out io.Writer, level slog.Level) *slog.Logger {
	return slog.New(github.RedactHandler(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level})))
}

// New opens everything that a server needs, and starts nothing. It fails where
// something is missing or wrong, before anything is served.
func New(ctx context.Context, c Config, log *slog.Logger) (_ *App, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	a := &App{config: c, log: log, replica: replica()}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	endpoints, err := c.endpoints()
	if err != nil {
		return nil, err
	}
	clusters, err := c.clusters()
	if err != nil {
		return nil, err
	}
	a.clusters = slices.Sorted(maps.Keys(clusters))
	measuring, err := c.prometheus()
	if err != nil {
		return nil, err
	}
	// A merge holds one connection while it reads and writes on others.
	if a.store, err = store.Open(ctx, c.Database, store.Options{MaxConns: 40}); err != nil {
		return nil, noDatabase(err)
	}
	installation, salt, err := a.store.Installation(ctx)
	if err != nil {
		return nil, err
	}
	installation = cmp.Or(c.Installation, installation)
	app, err := github.New(github.Config{
		APIURL: c.GitHubAPI, GitURL: c.GitHubURL, AppID: c.AppID, PrivateKey: c.Secrets.PrivateKey, Now: time.Now, Logger: log,
		Limits: c.Limits.Limits, Ledger: a.store,
	})
	if err != nil {
		return nil, err
	}
	images := registry.New(registry.Config{Endpoints: endpoints})
	if a.render, err = openRenderer(c.Remotes, images, log); err != nil {
		return nil, err
	}
	rules, err := organisation(c.Policies)
	if err != nil {
		return nil, err
	}
	roots, err := c.sigstore()
	if err != nil {
		return nil, err
	}
	secrets, err := c.sops()
	if err != nil {
		return nil, err
	}
	envRepos, err := c.envRepos()
	if err != nil {
		return nil, err
	}
	clusterRepos, err := c.clusterRepos(envRepos)
	if err != nil {
		return nil, err
	}
	meter := newSyncMeter(a.clusters)
	work := worker.New(worker.Config{
		Store: a.store, GitHub: app, Registry: images, Render: render.NewCache(a.render.pool, renderingsKept), Clusters: clusters, Prometheus: measuring,
		EnvRepos: envRepos, ClusterRepos: clusterRepos, Hosts: hosts(endpoints), Mirrors: filepath.Join(c.DataDir, "mirrors"),
		BoardURL: c.PublicURL, HealthTimeout: c.HealthTimeout, Policies: rules, Sigstore: roots, SOPS: secrets,
		Polls: worker.Polls{GitHub: c.GitHubEvery, Registries: c.RegistryEvery}, Meter: meter, Now: time.Now, Log: log, Replica: a.replica, Installation: installation, InventoryKey: salt,
	})
	a.work = work
	if a.queue, err = a.newQueue(work); err != nil {
		return nil, err
	}
	handler, err := a.handler(app, meter)
	if err != nil {
		return nil, err
	}
	a.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	a.socket, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	return a, err
}

// noDatabase says what somebody who starts a server can do about its database.
func noDatabase(err error) error {
	hint := fault.HintOf(err)
	switch {
	case fault.Is(err, fault.Transient):
		hint = "PostgreSQL does not answer. Is it running, and is TAGBOAT_DATABASE_URL right?"
	case hint == "":
		hint = "PostgreSQL cannot be used. Is TAGBOAT_DATABASE_URL right, and may its user make tables there?"
	}
	return fault.E(fault.KindOf(err), hint, err)
}

// replica names this process among those that share the database.
func replica() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:8])
}

func (a *App) newQueue(work *worker.Worker) (*river.Client[pgx.Tx], error) {
	queues := job.Syncs(a.clusters...)
	if !a.config.Syncs {
		maps.Copy(queues, job.Workers)
	}
	workers := river.NewWorkers()
	work.Register(workers)
	return river.NewClient(riverpgxv5.New(a.store.Pool()), &river.Config{
		ID:      a.replica,
		Schema:  store.QueueSchema,
		Queues:  queues,
		Workers: workers,
		Logger:  slog.New(quiet{a.log.Handler()}),
		// People wait for promotions: fetch at once, not up to 100 ms later.
		FetchCooldown: 5 * time.Millisecond,
		// Whoever is elected has the sweeps put into the queue, also where it works on none.
		// Gone replicas' jobs are given back by store.RescueJobs within seconds; this is
		// for those of a frozen one, and for a job whose own process forgot it.
		RescueStuckJobsAfter: job.StuckAfter,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(a.config.sweeps()),
			func() (river.JobArgs, *river.InsertOpts) { return job.Sweep{}, nil }, &river.PeriodicJobOpts{RunOnStart: true})},
	})
}

func (a *App) handler(app *github.App, meter *syncMeter) (http.Handler, error) {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Use(middleware.Recover())
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(newCallsCollector(app), newBudgetsCollector(app))
	meter.register(metrics)
	board, err := web.New(web.Config{Store: a.store, Metrics: metrics, Now: time.Now, Log: a.log})
	if err != nil {
		return nil, err
	}
	if a.config.Syncs {
		board.RegisterHealth(e)
		return e, nil
	}
	doors, err := intake.New(a.store, a.config.Secrets.Doors, time.Now, a.log)
	if err != nil {
		return nil, err
	}
	doors.Register(e)
	board.Register(e)
	return e, nil
}

// URL is where the server listens.
func (a *App) URL() string { return "http://" + a.socket.Addr().String() }

// Run serves until ctx ends, then stops in order: no new requests, no new jobs,
// and time for the running ones to come to an end. Whatever does not is done
// again by whoever runs next.
func (a *App) Run(ctx context.Context) error {
	presence, err := a.store.Appear(ctx, a.replica)
	if err != nil {
		return err
	}
	defer presence.Leave(context.WithoutCancel(ctx))
	// Before anything is worked on: who surveys tells of clusters that nobody brings.
	if err := a.store.Reach(ctx, a.replica, a.clusters); err != nil {
		return err
	}
	if _, err := a.store.RescueJobs(ctx); err != nil {
		return err
	}
	if err := a.queue.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	a.log.InfoContext(ctx, "serving", "url", a.URL(), "replica", a.replica, "envRepos", a.config.EnvRepos, "clusters", a.clusters)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := a.server.Serve(a.socket); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error { return a.rescue(running, presence) })
	group.Go(func() error { return a.work.Watch(running) })
	group.Go(func() error {
		<-running.Done()
		return a.stop()
	})
	return group.Wait()
}

// rescue gives back the jobs of dead replicas, and makes sure that the others
// see this one live.
func (a *App) rescue(ctx context.Context, presence *store.Presence) error {
	tick := time.NewTicker(rescueEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := presence.Check(ctx); err != nil && ctx.Err() == nil {
			// The others may take our jobs for abandoned: start over.
			return fmt.Errorf("the database connection that shows this replica to the others is gone: %w", err)
		}
		if err := a.store.Reach(ctx, a.replica, a.clusters); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the others could not be told which clusters this replica brings", "error", err)
		}
		if n, err := a.store.RescueJobs(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "the jobs of gone replicas could not be looked for", "error", err)
		} else if n > 0 {
			a.log.WarnContext(ctx, "took over jobs of a gone replica", "jobs", n)
		}
	}
}

func (a *App) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := a.server.Shutdown(ctx)
	soft, cancelSoft := context.WithTimeout(ctx, stopWithin/2)
	defer cancelSoft()
	if a.queue.Stop(soft) == nil {
		return err
	}
	return errors.Join(err, a.queue.StopAndCancel(ctx))
}

// Close releases what New opened. Run must have ended.
func (a *App) Close() {
	if a.socket != nil {
		_ = a.socket.Close()
	}
	if a.store != nil {
		a.store.Close()
	}
	if a.render != nil {
		if err := a.render.Close(); err != nil {
			a.log.Warn("rendering was not cleaned up", "error", err)
		}
	}
}

// quiet keeps River's chatter about every failed attempt out of the log: the
// worker has said it better.
type quiet struct{ slog.Handler }

// Enabled drops what is below a warning.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the wrapper.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup keeps the wrapper.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
