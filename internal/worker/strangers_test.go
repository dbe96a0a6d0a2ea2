package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

// However much a pull request moves, people get a check that they can read: the same
// once, the first lines, and how many more there are.
func TestStrangersCheckIsBounded(t *testing.T) {
	var f findings
	for i := range 1000 {
		f.moved = append(f.moved, moving{fmt.Sprint(i / 2), fmt.Sprintf("moved %d", i)})
		f.unread = append(f.unread, fmt.Sprintf("unread %d", i%30))
		f.notes = append(f.notes, "noted")
	}
	f.looked, f.compared = 1000, 1000
	run := strangersCheck("head", f)
	if run.Conclusion != "failure" || run.HeadSHA != "head" || run.Name != CheckName {
		t.Errorf("%+v", run)
	}
	for _, want := range []string{"- moved 38\n- and 480 more\n", "- unread 19\n- and 10 more\n", "- noted", "/promote"} {
		if !strings.Contains(run.Summary, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if n := strings.Count(run.Summary, "\n- "); n != 21+21+1 || strings.Contains(run.Summary, "moved 39") {
		t.Errorf("it lists %d lines:\n%s", n, run.Summary)
	}
}

func TestStrangersCheckSaysWhatItRestsOn(t *testing.T) {
	for _, c := range []struct {
		f                findings
		conclusion, says string
	}{
		{findings{}, "success", "nothing that an overlay renders from differs"},
		{findings{looked: 1, compared: 1}, "success", "one overlay was rendered"},
		{findings{looked: 3, compared: 3}, "success", "3 overlays were rendered"},
		{findings{looked: 3, compared: 1, notes: []string{"a"}}, "success", "of 3 overlays that it may change, 1 could be rendered"},
		{findings{looked: 3, compared: 2, unread: []string{"a"}}, "failure", "nobody can tell"},
		{findings{looked: 1, compared: 1, forbidden: []string{"a"}}, "failure", "The rules in force on the base branch"},
	} {
		run := strangersCheck("head", c.f)
		if run.Conclusion != c.conclusion || !strings.Contains(run.Summary, c.says) {
			t.Errorf("%+v: %s, %q; want %s, %q", c.f, run.Conclusion, run.Summary, c.conclusion, c.says)
		}
	}
}

func TestPairsFindTheirTwins(t *testing.T) {
	pair := func(app, file string) envrepo.Pair { return envrepo.Pair{App: app, Env: "prod", File: file} }
	for _, c := range []struct {
		story         string
		before, after []envrepo.Pair
		want          []string
	}{
		{"the same", []envrepo.Pair{pair("a", "1")}, []envrepo.Pair{pair("a", "1")}, []string{"1 1"}},
		{"another file", []envrepo.Pair{pair("a", "1")}, []envrepo.Pair{pair("a", "2")}, []string{"1 2"}},
		{"gone and new", []envrepo.Pair{pair("a", "1")}, []envrepo.Pair{pair("b", "1")}, []string{"1 -", "- 1"}},
		{"a second one", []envrepo.Pair{pair("a", "2")}, []envrepo.Pair{pair("a", "1"), pair("a", "2")}, []string{"2 2", "- 1"}},
		{"the second one gone", []envrepo.Pair{pair("a", "1"), pair("a", "2")}, []envrepo.Pair{pair("a", "1")}, []string{"1 1", "2 -"}},
	} {
		var got []string
		for _, twin := range paired(c.before, c.after) {
			was, is := "-", "-"
			if twin.was != nil {
				was = twin.was.File
			}
			if twin.is != nil {
				is = twin.is.File
			}
			got = append(got, was+" "+is)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.story, diff)
		}
	}
}

// A verdict is written down for good, so nothing that may pass must become one.
func TestWhatACommitIsToBlameFor(t *testing.T) {
	for _, c := range []struct {
		story string
		err   error
		want  bool
	}{
		{"wrong content", fault.Errorf(fault.Invalid, "wrong"), true},
		{"nothing there", fault.Errorf(fault.NotFound, "absent"), true},
		{"a link that leads out", fmt.Errorf("read: %w", &fs.PathError{Op: "read", Path: "a", Err: errors.New("it leads out")}), true},
		{"a disk", fmt.Errorf("read: %w", &fs.PathError{Op: "read", Path: "a", Err: syscall.ENOSPC}), false},
		{"a damaged copy", &fs.PathError{Op: "read", Path: "a", Err: fault.Errorf(fault.Transient, "damaged")}, false},
		{"a limit", fault.Errorf(fault.RateLimited, "later"), false},
		{"a surprise", errors.New("surprise"), false},
	} {
		if got := ofCommit(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.story, got, c.want)
		}
	}
}
