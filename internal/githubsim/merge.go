package githubsim

import (
	"fmt"
	"net/http"
	"strings"
)

// mergeability computes mergeable and mergeable_state of an open pull request.
func (s *Server) mergeability(r *repo, i *issue) (bool, string, error) {
	_, clean, err := s.mergedTree(r, i)
	if err != nil || !clean {
		return false, "dirty", err
	}
	if i.pull.draft {
		return true, "draft", nil
	}
	p, protected := r.protection(i.pull.baseRef)
	if protected && len(s.blockers(r, i, p)) > 0 {
		return true, "blocked", nil
	}
	if protected && p.Strict {
		d, err := s.pullComparison(r, i)
		if err != nil {
			return false, "unknown", err
		}
		if d.behind > 0 {
			return true, "behind", nil
		}
	}
	if r.unstable(i.pull.headSHA) {
		return true, "unstable", nil
	}
	return true, "clean", nil
}

// unstable reports whether any check or status on sha is not green.
func (r *repo) unstable(sha string) bool {
	for _, run := range r.latestRuns(sha) {
		if run.verdict() != "" {
			return true
		}
	}
	for _, st := range r.latestStatuses(sha) {
		if st.verdict() != "" {
			return true
		}
	}
	return false
}

type mergedTree struct {
	tree  string
	clean bool
}

// mergedTree merges head into base, remembering the outcome.
func (s *Server) mergedTree(r *repo, i *issue) (string, bool, error) {
	base := r.git.refs["refs/heads/"+i.pull.baseRef]
	key := "merge " + r.fullName() + " " + base + " " + i.pull.headSHA
	if m, ok := s.cache[key].(mergedTree); ok {
		return m.tree, m.clean, nil
	}
	tree, clean, err := r.git.mergeTree(base, i.pull.headSHA)
	if err != nil {
		return "", false, err
	}
	s.cache[key] = mergedTree{tree, clean}
	return tree, clean, nil
}

type mergeRequest struct {
	CommitTitle   string `json:"commit_title"`
	CommitMessage string `json:"commit_message"`
	SHA           string `json:"sha"`
	MergeMethod   string `json:"merge_method"`
}

