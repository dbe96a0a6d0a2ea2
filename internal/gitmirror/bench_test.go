package gitmirror

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// envRepo makes a bare repository of apps in three environments, six files to an
// app and two to an overlay, and a link to all of them, with one commit for each of bumps behind the first.
func envRepo(b *testing.B, apps, bumps int) (dir string) {
	b.Helper()
	dir = filepath.Join(b.TempDir(), "env.git")
	run := func(in io.Reader, args ...string) {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
		cmd.Stdin = in
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	run(nil, "init", "-q", "--bare", "-b", "main", dir)
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriter(w)
		importEnvRepo(out, apps, bumps)
		w.CloseWithError(out.Flush())
	}()
	run(r, "-C", dir, "fast-import", "--quiet")
	return dir
}

var benchEnvs = []string{"dev", "staging", "prod"}

// importEnvRepo writes what git fast-import reads
// (https://git-scm.com/docs/git-fast-import).
func importEnvRepo(w io.Writer, apps, bumps int) {
	file := func(path, content string) {
		fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", path, len(content), content)
	}
	commit := func(i int) {
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter Alice <alice@example.com> %d +0000\ndata 0\n", 1700000000+i)
	}
	overlay := func(app, env, tag string) {
		file("apps/"+app+"/overlays/"+env+"/kustomization.yaml",
			fmt.Sprintf("resources: [../../base]\nimages: [{name: registry.example.com/%s, newTag: %s}]\n", app, tag))
	}
	commit(0)
	fmt.Fprint(w, "M 120000 inline current\ndata 4\napps\n")
	for i := range apps {
		app := fmt.Sprintf("app-%04d", i)
		for _, name := range []string{"kustomization", "deployment", "service", "configmap", "hpa", "pdb"} {
			file("apps/"+app+"/base/"+name+".yaml", "kind: "+name+"\nname: "+app+"\n")
		}
		for _, env := range benchEnvs {
			overlay(app, env, "1.0.0")
			file("apps/"+app+"/overlays/"+env+"/patch.yaml", "replicas: "+env+"\napp: "+app+"\n")
		}
	}
	for i := range bumps {
		commit(i + 1)
		overlay(fmt.Sprintf("app-%04d", i*7919%apps), benchEnvs[i%3], fmt.Sprintf("1.%d.1", i+1))
	}
}

// readSet are the paths that rendering every overlay reads, two absences for
// each overlay among them.
func readSet(apps int) (paths []string) {
	for i := range apps {
		base := fmt.Sprintf("apps/app-%04d/base", i)
		for _, env := range benchEnvs {
			overlay := fmt.Sprintf("apps/app-%04d/overlays/%s", i, env)
			paths = append(paths, base, base+"/kustomization.yaml", base+"/deployment.yaml", base+"/service.yaml",
				base+"/configmap.yaml", base+"/hpa.yaml", base+"/pdb.yaml",
				overlay, overlay+"/kustomization.yaml", overlay+"/patch.yaml", overlay+"/kustomization.yml", overlay+"/Kustomization")
		}
	}
	return paths
}

func askAll(tree *Tree, paths []string) (present int) {
	for _, path := range paths {
		if id, _, err := tree.ID(path); err == nil && id != "" {
			present++
		}
	}
	return present
}

// BenchmarkID asks for what stands at a path of a tree whose directories are known.
func BenchmarkID(b *testing.B) {
	l, err := OpenLocal(envRepo(b, 1000, 0))
	if err != nil {
		b.Fatal(err)
	}
	tree, err := l.At("main")
	if err != nil {
		b.Fatal(err)
	}
	paths := readSet(1000)
	if got, want := askAll(tree, paths), 10*3000; got != want {
		b.Fatalf("%d paths are there, want %d", got, want)
	}
	b.Run("direct", func(b *testing.B) { askInTurn(b, tree, paths) })
	for i := range paths {
		paths[i] = "current" + strings.TrimPrefix(paths[i], "apps")
	}
	b.Run("through a link", func(b *testing.B) { askInTurn(b, tree, paths) })
}

func askInTurn(b *testing.B, tree *Tree, paths []string) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		tree.ID(paths[i])
		if i++; i == len(paths) {
			i = 0
		}
	}
}

// BenchmarkNextCommit asks for all 36,000 paths that rendering 3,000 overlays
// reads, in a commit that bumped one of them; its predecessor is known.
func BenchmarkNextCommit(b *testing.B) {
	dir := envRepo(b, 1000, 500)
	out, err := exec.Command("git", "-C", dir, "rev-list", "--reverse", "main").Output()
	if err != nil {
		b.Fatal(err)
	}
	commits := strings.Fields(string(out))
	paths := readSet(1000)
	var l *Local
	ask := func(commit string) {
		tree, err := l.At(commit)
		if err != nil {
			b.Fatal(err)
		}
		askAll(tree, paths)
	}
	next := len(commits)
	b.ReportAllocs()
	for b.Loop() {
		if next == len(commits) { // from the start again, with nothing known
			b.StopTimer()
			if l, err = OpenLocal(dir); err != nil {
				b.Fatal(err)
			}
			ask(commits[0])
			next = 1
			b.StartTimer()
		}
		ask(commits[next])
		next++
	}
}
