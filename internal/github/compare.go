package github

import (
	"context"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/fault"
)

// Comparison is what lies between two commits.
type Comparison struct {
	Ahead  int    // commits of the head that the base has not
	Behind int    // commits of the base that the head has not
	URL    string // where people see it
	Newest []ComparedCommit
}

// ComparedCommit is one commit of a comparison.
type ComparedCommit struct {
	SHA, Title string
	Author     string // login, else the name that the commit gives
	URL        string
}

// comparePage is how many commits are read at once. The first page comes with the
// changed files as well, so few pages are better than small ones.
const comparePage = 100

// Compare lists what the commit head has beside base, the newest first and at most
// most of it. Both have to be full commit ids: a branch would give another answer
// tomorrow. NotFound: GitHub knows no such commit, or they have nothing in common.
func (r *Repo) Compare(ctx context.Context, base, head string, most int) (c Comparison, err error) {
	defer r.fail(&err, "compare %.12s with %.12s", base, head)
	page, err := r.comparePage(ctx, base, head, 1)
	if err != nil {
		return c, err
	}
	c = Comparison{Ahead: page.Ahead, Behind: page.Behind, URL: page.URL}
	// Commits come oldest first: the newest are on the last pages.
	for n := (page.Total + comparePage - 1) / comparePage; n >= 1 && len(c.Newest) < most; n-- {
		got := page
		if n > 1 {
			if got, err = r.comparePage(ctx, base, head, n); err != nil {
				return c, err
			}
		}
		if len(got.Commits) == 0 {
			return c, fault.Errorf(fault.Broken, "GitHub lists fewer commits than the %d that it counts", page.Total)
		}
		for i := len(got.Commits) - 1; i >= 0 && len(c.Newest) < most; i-- {
			c.Newest = append(c.Newest, comparedCommit(got.Commits[i]))
		}
	}
	return c, nil
}

// compared is the part of GitHub's answer that is of use; the files are most of it.
type compared struct {
	Ahead   int                    `json:"ahead_by"`
	Behind  int                    `json:"behind_by"`
	Total   int                    `json:"total_commits"`
	URL     string                 `json:"html_url"`
	Commits []*gh.RepositoryCommit `json:"commits"`
}

func (r *Repo) comparePage(ctx context.Context, base, head string, page int) (c compared, err error) {
	_, err = r.client.read(ctx, &c, "repos/%s/%s/compare/%s...%s?per_page=%d&page=%d", r.Owner, r.Name, base, head, comparePage, page)
	return c, err
}

func comparedCommit(c *gh.RepositoryCommit) ComparedCommit {
	title, _, _ := strings.Cut(strings.TrimSpace(c.GetCommit().GetMessage()), "\n")
	author := c.GetAuthor().GetLogin()
	if author == "" {
		author = c.GetCommit().GetAuthor().GetName()
	}
	return ComparedCommit{
		SHA: c.GetSHA(), Title: strings.TrimSpace(title), Author: author, URL: c.GetHTMLURL(),
	}
}
