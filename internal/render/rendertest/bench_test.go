package rendertest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// workers is how many build at a time, on either side of a comparison.
const workers = 2

// sampled is how many overlays the slower side of a comparison renders.
const sampled = 200

func thousand() rendertest.Repo { return rendertest.Repo{Apps: 1000} }

// BenchmarkRenderAll renders the 3,000 overlays of 1,000 apps, and some of them with
// one `kustomize build` process each. They take turns, so that what else happens on
// the machine happens to both.
func BenchmarkRenderAll(b *testing.B) {
	repo := thousand()
	history := commits(b, repo)
	tree := at(b, history, history.Head)
	dir := checkedOut(b, history)
	for b.Loop() {
		pool := render.NewPool(render.Options{Workers: workers})
		ours, theirs := timed{}, timed{}
		for turn := range slices.Chunk(repo.Overlays(), 300) {
			ours.add(b, turn, func(overlay string) error {
				_, err := pool.Build(b.Context(), tree, render.Source{Dir: overlay})
				return err
			})
			theirs.add(b, turn[:sampled/10], func(overlay string) error {
				_, err := rendertest.KustomizeBuild(b.Context(), filepath.Join(dir, overlay))
				return err
			})
		}
		peak := peakMemory(b)
		_ = pool.Close()
		b.ReportMetric(float64(ours.each().Microseconds()), "us/overlay")
		b.ReportMetric(float64(theirs.each().Microseconds()), "us/kustomize-build")
		b.ReportMetric(float64(theirs.each())/float64(ours.each()), "x-faster")
		b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
	}
}

// timed is how long some work took.
type timed struct {
	total time.Duration
	done  int
}

// add does the work on a list.
func (t *timed) add(b *testing.B, list []string, work func(string) error) {
	b.Helper()
	started := time.Now()
	inParallel(b, list, work)
	t.total += time.Since(started)
	t.done += len(list)
}

func (t *timed) each() time.Duration { return t.total / time.Duration(t.done) }

// BenchmarkAffected finds what a commit can change among 3,000 overlays.
func BenchmarkAffected(b *testing.B) {
	repo := thousand()
	history := commits(b, repo)
	pool := render.NewPool(render.Options{Workers: workers})
	b.Cleanup(func() { _ = pool.Close() })
	cache := render.NewCache(pool, 256<<20)
	before := at(b, history, history.Head)
	var sources []render.Source
	for _, dir := range repo.Overlays() {
		sources = append(sources, render.Source{Dir: dir})
	}
	inParallel(b, repo.Overlays(), func(dir string) error {
		_, err := cache.Build(b.Context(), "", before, render.Source{Dir: dir})
		return err
	})
	local, err := gitmirror.OpenLocal(history.Dir)
	if err != nil {
		b.Fatal(err)
	}
	if before, err = local.At(history.Head); err != nil {
		b.Fatal(err)
	}
	cache.Affected("", before, before, sources) // the last survey did this
	for _, change := range []rendertest.Change{rendertest.BumpTag, rendertest.EditBase, rendertest.EditMonitoring, rendertest.EditCommon} {
		commit, err := history.Commit(b.Context(), change)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.ReplaceAll(string(change), " ", "-"), func(b *testing.B) {
			affected := 0
			for b.Loop() {
				after, err := local.At(commit.ID)
				if err != nil {
					b.Fatal(err)
				}
				may := cache.Affected("", before, after, sources)
				affected = 0
				for _, m := range may {
					if m {
						affected++
					}
				}
			}
			b.ReportMetric(float64(affected), "affected")
			if affected != len(commit.Affected) {
				b.Errorf("%d are affected, want %d", affected, len(commit.Affected))
			}
		})
		if before, err = local.At(commit.ID); err != nil {
			b.Fatal(err)
		}
		inParallel(b, commit.Affected, func(dir string) error {
			_, err := cache.Build(b.Context(), "", before, render.Source{Dir: dir})
			return err
		})
	}
}

