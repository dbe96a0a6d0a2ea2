package pages

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/tagboat/tagboat/internal/githubsim"
)

type issuePage struct {
	githubsim.IssueView
	Remarks []remark
}

func (v *visit) showIssues() {
	issues := slices.Clone(v.github.Issues(v.repo))
	slices.Reverse(issues)
	v.show("issues", "issues", "Issues", issues)
}

func (v *visit) issue(n int) (githubsim.IssueView, bool) {
	for _, i := range v.github.Issues(v.repo) {
		if i.Number == n {
			return i, true
		}
	}
	return githubsim.IssueView{}, false
}

func (v *visit) showIssue() {
	number := v.r.PathValue("n")
	n, err := strconv.Atoi(number)
	if err != nil {
		v.missing("There is no issue " + number + ".")
		return
	}
	if i, ok := v.issue(n); ok {
		v.show("issue", "issues", fmt.Sprintf("%s #%d", i.Title, n), issuePage{i, commentRemarks(i.Comments)})
		return
	}
	if _, err := v.github.Pull(v.repo, n); err == nil {
		http.Redirect(v.w, v.r, fmt.Sprintf("/%s/pull/%d", v.repo, n), http.StatusFound)
		return
	}
	v.missing("There is no issue #" + number + ".")
}

func (v *visit) openIssue() {
	number, err := v.person().OpenIssue(v.repo, v.field("title"), v.field("body"))
	v.done(err, fmt.Sprintf("/%s/issues/%d", v.repo, number), v.showIssues)
}

func (v *visit) commentIssue() {
	n, err := strconv.Atoi(v.r.PathValue("n"))
	if err != nil {
		v.missing("There is no issue " + v.r.PathValue("n") + ".")
		return
	}
	id, err := v.person().Comment(v.repo, n, v.field("body"))
	v.done(err, fmt.Sprintf("%s#issuecomment-%d", v.r.URL.Path, id), v.showIssue)
}
