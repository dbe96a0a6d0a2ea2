package github_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
)

func TestCommitsBetweenTwo(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	base, err := w.repo.Branch(ctx, "main")
	w.must(err)
	var made []string
	for i := 1; i <= 103; i++ {
		parent := base
		if len(made) > 0 {
			parent = made[len(made)-1]
		}
		request := bump(parent, fmt.Sprint(i))
		request.Message = fmt.Sprintf("Change %d\n\nand why", i)
		sha, err := w.repo.Commit(ctx, request)
		w.must(err)
		made = append(made, sha)
	}
	head := made[len(made)-1]
	titles := func(c github.Comparison) (all []string) {
		for _, found := range c.Newest {
			all = append(all, found.Title)
		}
		return all
	}

	c, err := w.repo.Compare(ctx, base, head, 5)
	w.must(err)
	if c.Ahead != 103 || c.Behind != 0 || !strings.Contains(c.URL, "/acme/env/compare/"+base) {
		t.Errorf("%d ahead, %d behind, %s", c.Ahead, c.Behind, c.URL)
	}
	if got := fmt.Sprint(titles(c)); got != "[Change 103 Change 102 Change 101 Change 100 Change 99]" {
		t.Errorf("the newest, over two pages: %s", got)
	}
	if got := c.Newest[0]; got.SHA != head || got.Author != "tagboat[bot]" || !strings.HasSuffix(got.URL, "/acme/env/commit/"+head) {
		t.Errorf("%+v", got)
	}
	if c, err := w.repo.Compare(ctx, base, made[1], 5); err != nil || fmt.Sprint(titles(c)) != "[Change 2 Change 1]" {
		t.Errorf("two commits: %+v, %v", c, err)
	}
	if c, err := w.repo.Compare(ctx, head, base, 5); err != nil || c.Ahead != 0 || c.Behind != 103 || len(c.Newest) != 0 {
		t.Errorf("back: %+v, %v", c, err)
	}
	if c, err := w.repo.Compare(ctx, head, head, 5); err != nil || c.Ahead != 0 || c.Behind != 0 {
		t.Errorf("the same: %+v, %v", c, err)
	}
	_, err = w.repo.Compare(ctx, strings.Repeat("1", 40), head, 5)
	w.wantKind(err, fault.NotFound)
	w.sim.Inject(githubsim.Fault{Route: "GET /repos/{owner}/{repo}/compare/{basehead}", Times: 1, Status: 502})
	_, err = w.repo.Compare(ctx, base, head, 5)
	w.wantKind(err, fault.Transient)
}
