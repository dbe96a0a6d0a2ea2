package demo

import (
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/cluster"
)

// TestACourseInGitOps plays what a course in GitOps has its people do.
func TestACourseInGitOps(t *testing.T) {
	s := newScene(t)
	s.story("one of three services goes to production, the others stay as they are", oneOfThree)
	s.story("latest, or no limits, is kept out until it is mended", keptOutUntilMended)
	s.story("a rollback is one revert commit", oneRevert)
	s.story("a new cluster comes to the same state from the same repository and path", newCluster)
}

func oneOfThree(s *scene) {
	newer := map[string]string{"payments": "1.7.0", "catalog": "2.3.1", "shop": "3.1.0"}
	digests := map[string]string{}
	for _, app := range apps {
		digests[app] = s.release(app, newer[app])
	}
	for _, app := range apps {
		s.runs("staging", app, newer[app], digests[app])
	}
	pull := s.asked("prod", "payments", "1.7.0").Number
	s.idle()
	files, objects := s.overlays(), s.live("prod", s.w.Namespaces["prod"])

	s.approve(pull, "bob", "carol")
	s.tickAll(pull)
	s.done("prod", "payments", "1.7.0", digests["payments"])
	s.idle()
	after := s.overlays()
	if after[prodPayments] == files[prodPayments] {
		s.Errorf("%s is as before", prodPayments)
	}
	files[prodPayments] = after[prodPayments]
	if diff := cmp.Diff(files, after); diff != "" {
		s.Errorf("other overlays changed, too:\n%s", diff)
	}
	now := s.live("prod", s.w.Namespaces["prod"])
	delete(objects, "deployments payments")
	delete(now, "deployments payments")
	if diff := cmp.Diff(objects, now); diff != "" {
		s.Errorf("other objects of the cluster changed, too:\n%s", diff)
	}
	for _, app := range []string{"catalog", "shop"} {
		if p, err := s.w.pullTo("prod", app, newer[app]); err == nil {
			s.Errorf("#%d brings %s to prod, but nobody asked", p.Number, app)
		}
	}
}

// overlays are the bytes of every overlay on main.
func (s *scene) overlays() map[string]string {
	s.Helper()
	all := map[string]string{}
	for _, app := range apps {
		for _, env := range environments {
			path := fmt.Sprintf("apps/%s/overlays/%s/kustomization.yaml", app, env)
			all[path] = s.on("main", path)
		}
	}
	return all
}

// live are the objects that the apps have in a namespace of an environment's cluster.
func (s *scene) live(env, namespace string) map[string]state {
	s.Helper()
	all, err := s.w.live(s.ctx, env, namespace)
	s.must(err)
	return all
}

func keptOutUntilMended(s *scene) {
	const file = "apps/catalog/overlays/prod/kustomization.yaml"
	right := s.on("main", file)
	tag := right[strings.Index(right, "newTag:"):]
	tag = tag[:strings.IndexByte(tag, '}')]
	for rule, wrong := range map[string]string{
		"mutable-tag": strings.Replace(right, tag, "newTag: latest", 1),
		"resource-limits": right + "patches:\n  - patch: |\n      apiVersion: apps/v1\n      kind: Deployment\n      metadata: {name: catalog}\n" +
			"      spec: {template: {spec: {containers: [{name: catalog, resources: {limits: null}}]}}}\n",
	} {
		number := s.propose("breaks-"+rule, "main", map[string]string{file: wrong})
		s.verdict(number, "failure", rule)
		s.must(s.w.remarked(number, "failure", rule, "apps/catalog/"))
		if _, err := s.as("alice").MergePull(envRepo, number, "squash"); err == nil {
			s.Errorf("#%d was merged with what %s forbids", number, rule)
		}
		_, err := s.as("alice").Push(envRepo, "breaks-"+rule, "Mend it", map[string]string{file: right + "# as it should be\n"})
		s.must(err)
		s.verdict(number, "success", "Not a promotion")
	}
}

