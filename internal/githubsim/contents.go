package githubsim

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/filemode"
	gitobj "github.com/go-git/go-git/v5/plumbing/object"
)

// commitFor resolves a ref of a path or query, "" being the default branch.
func (c *call) commitFor(ref string) (string, error) {
	if ref == "" {
		ref = c.repo.defaultBranch
	}
	sha, ok := c.repo.git.resolve(ref)
	if !ok {
		return "", failf(http.StatusUnprocessableEntity, "No commit found for SHA: %s", ref)
	}
	return sha, nil
}

func (s *Server) getContents(c *call) (any, error) {
	ref := c.query("ref")
	sha, err := c.commitFor(ref)
	if err != nil {
		return nil, failf(http.StatusNotFound, "No commit found for the ref %s", ref)
	}
	name := strings.Trim(c.vars["path"], "/")
	entry, err := c.repo.git.find(sha, name)
	if err != nil {
		return nil, errNotFound
	}
	if ref == "" {
		ref = c.repo.defaultBranch
	}
	if entry.Mode == filemode.Dir {
		return s.directory(c.repo, ref, name, entry.Hash.String())
	}
	content, err := c.repo.git.readBlob(entry.Hash.String())
	if err != nil {
		return nil, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		return reply{status: http.StatusOK, body: content, header: http.Header{"Content-Type": {"application/vnd.github.raw; charset=utf-8"}}}, nil
	}
	o := s.contentObject(c.repo, ref, name, *entry)
	o["size"], o["encoding"], o["content"] = len(content), "base64", base64Lines(content)
	return o, nil
}

func (s *Server) directory(r *repo, ref, dir, tree string) (any, error) {
	t, err := r.git.readTree(tree)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, e := range t.Entries {
		o := s.contentObject(r, ref, path.Join(dir, e.Name), e)
		if size, err := t.Size(e.Name); err == nil {
			o["size"] = size
		}
		out = append(out, o)
	}
	return out, nil // GitHub does not paginate directories
}

// contentObject is the common part of content-file and content-directory.
func (s *Server) contentObject(r *repo, ref, name string, e gitobj.TreeEntry) object {
	escaped := (&url.URL{Path: name}).EscapedPath()
	self := s.api(r, "contents/%s?ref=%s", escaped, url.QueryEscape(ref))
	kind, git, html := "file", s.api(r, "git/blobs/%s", e.Hash), s.html(r, "blob/%s/%s", ref, escaped)
	var download any = s.html(r, "raw/%s/%s", ref, escaped)
	switch e.Mode {
	case filemode.Dir:
		kind, git, html, download = "dir", s.api(r, "git/trees/%s", e.Hash), s.html(r, "tree/%s/%s", ref, escaped), nil
	case filemode.Symlink:
		kind = "symlink"
	case filemode.Submodule:
		kind = "submodule"
	}
	return object{
		"type": kind, "size": 0, "name": path.Base(name), "path": name, "sha": e.Hash.String(), "url": self,
		"git_url": git, "html_url": html, "download_url": download,
		"_links": object{"self": self, "git": git, "html": html},
	}
}

