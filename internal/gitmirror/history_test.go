package gitmirror

import (
	"context"
	"fmt"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
)

// A mirror holds one commit where it began; what lies before is asked for when it is
// wanted.
func TestTheLineOfABranch(t *testing.T) {
	s := newServer(t)
	var commits []string
	for i := range 4 {
		s.write("a.txt", fmt.Sprint(i))
		commits = append(commits, s.commit("main", fmt.Sprintf("release %d\n\nwith a body", i)))
	}
	m := s.mirror()
	s.at(m, commits[3])
	line, err := m.Line(context.Background(), commits[0], commits[3], 10)
	if err != nil || len(line) != 3 {
		t.Fatalf("%d commits, %v", len(line), err)
	}
	for i, c := range line {
		if c.SHA != commits[i+1] || c.Subject != fmt.Sprintf("release %d", i+1) || len(c.Parents) != 1 || c.Parents[0] != commits[i] || c.Author == "" {
			t.Errorf("commit %d is %+v", i+1, c)
		}
	}
	if line, err := m.Line(context.Background(), commits[3], commits[3], 10); err != nil || len(line) != 0 {
		t.Errorf("from a commit to itself there are %d commits, %v", len(line), err)
	}
	if _, err := m.Line(context.Background(), commits[0], commits[3], 2); !fault.Is(err, fault.NotFound) {
		t.Errorf("three commits, and two are enough: %v", err)
	}
	if _, err := m.Line(context.Background(), commits[3], commits[1], 10); !fault.Is(err, fault.NotFound) {
		t.Errorf("a branch that was taken back does not lead on: %v", err)
	}
}
