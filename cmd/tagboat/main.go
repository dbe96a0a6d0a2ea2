// Command tagboat moves immutable image versions through the environments of a
// GitOps repository. See README.md.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	_ "time/tzdata" // windows name time zones, which an image need not have

	"github.com/alecthomas/kong"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/app/demo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/nested"
	"github.com/tagboat/tagboat/internal/render"
)

// version is set when a release is built.
var version = ""

// commands is the command line.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Serve webhooks, move promotions, bring clusters to Git."`
	Sync     syncCommand     `cmd:"" help:"Bring clusters to Git and do nothing else: for a worker in or near them, beside a server."`
	Demo     demoCommand     `cmd:"" help:"Play Tagboat on this machine: a GitHub, a registry, clusters and a story. Needs a checkout of Tagboat."`
	Init     initCommand     `cmd:"" help:"Propose a tagboat.yaml for a checkout."`
	Validate validateCommand `cmd:"" help:"Check a checkout: tagboat.yaml, every overlay, every pull request template."`
	Bump     bumpCommand     `cmd:"" help:"Move an image, a chart or a remote base in a checkout to another version."`
	Render   renderCommand   `cmd:"" help:"Render an overlay of a checkout, as a sync would."`
	Diff     diffCommand     `cmd:"" help:"Show how what a checkout renders to differs between two revisions."`
	Check    checkCommand    `cmd:"" help:"Judge what a checkout renders to by policies."`
	Status   statusCommand   `cmd:"" help:"What runs where, since when, and what is wrong with it."`
	Explain  explainCommand  `cmd:"" help:"What blocks an app in an environment, since when, and who can unblock it."`
	Template templateCommand `cmd:"" help:"Preview a pull request template of a checkout."`
	Audit    auditCommand    `cmd:"" help:"Who changed what, and the proof that the audit log holds."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database up to date, as its owner."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
}

func main() {
	render.RunIfChild()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main as a function: it answers with the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		run([]string{"--help"}, stderr, stderr)
		return usageError
	}
	if args[0] == "help" {
		args = append(args[1:], "--help")
	}
	var c commands
	exit := -1
	parser, err := kong.New(&c, kong.Name("tagboat"), kong.Writers(stdout, stderr), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Description("Moves immutable image versions through the environments of a GitOps repository, by pull request."),
		kong.Exit(func(code int) { exit = code }),
		kong.Vars{"data_dir": filepath.Join(nested.CacheDir(), "data")})
	if err != nil {
		fmt.Fprintln(stderr, "tagboat:", err)
		return failed
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help was answered
		return exit
	}
	if err != nil {
		fmt.Fprintf(stderr, "tagboat: %v\nRun tagboat --help.\n", err)
		return usageError
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(streams{stdout, stderr})
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintln(stderr, "tagboat:", words(err))
		return failed
	}
	return 0
}

// Exit codes other than 0.
const (
	failed     = 1 // what was asked for could not be done
	usageError = 2 // the command line cannot be understood
	otherwise  = 3 // it went well, but not as a script may hope; the command's help says when
)

// exitCode ends a command that has said all there is to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// streams are where a command writes.
type streams struct{ out, err io.Writer }

// printJSON prints a value for a machine.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func warn(w io.Writer, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintln(w, "warning:", text)
	}
}

// words is an error for a person: what to do first, then, on a line of its own,
// the cause where that says more.
func words(err error) string {
	cause, hint := github.Redact(err.Error()), github.Redact(fault.HintOf(err))
	switch {
	case hint == "":
		return cause
	case strings.Contains(cause, hint), strings.Contains(hint, github.Redact(root(err).Error())):
		return hint
	}
	return hint + "\n  " + strings.Join(strings.Fields(cause), " ")
}

// root is where an error began, the first of several.
func root(err error) error {
	for {
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			if e.Unwrap() == nil {
				return err
			}
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			err = e.Unwrap()[0] // errors.Join makes none of nothing
		default:
			return err
		}
	}
}

type serveCommand struct {
	app.Config `embed:""`
}

// Run serves until it is told to stop.
func (c serveCommand) Run(ctx context.Context, s streams) error { return serve(ctx, s, c.Config) }

// serve runs a server, or the part of one that a configuration asks for.
func serve(ctx context.Context, s streams, c app.Config) (err error) {
	if c.Secrets, err = app.ReadSecrets(os.Getenv); err != nil {
		return err
	}
	if c.Database == "" { // given as a file
		c.Database = c.Secrets.Database
	}
	server, err := app.New(ctx, c, app.Log(s.err, slog.Level(c.LogLevel)))
	if err != nil {
		return err
	}
	defer server.Close()
	return server.Run(ctx)
}

type demoCommand struct {
	Once      bool   `help:"Play the story, print a JSON report and end."`
	Output    string `enum:"text,json" default:"text" help:"text or json: what --once prints last (make demo ONCE=1 prints json)."`
	Cluster   string `help:"Use this kubeconfig context instead of starting control planes." placeholder:"CONTEXT"`
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

type versionCommand struct {
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// Run prints what this binary was built from.
func (c versionCommand) Run(s streams) error {
	v := version
	if v == "" {
		v = built(debug.ReadBuildInfo())
	}
	if c.Output == "json" {
		return json.NewEncoder(s.out).Encode(map[string]string{"version": v})
	}
	fmt.Fprintln(s.out, "tagboat", v)
	return nil
}

// built is the version of a binary that is no release: the module's, and the
// commit that it was built from, as far as the build knew them.
func built(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return "unknown"
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	v := cmp.Or(info.Main.Version, "(devel)")
	if revision := settings["vcs.revision"]; revision != "" {
		v += " " + revision[:min(len(revision), 12)]
		if settings["vcs.modified"] == "true" {
			v += " with changes"
		}
	}
	return v
}