// putContents creates or replaces one file.
func (s *Server) putContents(c *call) (any, error) {
	var in struct {
		Message   string       `json:"message"`
		Content   *string      `json:"content"`
		SHA       string       `json:"sha"`
		Branch    string       `json:"branch"`
		Author    *newIdentity `json:"author"`
		Committer *newIdentity `json:"committer"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Content == nil || in.Message == "" {
		return nil, fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"content\" and \"message\" were not supplied.")
	}
	content, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(*in.Content, "\n", ""))
	if err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "content is not valid Base64")
	}
	if in.Branch == "" {
		in.Branch = c.repo.defaultBranch
	}
	ref := "refs/heads/" + in.Branch
	tip, ok := c.repo.git.refs[ref]
	if !ok {
		return nil, failf(http.StatusNotFound, "Branch %s not found", in.Branch)
	}
	name := strings.Trim(c.vars["path"], "/")
	if hasDotSegment(name) {
		return nil, fail(http.StatusUnprocessableEntity, "path contains a malformed path component")
	}
	old, err := c.repo.git.find(tip, name)
	switch {
	case err == nil && in.SHA == "":
		return nil, fail(http.StatusUnprocessableEntity, "Invalid request.\n\n\"sha\" wasn't supplied.")
	case (err == nil && in.SHA != old.Hash.String()) || (err != nil && in.SHA != ""):
		return nil, failf(http.StatusConflict, "%s does not match %s", name, in.SHA)
	}
	sha, err := s.commitFiles(c, tip, in.Message, map[string]treeEdit{name: {content: content}}, in.Author, in.Committer)
	if err != nil {
		return nil, err
	}
	if err := s.move(c, refUpdate{ref, tip, sha}); err != nil {
		return nil, err
	}
	entry, err := c.repo.git.find(sha, name)
	if err != nil {
		return nil, err
	}
	commit, err := s.gitCommit(c.repo, sha)
	if err != nil {
		return nil, err
	}
	o := s.contentObject(c.repo, in.Branch, name, *entry)
	o["size"] = len(content)
	status := http.StatusCreated
	if old != nil {
		status = http.StatusOK
	}
	return reply{status: status, body: object{"content": o, "commit": commit}}, nil
}

// commitFiles commits edits on top of a commit as the web flow does: signed
// unless the caller names an author.
func (s *Server) commitFiles(c *call, tip, message string, edits map[string]treeEdit, author, committer *newIdentity) (string, error) {
	parent, err := s.commitOf(c.repo, tip)
	if err != nil {
		return "", err
	}
	tree, err := c.repo.git.editTree(parent.TreeHash.String(), edits)
	if err != nil {
		return "", err
	}
	by := author.or(s.identityOf(c.actor.account()))
	sha, err := c.repo.git.commit(commitSpec{tree: tree, parents: []string{tip}, message: message, author: by, committer: committer.or(s.webFlow())})
	if err == nil && author == nil && committer == nil {
		c.repo.verified[sha] = true
	}
	return sha, err
}

func (s *Server) getCommit(c *call) (any, error) {
	sha, err := c.commitFor(c.vars["ref"])
	if err != nil {
		return nil, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), ".sha") {
		return reply{status: http.StatusOK, body: []byte(sha), header: http.Header{"Content-Type": {"application/vnd.github.sha; charset=utf-8"}}}, nil
	}
	o, err := s.commitObject(c.repo, sha)
	if err != nil {
		return nil, err
	}
	commit, err := s.commitOf(c.repo, sha)
	if err != nil {
		return nil, err
	}
	base := emptyTree
	if len(commit.ParentHashes) > 0 {
		base = commit.ParentHashes[0].String()
	}
	diff, err := c.repo.git.git("-c", "core.quotePath=false", "diff", "--no-color", "--full-index", "-M", base, sha)
	if err != nil {
		return nil, err
	}
	files := parseDiff(diff)
	additions, deletions := 0, 0
	for _, f := range files {
		additions, deletions = additions+f.additions, deletions+f.deletions
	}
	o["files"] = s.fileObjects(c.repo, sha, files)
	o["stats"] = object{"additions": additions, "deletions": deletions, "total": additions + deletions}
	return o, nil
}

func (s *Server) listCommits(c *call) (any, error) {
	ref := c.query("sha")
	sha, err := c.commitFor(ref)
	if err != nil {
		return nil, errNotFound
	}
	args := []string{"rev-list", "--topo-order", "--max-count=1000", sha}
	if name := c.query("path"); name != "" {
		args = append(args, "--", name)
	}
	out, err := c.repo.git.git(args...)
	if err != nil {
		return nil, err
	}
	objects, err := s.commitObjects(c.repo, strings.Fields(out))
	return list(objects), err
}

func (s *Server) commitPulls(c *call) (any, error) {
	sha, err := c.commitFor(c.vars["sha"])
	if err != nil {
		return nil, err
	}
	found := list{}
	for _, i := range c.repo.issues {
		if i.pull == nil {
			continue
		}
		compared, err := s.comparisonOf(c.repo, i.pull.baseSHA, i.pull.headSHA)
		if err != nil {
			return nil, err
		}
		if i.pull.mergeSHA == sha || slices.Contains(compared.commits, sha) {
			found = append(found, s.pullSimple(c.repo, i))
		}
	}
	return found, nil
}

func (s *Server) getCompare(c *call) (any, error) {
	from, to, ok := strings.Cut(c.vars["basehead"], "...")
	base, okBase := c.repo.git.resolve(from)
	head, okHead := c.repo.git.resolve(to)
	if !ok || !okBase || !okHead {
		return nil, errNotFound
	}
	d, err := s.comparisonOf(c.repo, base, head)
	if err != nil {
		return nil, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), ".diff") {
		return reply{status: http.StatusOK, body: []byte(d.diff), header: http.Header{"Content-Type": {"application/vnd.github.diff; charset=utf-8"}}}, nil
	}
	baseCommit, err := s.commitObject(c.repo, base)
	if err != nil {
		return nil, err
	}
	mergeBase, err := s.commitObject(c.repo, d.mergeBase)
	if err != nil {
		return nil, failf(http.StatusNotFound, "No common ancestor between %s and %s.", from, to)
	}
	commits, err := s.commitObjects(c.repo, d.commits)
	if err != nil {
		return nil, err
	}
	status := "identical"
	switch {
	case d.ahead > 0 && d.behind > 0:
		status = "diverged"
	case d.ahead > 0:
		status = "ahead"
	case d.behind > 0:
		status = "behind"
	}
	files := d.files
	if n, _ := strconv.Atoi(c.query("page")); n > 1 {
		files = nil // they are on the first page only
	}
	html := s.html(c.repo, "compare/%s...%s", from, to)
	rest := object{
		"url": s.api(c.repo, "compare/%s...%s", from, to), "html_url": html, "permalink_url": html,
		"diff_url": html + ".diff", "patch_url": html + ".patch", "base_commit": baseCommit, "merge_base_commit": mergeBase,
		"status": status, "ahead_by": d.ahead, "behind_by": d.behind, "total_commits": d.ahead,
		"files": s.fileObjects(c.repo, head, files),
	}
	return wrapped{key: "commits", items: commits, rest: rest}, nil
}

func (s *Server) listBranches(c *call) (any, error) {
	names := []string{}
	for ref := range c.repo.git.refs {
		if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return list(collect(names, func(name string) object {
		sha := c.repo.git.refs["refs/heads/"+name]
		_, protected := c.repo.protection(name)
		return object{"name": name, "protected": protected, "commit": object{"sha": sha, "url": s.api(c.repo, "commits/%s", sha)}}
	})), nil
}

func (s *Server) getBranch(c *call) (any, error) {
	name := c.vars["branch"]
	sha, ok := c.repo.git.refs["refs/heads/"+name]
	if !ok {
		return nil, fail(http.StatusNotFound, "Branch not found")
	}
	commit, err := s.commitObject(c.repo, sha)
	if err != nil {
		return nil, err
	}
	p, protected := c.repo.protection(name)
	contexts, checks, level := []string{}, []object{}, "off"
	for _, need := range p.RequiredChecks {
		contexts, level = append(contexts, need.Context), "non_admins"
		checks = append(checks, object{"context": need.Context, "app_id": orNull(need.AppID)})
	}
	self := s.api(c.repo, "branches/%s", name)
	return object{
		"name": name, "commit": commit, "protected": protected, "protection_url": self + "/protection",
		"_links": object{"self": self, "html": s.html(c.repo, "tree/%s", name)},
		"protection": object{"enabled": protected, "required_status_checks": object{
			"enforcement_level": level, "contexts": contexts, "checks": checks,
		}},
	}, nil
}
