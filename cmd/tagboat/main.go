// Command tagboat moves immutable image versions through the environments of a
// GitOps repository. See README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/app/demo"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/nested"
	"github.com/tagboat/tagboat/internal/render"
)

// version is set when a release is built.
var version = ""

// commands is the command line.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Serve webhooks, move promotions, bring clusters to Git."`
	Demo     demoCommand     `cmd:"" help:"Play Tagboat on this machine: a GitHub, a registry, clusters and a story."`
	Validate validateCommand `cmd:"" help:"Check the tagboat.yaml and the overlays of a checkout."`
	Render   renderCommand   `cmd:"" help:"Render an overlay of a checkout, as a sync would."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main as a function: it answers with the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	exit := -1
	parser, err := kong.New(&c, kong.Name("tagboat"), kong.Writers(stdout, stderr), kong.UsageOnError(),
		kong.Description("Moves immutable image versions through the environments of a GitOps repository, by pull request."),
		kong.Exit(func(code int) { exit = code }),
		kong.Vars{"data_dir": filepath.Join(nested.CacheDir(), "data")})
	if err != nil {
		fmt.Fprintln(stderr, "tagboat:", err)
		return 1
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help was answered
		return exit
	}
	if err != nil {
		fmt.Fprintln(stderr, "tagboat:", err)
		return 2
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(streams{stdout, stderr}); err != nil {
		fmt.Fprintln(stderr, "tagboat:", words(err))
		return 1
	}
	return 0
}

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// words is an error for a person: its hint where it has one, one line first.
func words(err error) string {
	if hint := fault.HintOf(err); hint != "" {
		return hint
	}
	return err.Error()
}

type serveCommand struct {
	app.Config `embed:""`
}

// Run serves until it is told to stop.
func (c serveCommand) Run(ctx context.Context, s streams) (err error) {
	if c.Secrets, err = app.ReadSecrets(os.Getenv); err != nil {
		return err
	}
	if c.Database == "" { // given as a file
		c.Database = c.Secrets.Database
	}
	server, err := app.New(ctx, c.Config, app.Log(s.err, c.LogLevel))
	if err != nil {
		return err
	}
	defer server.Close()
	return server.Run(ctx)
}

type demoCommand struct {
	Once      bool   `help:"Play the story, print a JSON report and end."`
	Output    string `enum:"text,json" default:"text" help:"text or json: what --once prints last (make demo ONCE=1 prints json)."`
	Cluster   string `env:"CLUSTER" help:"Use this kubeconfig context instead of starting control planes." placeholder:"CONTEXT"`
	BuildOnly bool   `help:"Build what the demo needs into the cache, and end."`
	Yes       bool   `help:"Do not ask before touching a cluster that is not plainly a local one."`
}

// Run builds the world, plays the story, and stays up unless told otherwise.
func (c demoCommand) Run(ctx context.Context, s streams) error {
	if c.BuildOnly {
		return demo.Build(ctx, s.err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = demo.Run(ctx, demo.RunOptions{
		Options: demo.Options{Tagboat: []string{self}, Cluster: c.Cluster},
		Once:    c.Once, JSON: c.Output == "json", Yes: c.Yes, In: os.Stdin, Out: s.out, Err: s.err,
	})
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // ^C ends the demo
	}
	return err
}

type validateCommand struct {
	Dir string `default:"." help:"Root of the checkout." type:"existingdir"`
}

// Run prints every problem with its file and line.
func (c validateCommand) Run(s streams) error {
	config, pairs, err := envrepo.Load(os.DirFS(c.Dir))
	if err != nil {
		return err
	}
	var problems []error
	for _, p := range pairs {
		if p.Err != nil {
			problems = append(problems, p.Err)
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	fmt.Fprintf(s.out, "tagboat.yaml is valid: %d environments, %d overlays.\n", len(config.Environments), len(pairs))
	return nil
}

type renderCommand struct {
	Dir  string `default:"." help:"Root of the checkout." type:"existingdir"`
	Path string `required:"" help:"Directory of the overlay, below the root."`
}

// Run prints the rendered manifests.
func (c renderCommand) Run(ctx context.Context, s streams) error {
	manifests, err := render.Build(ctx, os.DirFS(c.Dir), c.Path)
	if err != nil {
		return err
	}
	_, err = s.out.Write(manifests)
	return err
}

type versionCommand struct {
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// Run prints what this binary was built from.
func (c versionCommand) Run(s streams) error {
	v := version
	if info, ok := debug.ReadBuildInfo(); ok && v == "" {
		v = info.Main.Version
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(map[string]string{"version": v})
	}
	fmt.Fprintln(s.out, "tagboat", v)
	return nil
}