// mergePull is PUT /repos/{owner}/{repo}/pulls/{number}/merge.
func (s *Server) mergePull(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	in := mergeRequest{MergeMethod: "merge"}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := s.mayMerge(c, i, in); err != nil {
		return nil, err
	}
	tree, clean, err := s.mergedTree(c.repo, i)
	if err != nil {
		return nil, err
	}
	if !clean {
		return nil, fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	sha, err := s.mergeCommit(c, i, in, tree)
	if err != nil {
		return nil, err
	}
	ref := "refs/heads/" + i.pull.baseRef
	base := c.repo.git.refs[ref]
	i.pull.baseSHA = base
	if err := c.repo.git.updateRef(ref, sha, base); err != nil {
		return nil, err
	}
	if err := s.finishMerge(c.repo, i, c.actor, sha); err != nil {
		return nil, err
	}
	if err := s.receive(c.repo, c.actor, []refUpdate{{ref, base, sha}}); err != nil {
		return nil, err
	}
	return object{"sha": sha, "merged": true, "message": "Pull Request successfully merged"}, nil
}

// mayMerge refuses with GitHub's statuses: 405 for policy, 409 for a head
// that moved, 422 for nonsense.
func (s *Server) mayMerge(c *call, i *issue, in mergeRequest) error {
	refuse := func(why string) error { return fail(http.StatusMethodNotAllowed, why) }
	switch {
	case in.MergeMethod != "merge" && in.MergeMethod != "squash" && in.MergeMethod != "rebase":
		return unprocessable("PullRequest", "merge_method", "invalid", "")
	case i.pull.merged || i.state != "open":
		return refuse("Pull Request is not mergeable")
	case in.SHA != "" && in.SHA != i.pull.headSHA:
		return fail(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	case i.pull.draft:
		return refuse("Pull Request is still a draft")
	}
	p, protected := c.repo.protection(i.pull.baseRef)
	if !protected || s.exempt(c.actor, c.repo, p) {
		return nil
	}
	if p.MergeQueue {
		return errQueue
	}
	if why := s.blockers(c.repo, i, p); len(why) > 0 {
		return refuse(strings.Join(why, " "))
	}
	if !p.Strict {
		return nil
	}
	d, err := s.pullComparison(c.repo, i)
	if err != nil {
		return err
	}
	if d.behind > 0 {
		return refuse("The head branch is not up to date with the base branch.")
	}
	return nil
}

// mergeCommit writes the commit that the base branch is to point at.
func (s *Server) mergeCommit(c *call, i *issue, in mergeRequest, tree string) (string, error) {
	base := c.repo.git.refs["refs/heads/"+i.pull.baseRef]
	if in.MergeMethod == "rebase" {
		return s.rebase(c, i, base)
	}
	spec := commitSpec{tree: tree, parents: []string{base}, author: s.identityOf(i.author), committer: s.webFlow()}
	title, message := fmt.Sprintf("%s (#%d)", i.title, i.number), ""
	if in.MergeMethod == "merge" {
		spec.parents = append(spec.parents, i.pull.headSHA)
		spec.author = s.identityOf(c.actor.account())
		title = fmt.Sprintf("Merge pull request #%d from %s/%s", i.number, c.repo.owner.login, i.pull.headRef)
		message = i.title
	}
	if in.CommitTitle != "" {
		title = in.CommitTitle
	}
	if in.CommitMessage != "" {
		message = in.CommitMessage
	}
	spec.message = strings.TrimRight(title+"\n\n"+message, "\n ")
	sha, err := c.repo.git.commit(spec)
	if err == nil {
		c.repo.verified[sha] = true
	}
	return sha, err
}

// rebase replays the commits of the pull request on top of the base branch.
// GitHub does not sign what it rebases.
func (s *Server) rebase(c *call, i *issue, base string) (string, error) {
	d, err := s.pullComparison(c.repo, i)
	if err != nil {
		return "", err
	}
	tip := base
	for _, sha := range d.commits {
		commit, err := s.commitOf(c.repo, sha)
		if err != nil {
			return "", err
		}
		tree, clean, err := c.repo.git.replay(commit, tip)
		if err != nil {
			return "", err
		}
		if !clean {
			return "", fail(http.StatusMethodNotAllowed, "This branch can't be rebased")
		}
		author := identity{commit.Author.Name, commit.Author.Email, commit.Author.When}
		tip, err = c.repo.git.commit(commitSpec{tree: tree, parents: []string{tip}, message: commit.Message, author: author, committer: s.webFlow()})
		if err != nil {
			return "", err
		}
	}
	return tip, nil
}

// finishMerge marks a pull request merged and tells so.
func (s *Server) finishMerge(r *repo, i *issue, who actor, sha string) error {
	p := i.pull
	p.merged, p.mergedBy, p.mergedAt, p.mergeSHA = true, who.account(), s.now(), sha
	return s.closePull(r, i, who)
}

// updateBranch is PUT /repos/{owner}/{repo}/pulls/{number}/update-branch: it
// merges the base branch into the head.
func (s *Server) updateBranch(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	var in struct {
		ExpectedHeadSHA string `json:"expected_head_sha"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	head, base := i.pull.headSHA, c.repo.git.refs["refs/heads/"+i.pull.baseRef]
	if in.ExpectedHeadSHA != "" && in.ExpectedHeadSHA != head {
		return nil, failf(http.StatusUnprocessableEntity, "expected head sha didn’t match current head ref.")
	}
	d, err := s.pullComparison(c.repo, i)
	if err != nil {
		return nil, err
	}
	if d.behind == 0 || i.state != "open" {
		return nil, fail(http.StatusUnprocessableEntity, "There are no new commits on the base branch.")
	}
	if err := s.mergeInto(c, i.pull.headRef, base, fmt.Sprintf("Merge branch '%s' into %s", i.pull.baseRef, i.pull.headRef)); err != nil {
		return nil, err
	}
	return reply{status: http.StatusAccepted, body: object{"message": "Updating pull request branch.", "url": s.html(c.repo, "pull/%d", i.number)}}, nil
}

// mergeInto merges a commit into a branch.
func (s *Server) mergeInto(c *call, branch, sha, message string) error {
	ref := "refs/heads/" + branch
	tip := c.repo.git.refs[ref]
	tree, clean, err := c.repo.git.mergeTree(tip, sha)
	if err != nil {
		return err
	}
	if !clean {
		return fail(http.StatusUnprocessableEntity, "merge conflict between base and head")
	}
	merged, err := c.repo.git.commit(commitSpec{
		tree: tree, parents: []string{tip, sha}, message: message, author: s.identityOf(c.actor.account()), committer: s.webFlow(),
	})
	if err != nil {
		return err
	}
	c.repo.verified[merged] = true
	return s.move(c, refUpdate{ref, tip, merged})
}