// BenchmarkAfterBump renders an overlay after a bump, from a warm cache and with
// krusty in this process, and compares every one of them byte for byte.
func BenchmarkAfterBump(b *testing.B) {
	repo := rendertest.Repo{Apps: 100}
	history := commits(b, repo)
	pool := render.NewPool(render.Options{Workers: workers})
	b.Cleanup(func() { _ = pool.Close() })
	cache := render.NewCache(pool, 256<<20)
	before := at(b, history, history.Head)
	inParallel(b, repo.Overlays(), func(dir string) error {
		_, err := cache.Build(b.Context(), "", before, render.Source{Dir: dir})
		return err
	})
	var bumped []string
	for range 20 {
		commit, err := history.Commit(b.Context(), rendertest.BumpTag)
		if err != nil {
			b.Fatal(err)
		}
		bumped = append(bumped, commit.Affected...)
	}
	after := at(b, history, history.Head)
	memory := inMemory(b, history.FS())
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	if _, err := krusty.MakeKustomizer(options).Run(memory, "/"+bumped[0]); err != nil { // its schema is loaded once
		b.Fatal(err)
	}
	byKrusty := func(dir string) []byte {
		built, err := krusty.MakeKustomizer(options).Run(memory, "/"+dir)
		if err != nil {
			b.Fatal(err)
		}
		text, err := built.AsYaml()
		if err != nil {
			b.Fatal(err)
		}
		return text
	}
	for _, dir := range bumped { // warm: the tree's directories are decoded, its files read
		got, err := cache.Build(b.Context(), "", after, render.Source{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if want := byKrusty(dir); !bytes.Equal(got, want) {
			b.Fatalf("%s: the cache says\n%s\nkrusty says\n%s", dir, got, want)
		}
	}
	n, total, krustys, theirs := 0, time.Duration(0), 0, time.Duration(0)
	for b.Loop() {
		if n++; n%200 == 1 { // among the others, so that both meet the same noise
			started := time.Now()
			byKrusty(bumped[n%len(bumped)])
			theirs += time.Since(started)
			krustys++
		}
		next := bump(b, after, bumped[n%len(bumped)], fmt.Sprintf("9.%d.0", n))
		started := time.Now()
		if _, err := cache.Build(b.Context(), "", next, render.Source{Dir: bumped[n%len(bumped)]}); err != nil {
			b.Fatal(err)
		}
		total += time.Since(started)
	}
	ours := total / time.Duration(n)
	theirs /= time.Duration(krustys)
	b.ReportMetric(float64(ours.Nanoseconds()), "ns/substituted")
	b.ReportMetric(float64(theirs.Microseconds()), "us/krusty")
	b.ReportMetric(float64(theirs)/float64(ours), "x-faster")
	if s := cache.Stats(); s.Substituted < int64(n) {
		b.Errorf("%+v: want every one substituted", s)
	}
}

// next is a commit that bumped one overlay after another commit. It is as cheap to
// make as to ask, so that a benchmark can have a new one each time.
type next struct {
	*gitmirror.Tree
	file, id string
	data     []byte
}

var newTag = regexp.MustCompile(`newTag: \S+`)

func bump(b *testing.B, tree *gitmirror.Tree, dir, tag string) next {
	n := next{Tree: tree, file: dir + "/kustomization.yaml", id: tag}
	data, err := tree.ReadFile(n.file)
	if err != nil {
		b.Fatal(err)
	}
	n.data = newTag.ReplaceAll(data, []byte("newTag: "+tag))
	return n
}

// ID is another one for the file and the directories that it is in.
func (n next) ID(name string) (string, bool, error) {
	id, dir, err := n.Tree.ID(name)
	if name == n.file || name == "." || dir && strings.HasPrefix(n.file, name+"/") {
		id = n.id
	}
	return id, dir, err
}

// Entry is another one, too.
func (n next) Entry(name string) (string, fs.FileMode, error) {
	id, kind, err := n.Tree.Entry(name)
	if name == n.file || name == "." || kind.IsDir() && strings.HasPrefix(n.file, name+"/") {
		id = n.id
	}
	return id, kind, err
}

func (n next) ReadFile(name string) ([]byte, error) {
	if name == n.file {
		return n.data, nil
	}
	return n.Tree.ReadFile(name)
}

// BenchmarkPlanOneBump reads one overlay and plans its edit, in repos of three sizes:
// no clone, no work tree. The commit is one that has been read before, as the base of
// a promotion has, or one that nobody has seen yet.
func BenchmarkPlanOneBump(b *testing.B) {
	for _, repo := range []rendertest.Repo{{Apps: 100}, {Apps: 1000}, {Apps: 3000, Envs: []string{"dev", "test", "staging", "prod"}}} {
		overlays := repo.Overlays()
		history := commits(b, repo)
		local, err := gitmirror.OpenLocal(history.Dir)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		plan := func(b *testing.B, commit string) {
			n++
			if err := planBump(local, commit, overlays[n*7%len(overlays)]+"/kustomization.yaml"); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("%d-overlays/known-commit", len(overlays)), func(b *testing.B) {
			for b.Loop() {
				plan(b, history.Head)
			}
		})
		b.Run(fmt.Sprintf("%d-overlays/new-commit", len(overlays)), func(b *testing.B) {
			total, plans := time.Duration(0), 0
			for b.Loop() {
				commit, err := history.Commit(b.Context(), rendertest.BumpTag) // git's time is not ours
				if err != nil {
					b.Fatal(err)
				}
				started := time.Now()
				plan(b, commit.ID)
				total += time.Since(started)
				plans++
			}
			b.ReportMetric(float64(total.Nanoseconds())/float64(plans), "ns/plan")
		})
	}
}

func planBump(local *gitmirror.Local, commit, file string) error {
	tree, err := local.At(commit)
	if err != nil {
		return err
	}
	data, err := tree.ReadFile(file)
	if err != nil {
		return err
	}
	entries, err := overlay.Entries(file, data)
	if err != nil {
		return err
	}
	_, err = overlay.SetImage(file, data, image.Ref{Name: entries[0].Image(), Tag: "9.9.9"}, overlay.WithPin(overlay.PinTag))
	return err
}

func commits(b *testing.B, repo rendertest.Repo) *rendertest.History {
	b.Helper()
	history, err := repo.Git(b.Context(), filepath.Join(b.TempDir(), "env.git"))
	if err != nil {
		b.Fatal(err)
	}
	return history
}

// checkedOut is the head as files, for tools that need them.
func checkedOut(b *testing.B, h *rendertest.History) string {
	b.Helper()
	dir := b.TempDir()
	if err := os.CopyFS(dir, h.FS()); err != nil {
		b.Fatal(err)
	}
	if _, err := rendertest.Kustomize(b.Context(), func(string) {}); err != nil { // built before anything is timed
		b.Fatal(err)
	}
	return dir
}

func inMemory(b *testing.B, files fs.FS) filesys.FileSystem {
	b.Helper()
	memory := filesys.MakeFsInMemory()
	err := fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return memory.WriteFile("/"+name, data)
	})
	if err != nil {
		b.Fatal(err)
	}
	return memory
}

// inParallel works on a list with the comparison's number of workers.
func inParallel(b *testing.B, list []string, work func(string) error) {
	b.Helper()
	next := make(chan string)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for item := range next {
				if err := work(item); err != nil {
					b.Error(item, err)
				}
			}
		})
	}
	for _, item := range list {
		next <- item
	}
	close(next)
	group.Wait()
}

// peakMemory is what this process and its children held at most, in bytes.
func peakMemory(b *testing.B) int64 {
	b.Helper()
	total := peakOf(b, "self")
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		b.Fatal(err)
	}
	for _, task := range tasks {
		children, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that ended
		}
		for _, pid := range strings.Fields(string(children)) {
			total += peakOf(b, pid)
		}
	}
	return total
}

func peakOf(b *testing.B, pid string) int64 {
	b.Helper()
	status, err := os.Open("/proc/" + pid + "/status")
	if err != nil {
		b.Skip("the peak of memory is read from /proc, which this system does not have")
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	return 0
}
