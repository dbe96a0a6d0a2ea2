package overlay_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/overlay"
)

// recordedBumps stands beside the checkout, as seen from this directory.
// TAGBOAT_REAL_BUMPS names another file of the same format.
const recordedBumps = "../../../shared/real-bumps.jsonl"

// unknowable are commits (by the first eight digits) whose result no rule could
// know, with the reason.
var unknowable = map[string]string{
	"a649fe5e": "a person also took out blanks at the end of the line",
	"62693ee8": "a person also took out blanks at the end of a line whose version stayed",
	"14627864": "a person also took out a blank at the end of the line",
	"83305652": "a person also put in a blank at the end of the line",
}

// commit is a version bump that people or bots made in a public env repo.
type commit struct {
	Commit string
	Edits  []recordedEdit
	Files  map[string]struct{ Before, After string }
}

type recordedEdit struct {
	File          string
	Kind          string // newTag, digest or ref
	Name, NewName string
	Old, New      string
}

// TestEveryRecordedBumpIsReproducedToTheByte asks for each commit as a person
// would, and compares every byte of every file.
func TestEveryRecordedBumpIsReproducedToTheByte(t *testing.T) {
	commits := readCommits(t, cmp.Or(os.Getenv("TAGBOAT_REAL_BUMPS"), recordedBumps))
	var how [ways]int
	missed := 0
	for _, c := range commits {
		way, diff := c.reproduce()
		short := c.Commit[:min(8, len(c.Commit))]
		if reason, known := unknowable[short]; known {
			missed++
			if diff == "" {
				t.Errorf("%s is listed as an exception (%s), but is reproduced; take it out of the list", short, reason)
			}
			continue
		}
		if diff != "" {
			missed++
			t.Logf("%s is not reproduced:\n%s", short, diff)
			continue
		}
		how[way]++
	}
	t.Logf("%d commits: %d by one bump, %d with revisions named besides, %d file by file, %d so and by what the base names, %d not at all", len(commits), how[0], how[1], how[2], how[3], missed)
	if len(commits) == 0 || missed*50 > len(commits) {
		t.Errorf("%d of %d commits are not reproduced; at most 2 percent may be", missed, len(commits))
	}
}

// ways is how many ways there are to ask, the simple one first: one bump; one
// bump that also names the revisions; one such bump per file; one per file that
// calls images by what the base names.
const ways = 4

// reproduce tries what a person would type. It returns the way that led to the
// recorded bytes, else how the last one differs.
func (c commit) reproduce() (way int, diff string) {
	for way = range ways {
		got, err := c.bump(way)
		if err != nil {
			diff = err.Error()
			continue
		}
		want := map[string]string{}
		for name, f := range c.Files {
			want[name] = f.After
		}
		if diff = gocmp.Diff(want, got); diff == "" {
			return way, ""
		}
	}
	return way, diff
}

// bump is the content of the commit's files after a bump.
func (c commit) bump(way int) (map[string]string, error) {
	after, all := map[string]string{}, map[string][]byte{}
	for name, f := range c.Files {
		after[name], all[name] = f.Before, []byte(f.Before)
	}
	batches := []map[string][]byte{all}
	if way >= 2 {
		batches = nil
		for _, name := range slices.Sorted(maps.Keys(all)) {
			batches = append(batches, map[string][]byte{name: all[name]})
		}
	}
	for _, files := range batches {
		changes, refs, err := c.changes(files, way > 0, way > 2)
		if err != nil {
			return nil, err
		}
		if len(changes) == 0 {
			continue
		}
		edits, err := overlay.Bump(files, changes, overlay.BumpOptions{Refs: refs})
		if err != nil {
			return nil, err
		}
		for _, e := range edits {
			after[e.Path] = string(e.After)
		}
	}
	return after, nil
}

// changes derives what to ask for from the recorded edits of some files: images
// by what runs or by what the base names; remote bases by their URLs where they
// are named, else they follow.
func (c commit) changes(files map[string][]byte, named, byBase bool) (changes []overlay.Change, refs bool, err error) {
	byName := map[string]int{}
	add := func(kind overlay.Kind, name, version, digest string) error {
		i, ok := byName[string(kind)+name]
		if !ok {
			i = len(changes)
			byName[string(kind)+name] = i
			changes = append(changes, overlay.Change{Kind: kind, Name: name})
		}
		for _, p := range []struct {
			have *string
			want string
		}{{&changes[i].Version, version}, {&changes[i].Digest, digest}} {
			if *p.have != "" && p.want != "" && *p.have != p.want {
				return fmt.Errorf("%s moves to %s and to %s", name, *p.have, p.want)
			}
			*p.have = cmp.Or(*p.have, p.want)
		}
		return nil
	}
	for _, e := range c.Edits {
		data, ok := files[e.File]
		if !ok {
			continue
		}
		name := cmp.Or(e.NewName, e.Name)
		if byBase {
			name = e.Name
		}
		switch e.Kind {
		case "newTag":
			err = add(overlay.KindImage, name, e.New, "")
		case "digest":
			err = add(overlay.KindImage, name, "", e.New)
		case "ref":
			if refs = !named; !named {
				continue
			}
			for _, url := range urlsAt(data, e.Old) {
				err = errors.Join(err, add(overlay.KindRevision, url, e.New, ""))
			}
		}
		if err != nil {
			return nil, false, err
		}
	}
	return changes, refs, nil
}

// urlsAt are the URLs of a file that name a revision.
func urlsAt(data []byte, revision string) (urls []string) {
	for _, word := range strings.Fields(string(data)) {
		word = strings.Trim(word, `"',[]`)
		for _, key := range []string{"ref=", "version="} {
			if url, query, ok := strings.Cut(word, "?"); ok && slices.Contains(strings.Split(query, "&"), key+revision) {
				urls = append(urls, url)
			}
		}
	}
	return urls
}

func readCommits(t *testing.T, name string) (commits []commit) {
	t.Helper()
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("TAGBOAT_REAL_BUMPS") == "" {
		t.Skipf("%s is not beside this checkout, so there are no recorded bumps to reproduce", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for lines.Scan() {
		var c commit
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		commits = append(commits, c)
	}
	return commits
}
