package githubsim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PullView is a pull request for pages and assertions. All of it is a copy.
type PullView struct {
	Number           int
	Title, Body      string
	State            string // open, closed
	Merged, Draft    bool
	MergeableState   string // clean, blocked, dirty, …; empty when closed
	Blockers         []string
	HeadRef, HeadSHA string
	BaseRef, BaseSHA string
	MergeCommitSHA   string
	MergedBy         string
	Author           string
	Labels           []string
	Created, Updated time.Time
	Reviews          []ReviewView
	Comments         []CommentView
	Checks           []CheckView  // newest per App and name, on the head
	Statuses         []StatusView // newest per context, on the head
	Deployments      []DeploymentView
	Commits          []Commit
	Files            []string
	Diff             string // unified
}

// ReviewView is a review; State is APPROVED, CHANGES_REQUESTED, COMMENTED or
// DISMISSED.
type ReviewView struct {
	ID                          int64
	Author, State, Body, Commit string
	Submitted                   time.Time
	Dismissal                   string // why, in the words of who dismissed it
}

// CommentView is a comment with who reacted how, as "eyes by tagboat[bot]".
type CommentView struct {
	ID           int64
	Author, Body string
	Created      time.Time
	Updated      time.Time
	Reactions    []ReactionView
}

// ReactionView is one reaction.
type ReactionView struct{ User, Content string }

// CheckView is a check run.
type CheckView struct {
	ID                           int64
	Name, App, Status, Concluded string
	Title, Summary, Text         string
	DetailsURL                   string
	Actions                      []string // identifiers of its buttons
	Annotations                  []any    // as they were sent, all of the run's
}

// StatusView is a commit status.
type StatusView struct{ Context, State, Description, TargetURL, Creator string }

// DeploymentView is a deployment of the head or the merge commit.
type DeploymentView struct {
	ID                    int64
	SHA, Ref, Environment string
	State, Description    string // of the newest status
	Creator               string
}

// IssueView is an issue that is no pull request.
type IssueView struct {
	Number             int
	Title, Body, State string
	Author             string
	Comments           []CommentView
}

// Commit is one commit of a branch.
type Commit struct {
	SHA, Message        string
	Author, AuthorEmail string
	Committer           string
	When                time.Time
	Verified            bool
	Parents             []string
}

// Repos lists the repositories as owner/name.
func (s *Server) Repos() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, r := range s.sortedRepos() {
		names = append(names, r.fullName())
	}
	return names
}

// Users lists the logins of people.
func (s *Server) Users() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var logins []string
	for _, a := range s.accounts {
		if a.kind == "User" {
			logins = append(logins, a.login)
		}
	}
	slices.Sort(logins)
	return logins
}

// Pulls are all pull requests of a repository, oldest first. An unknown
// repository has none.
func (s *Server) Pulls(repo string) []PullView {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repo(repo)
	if r == nil {
		return nil
	}
	var views []PullView
	for _, i := range r.issues {
		if i.pull == nil {
			continue
		}
		v, err := s.view(r, i)
		if err != nil {
			s.log.Error("a pull request could not be shown", "repo", repo, "number", i.number, "err", err)
			continue
		}
		views = append(views, v)
	}
	return views
}

// Pull is one pull request.
func (s *Server) Pull(repo string, number int) (PullView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.knownRepo(repo)
	if err != nil {
		return PullView{}, err
	}
	i := r.pull(number)
	if i == nil {
		return PullView{}, fmt.Errorf("githubsim: %s has no pull request #%d", repo, number)
	}
	return s.view(r, i)
}

// Issues are the issues of a repository that are no pull requests.
func (s *Server) Issues(repo string) []IssueView {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repo(repo)
	if r == nil {
		return nil
	}
	var views []IssueView
	for _, i := range r.issues {
		if i.pull == nil {
			views = append(views, IssueView{i.number, i.title, i.body, i.state, i.author.login, i.commentViews()})
		}
	}
	return views
}

func (i *issue) commentViews() []CommentView {
	var views []CommentView
	for _, c := range i.comments {
		v := CommentView{ID: c.id, Author: c.author.login, Body: c.body, Created: c.created, Updated: c.updated}
		for _, r := range c.reactions {
			v.Reactions = append(v.Reactions, ReactionView{r.user.login, r.content})
		}
		views = append(views, v)
	}
	return views
}

func (s *Server) view(r *repo, i *issue) (PullView, error) {
	p := i.pull
	v := PullView{
		Number: i.number, Title: i.title, Body: i.body, State: i.state, Merged: p.merged, Draft: p.draft,
		HeadRef: p.headRef, HeadSHA: p.headSHA, BaseRef: p.baseRef, BaseSHA: p.baseSHA, MergeCommitSHA: p.mergeSHA,
		Author: i.author.login, Created: i.created, Updated: i.updated, Comments: i.commentViews(),
	}
	if p.mergedBy != nil {
		v.MergedBy = p.mergedBy.login
	}
	if i.state == "open" {
		_, state, err := s.mergeability(r, i)
		if err != nil {
			return v, err
		}
		v.MergeableState = state
		if prot, ok := r.protection(p.baseRef); ok {
			v.Blockers = s.blockers(r, i, prot)
		}
	}
	for _, l := range i.labels {
		v.Labels = append(v.Labels, l.name)
	}
	for _, rv := range p.reviews {
		v.Reviews = append(v.Reviews, ReviewView{rv.id, rv.author.login, rv.state, rv.body, rv.commit, rv.submitted, rv.dismissal})
	}
	d, err := s.pullComparison(r, i)
	if err != nil {
		return v, err
	}
	v.Diff = d.diff
	for _, f := range d.files {
		v.Files = append(v.Files, f.path)
	}
	for _, sha := range d.commits {
		c, err := s.commitView(r, sha)
		if err != nil {
			return v, err
		}
		v.Commits = append(v.Commits, c)
	}
	v.addEvidence(r, p)
	return v, nil
}