func oneRevert(s *scene) {
	promoted, err := s.w.isMerged("prod", "payments", "1.7.0")
	s.must(err)
	clone := s.clone()
	s.git(clone, "-c", "user.name=Alice Archer", "-c", "user.email=alice@acme.test", "revert", "--no-edit", promoted.MergeCommitSHA)
	s.git(clone, "push", "--quiet", "origin", "HEAD:revert")
	before := s.git(clone, "show", promoted.MergeCommitSHA+"^:"+prodPayments)
	number, err := s.as("alice").OpenPull(envRepo, "revert", "main", "Revert payments in prod", "")
	s.must(err)
	s.verdict(number, "success", "Not a promotion")
	s.until("GitHub lets it be merged", func() error {
		_, err := s.as("alice").MergePull(envRepo, number, "squash")
		return err
	})
	if now := s.on("main", prodPayments); now != before {
		s.Errorf("the overlay reads now:\n%s", now)
	}
	_, old, _ := strings.Cut(before, "digest: ")
	old = strings.TrimSpace(old)
	s.runs("prod", "payments", "1.6.0", old)
	s.idle()
	s.runs("prod", "payments", "1.6.0", old) // and nobody brings the newer one back
	if p, err := s.w.pullTo("prod", "payments", "1.7.0"); err != nil || p.Number != promoted.Number {
		s.Errorf("#%d brings 1.7.0 to prod again", p.Number)
	}
}

// newCluster: the cluster of dev has never seen prod. What production is there, too,
// needs nothing but a clone.
func newCluster(s *scene) {
	clone := s.clone()
	door, namespace := s.w.Clusters["dev"], s.w.Namespaces["prod"]
	place, err := cluster.Decode([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: " + namespace + "}\n"))
	s.must(err)
	_, err = door.Apply(s.ctx, cluster.Run{Target: cluster.Target{Key: "a new cluster"}, Objects: place, Ledger: cluster.Unrecorded{}})
	s.must(err)
	for _, app := range apps {
		out, err := exec.CommandContext(s.ctx, tagboat, "render", "--dir", clone, "--path", "apps/"+app+"/overlays/prod").Output()
		s.must(err)
		objects, err := cluster.Decode(out)
		s.must(err)
		applied, err := door.Apply(s.ctx, cluster.Run{Target: cluster.Target{Key: "a new cluster " + app}, Objects: objects, Ledger: cluster.Unrecorded{}})
		s.must(err)
		health, err := door.Wait(s.ctx, applied.Objects(), cluster.WaitOptions{Timeout: time.Minute})
		s.must(err)
		if !health.Healthy {
			s.Errorf("%s is not healthy in the new cluster: %s", app, health.Reason)
		}
	}
	same := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Generation" }, cmp.Ignore())
	if diff := cmp.Diff(s.live("prod", namespace), s.live("dev", namespace), same); diff != "" {
		s.Errorf("the new cluster differs from prod:\n%s", diff)
	}
	if n := len(s.live("dev", namespace)); n != 2*len(apps) {
		s.Errorf("it has %d objects", n)
	}
}

// clone is a checkout of the env repo, as anybody who may read it makes one.
func (s *scene) clone() string {
	s.Helper()
	from, err := url.Parse(s.w.GitHub.URL() + "/" + envRepo + ".git")
	s.must(err)
	from.User = url.UserPassword("alice", s.w.GitHub.AddUser("alice", "alice"))
	dir := filepath.Join(s.TempDir(), "env")
	if out, err := exec.CommandContext(s.ctx, "git", "clone", "--quiet", from.String(), dir).CombinedOutput(); err != nil {
		s.Fatalf("git clone: %v\n%s", err, out)
	}
	return dir
}

func (s *scene) git(clone string, args ...string) string {
	s.Helper()
	out, err := exec.CommandContext(s.ctx, "git", append([]string{"-C", clone, "-c", "maintenance.auto=false"}, args...)...).CombinedOutput()
	if err != nil {
		s.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}
