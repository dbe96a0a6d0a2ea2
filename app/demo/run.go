package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// RunOptions say how the demo is played.
type RunOptions struct {
	Options
	Once bool // end after the story
	JSON bool // print the report as JSON
	Yes  bool // do not ask about a cluster that is not plainly local
	In   io.Reader
	Out  io.Writer
	Err  io.Writer // progress
}

// Run plays the demo: build, start, tell the story, and stay up to be played
// with, or end with a report.
func Run(ctx context.Context, o RunOptions) error {
	if err := o.mayUseCluster(); err != nil {
		return err
	}
	say := clock(o.Err)
	o.Progress = say
	w, err := NewWorld(ctx, o.Options)
	if err != nil {
		return err
	}
	defer w.Close()
	report := Play(ctx, w, say)
	if o.Once {
		if err := report.print(o.Out, o.JSON); err != nil {
			return err
		}
	}
	if failed := report.Failed(); failed != "" {
		return fault.Errorf(fault.Broken, "the story failed in %s", failed)
	}
	if o.Once {
		return nil
	}
	w.welcome(o.Out)
	<-ctx.Done()
	return nil
}

// Build builds what the world is made of, and what the tests compare rendering
// with, into the cache directory. The first time this takes 5 to 20 minutes on two
// cores; afterwards, a moment.
func Build(ctx context.Context, out io.Writer) error {
	say := clock(out)
	if err := buildParts(ctx, true, say); err != nil {
		return err
	}
	return comparisons(ctx, say)
}

// buildParts builds one after the other: the control plane's build wants both
// cores and 3 GB of memory.
func buildParts(ctx context.Context, controlPlane bool, say func(string)) error {
	if _, err := registrytest.Binary(ctx, say); err != nil {
		return err
	}
	if !controlPlane {
		return nil
	}
	_, err := clustertest.Binary(ctx, say)
	return err
}

// comparisons builds the programs that the tests compare rendering with.
func comparisons(ctx context.Context, say func(string)) error {
	if _, err := rendertest.Kustomize(ctx, say); err != nil {
		return err
	}
	_, err := rendertest.Helm(ctx, say)
	return err
}

// clock prefixes what is said with the time since the start.
func clock(out io.Writer) func(string) {
	start := time.Now()
	var mu sync.Mutex
	return func(s string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, "[%6.1fs] %s\n", time.Since(start).Seconds(), s)
	}
}

// mayUseCluster asks before the demo touches a cluster that may be somebody's
// production.
func (o RunOptions) mayUseCluster() error {
	if o.Cluster == "" || o.Yes {
		return nil
	}
	_, local, err := clustertest.Existing(o.Cluster)
	if err != nil || local {
		return err
	}
	fmt.Fprintf(o.Err, "The context %q is not plainly a cluster on this machine. The demo will make the namespaces\n"+
		"tagboat-demo-dev, tagboat-demo-staging and tagboat-demo-prod there. Type the context's name to go on: ", o.Cluster)
	answer, _ := bufio.NewReader(o.In).ReadString('\n')
	if strings.TrimSpace(answer) != o.Cluster {
		return fault.Errorf(fault.Denied, "not confirmed: nothing was touched in %s", o.Cluster)
	}
	return nil
}

func (r Report) print(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	for _, c := range r.Chapters {
		verdict := "ok"
		if !c.OK {
			verdict = "FAILED"
		}
		if _, err := fmt.Fprintf(out, "%-14s %s in %.1fs, %d steps\n", c.Name, verdict, c.Seconds, len(c.Steps)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%d REST requests from event to merge\n", r.RestCallsPerPromotion)
	return err
}

// welcome says what there is to play with.
func (w *World) welcome(out io.Writer) {
	second := ""
	if _, added := w.Clusters[newcomer]; added {
		second = fmt.Sprintf("  %-10s KUBECONFIG=%s/%s.kubeconfig kubectl -n %s get pods\n", newcomer, w.dir, newcomer, w.Namespaces[newcomer])
	}
	fmt.Fprintf(out, `
The story is told, and everything stays up. Play with it:

  board      %[1]s
  GitHub     %[2]s/%[3]s          (act as alice, bob, carol or oscar, the outsider)
  registry   http://%[4]s
  dev        KUBECONFIG=%[5]s/dev.kubeconfig kubectl -n %[6]s get pods
  staging    KUBECONFIG=%[5]s/staging.kubeconfig kubectl -n %[7]s get pods
  prod       KUBECONFIG=%[5]s/prod.kubeconfig kubectl -n %[8]s get pods
%[9]s
Try: comment “/promote prod catalog” on an issue or pull request of %[3]s as alice,
approve it as bob and carol, tick the boxes. Or scale something in staging with kubectl,
and see it taken back. main is protected: to change something
yourself, push to a branch and open a pull request. ^C ends it.
`, w.Tagboat.URL(), w.GitHub.URL(), envRepo, w.Registry.Host(), w.dir, w.Namespaces["dev"], w.Namespaces["staging"], w.Namespaces["prod"], second)
}