// addEvidence fills in what hangs on the commits of the pull request.
func (v *PullView) addEvidence(r *repo, p *pull) {
	v.Checks = r.checkViews(p.headSHA)
	for _, st := range r.latestStatuses(p.headSHA) {
		v.Statuses = append(v.Statuses, StatusView{st.context, st.state, st.description, st.target, st.creator.login})
	}
	for _, d := range r.deployments {
		if d.sha == p.headSHA || (p.mergeSHA != "" && d.sha == p.mergeSHA) {
			v.Deployments = append(v.Deployments, d.view())
		}
	}
}

func (r *repo) checkViews(sha string) []CheckView {
	var views []CheckView
	for _, run := range r.latestRuns(sha) {
		c := CheckView{
			ID: run.id, Name: run.name, App: run.app.Slug, Status: run.status, Concluded: run.conclusion,
			Title: run.output.Title, Summary: run.output.Summary, Text: run.output.Text, DetailsURL: run.details, Annotations: run.output.Annotations,
		}
		for _, a := range run.actions {
			c.Actions = append(c.Actions, a.Identifier)
		}
		views = append(views, c)
	}
	return views
}

func (d *deployment) view() DeploymentView {
	v := DeploymentView{
		ID: d.id, SHA: d.sha, Ref: d.ref, Environment: d.environment, State: d.state(), Creator: d.creator.login,
	}
	if n := len(d.statuses); n > 0 {
		v.Description = d.statuses[n-1].description
	}
	return v
}

// Deployments are all deployments of a repository, oldest first.
func (s *Server) Deployments(repo string) []DeploymentView {
	s.mu.Lock()
	defer s.mu.Unlock()
	var views []DeploymentView
	if r := s.repo(repo); r != nil {
		for _, d := range r.deployments {
			views = append(views, d.view())
		}
	}
	return views
}

// Checks are the newest check runs on a ref, one per App and name.
func (s *Server) Checks(repo, ref string) ([]CheckView, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, sha, err := s.at(repo, ref)
	if err != nil {
		return nil, err
	}
	return r.checkViews(sha), nil
}

// at resolves a ref ("" is the default branch) of a repository.
func (s *Server) at(name, ref string) (*repo, string, error) {
	r, err := s.knownRepo(name)
	if err != nil {
		return nil, "", err
	}
	if ref == "" {
		ref = r.defaultBranch
	}
	sha, ok := r.git.resolve(ref)
	if !ok {
		return nil, "", fmt.Errorf("githubsim: %s has no ref %q", name, ref)
	}
	return r, sha, nil
}

// Head is the commit that a ref of a repository names.
func (s *Server) Head(repo, ref string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, sha, err := s.at(repo, ref)
	return sha, err
}

// File is the content of a file at a ref ("" is the default branch).
func (s *Server) File(repo, ref, path string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, sha, err := s.at(repo, ref)
	if err != nil {
		return nil, err
	}
	entry, err := r.git.find(sha, strings.Trim(path, "/"))
	if err != nil {
		return nil, fmt.Errorf("githubsim: %s has no %s at %s", repo, path, ref)
	}
	return r.git.readBlob(entry.Hash.String())
}

// Files are the paths of all files at a ref.
func (s *Server) Files(repo, ref string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, sha, err := s.at(repo, ref)
	if err != nil {
		return nil, err
	}
	out, err := r.git.git("ls-tree", "-r", "-z", "--name-only", sha)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.Trim(out, "\x00"), "\x00"), nil
}

// Log are the commits of a ref along first parents, newest first.
func (s *Server) Log(repo, ref string) ([]Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, sha, err := s.at(repo, ref)
	if err != nil {
		return nil, err
	}
	out, err := r.git.git("rev-list", "--first-parent", sha)
	if err != nil {
		return nil, err
	}
	var commits []Commit
	for _, sha := range strings.Fields(out) {
		c, err := s.commitView(r, sha)
		if err != nil {
			return nil, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}

func (s *Server) commitView(r *repo, sha string) (Commit, error) {
	c, err := s.commitOf(r, sha)
	if err != nil {
		return Commit{}, err
	}
	v := Commit{
		SHA: sha, Message: c.Message, Author: c.Author.Name, AuthorEmail: c.Author.Email, Committer: c.Committer.Name,
		When: c.Committer.When, Verified: r.verified[sha],
	}
	for _, p := range c.ParentHashes {
		v.Parents = append(v.Parents, p.String())
	}
	return v, nil
}
