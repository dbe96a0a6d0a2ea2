package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestWhatTheClusterSays tells of a version that never becomes healthy, and of a
// cluster that cannot be reached for a while.
func TestWhatTheClusterSays(t *testing.T) {
	s := newScene(t)
	gate := s.gateBefore("dev", "staging")
	s.story("a version crashes", func(s *scene) { s.sickVersion("payments", "crash1", "CrashLoopBackOff", "1.7.0") })
	s.story("the cluster cannot be reached", func(s *scene) { s.unreachableCluster(gate) })
	s.story("the cluster was never told to Tagboat", unknownCluster)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// sickVersion brings a version to dev that never becomes healthy, and then one
// that mends it.
func (s *scene) sickVersion(app, tag, trouble, cure string) {
	_, err := s.w.pushImage(s.ctx, app, tag, tag, "")
	s.must(err)
	s.says("alice", s.issue(), fmt.Sprintf("/promote dev %s %s", app, tag), "rocket")
	p := s.merged("dev", app, tag)
	s.until("the pull request tells of the trouble", func() error { return s.w.said(p.Number, tag, "failed", trouble) })
	s.until("so does the deployment", func() error { return s.w.deploymentIs(p.Number, "dev", "failure") })
	s.commitSays(p, "tagboat/dev/"+app, "failure", tag+" is healthy in 0 of 1 cluster; dev: ", trouble)
	s.boardSays(trouble)
	s.until("no sync is under way", func() error { // each commit on main has the sick one tried again
		return s.w.none(s.ctx, `SELECT count(*) FROM target WHERE NOT gone AND (got < want OR state IN ('applying', 'waiting'))`)
	})
	s.says("alice", s.issue(), "/promote staging "+app, "confused", "staging has nothing healthy to take from dev", trouble)
	s.idle()
	if q, err := s.w.pullTo("staging", app, tag); err == nil {
		s.Errorf("#%d brings %s to staging, which follows what is healthy", q.Number, tag)
	}

	digest := s.release(app, cure)
	s.commitSays(s.done("dev", app, cure, digest), "tagboat/dev/"+app, "success", cure+" is healthy in 1 cluster")
	s.done("staging", app, cure, digest)
	if q, err := s.w.pullTo("staging", app, tag); err == nil {
		s.Errorf("#%d brings %s to staging, which follows what is healthy", q.Number, tag)
	}
}

// commitSays waits until the status of a pull request's merge commit is a state, and says
// all parts.
func (s *scene) commitSays(p githubsim.PullView, about, state string, parts ...string) {
	s.Helper()
	s.until("the commit says how the clusters took it", func() error {
		var is struct {
			Statuses []struct {
				Context, State, Description string
				TargetURL                   string `json:"target_url"`
			}
		}
		s.read("bob", "commits/"+p.MergeCommitSHA+"/status", &is)
		for _, one := range is.Statuses {
			if one.Context != about || one.State != state || !strings.HasPrefix(one.TargetURL, s.w.Tagboat.URL()) {
				continue
			}
			for _, part := range parts {
				if !strings.Contains(one.Description, part) {
					return fmt.Errorf("it does not say “%s”: %s", part, one.Description)
				}
			}
			return nil
		}
		return fmt.Errorf("the statuses are %+v", is.Statuses)
	})
}

// unreachableCluster shuts the gate before the cluster of dev and staging while a
// version is on its way.
func (s *scene) unreachableCluster(gate *gate) {
	// Else it would wait for the cluster before the merge, not after it.
	s.edit("Merge without asking dev", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "  - name: dev\n", "  - name: dev\n    dryRun: off\n", 1)
	}})
	gate.shut()
	defer gate.open()
	digest := s.release("catalog", "2.3.1")
	p := s.merged("dev", "catalog", "2.3.1")
	s.until("the pull request tells that the cluster is away", func() error { return s.w.said(p.Number, "2.3.1", "cannot be reached") })
	s.boardSays("unreachable", "cannot be reached at", "tried again by itself")
	if q, err := s.w.pullTo("staging", "catalog", "2.3.1"); err == nil {
		s.Errorf("#%d brings 2.3.1 to staging, but nobody knows whether dev is healthy", q.Number)
	}
	gate.open()
	s.until("it is tried again", func() error {
		return s.w.runs(s.ctx, "dev", "catalog", Version{Tag: "2.3.1", Digest: digest})
	})
	s.done("dev", "catalog", "2.3.1", digest)
	s.done("staging", "catalog", "2.3.1", digest)
	s.until("everything is healthy", func() error { return s.w.allHealthy(s.ctx) })
}

// unknownCluster names a cluster in tagboat.yaml that Tagboat was not given.
func unknownCluster(s *scene) {
	mend := s.edit("Deploy to the moon", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return string(bytes.Replace([]byte(text), []byte("clusters: [staging]"), []byte("clusters: [staging, moon]"), 1))
	}})
	s.boardSays(`No Tagboat reaches cluster \"moon\"`, "take the cluster out of tagboat.yaml")
	mend()
	s.until("everything is healthy", func() error { return s.w.allHealthy(s.ctx) })
}

// gate is a TCP proxy that can be shut.
type gate struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	shuts bool
	conns map[net.Conn]bool
}

// gateBefore has Tagboat reach the clusters of some environments, which are one,
// through a gate.
func (s *scene) gateBefore(environments ...string) *gate {
	s.Helper()
	s.w.Tagboat.Kill()
	var g *gate
	for _, env := range environments {
		file := filepath.Join(s.w.dir, env+".kubeconfig")
		config, err := os.ReadFile(file)
		s.must(err)
		server, err := url.Parse(s.w.planes[0].Server)
		s.must(err)
		if g == nil {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			s.must(err)
			g = &gate{listener: listener, to: server.Host, conns: map[net.Conn]bool{}}
			s.Cleanup(func() { _ = listener.Close() })
			go g.serve()
		}
		changed := bytes.ReplaceAll(config, []byte(server.Host), []byte(g.listener.Addr().String()))
		if bytes.Equal(changed, config) {
			s.Fatalf("%s does not name %s", file, server.Host)
		}
		s.must(os.WriteFile(file, changed, 0o600))
	}
	s.must(s.w.Tagboat.Start(s.ctx))
	return g
}

func (g *gate) serve() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.to)
		if err != nil || !g.admit(in, out) {
			_ = in.Close()
			continue
		}
		for from, to := range map[net.Conn]net.Conn{in: out, out: in} {
			go func() {
				_, err := io.Copy(to, from)
				_ = errors.Join(err, to.Close(), from.Close()) // either side may end it
			}()
		}
	}
}

func (g *gate) admit(conns ...net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range conns {
		g.conns[c] = true
	}
	if g.shuts {
		g.breakAll()
	}
	return !g.shuts
}

func (g *gate) breakAll() {
	for c := range g.conns {
		_ = c.Close()
		delete(g.conns, c)
	}
}

// shut breaks every connection, and those to come.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shuts = true
	g.breakAll()
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shuts = false
}
