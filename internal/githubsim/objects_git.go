package githubsim

import (
	"fmt"
	"net/url"
	"strings"

	gitobj "github.com/go-git/go-git/v5/plumbing/object"
)

// webFlow is who commits when GitHub itself does.
func (s *Server) webFlow() identity {
	return identity{"GitHub", "noreply@github.com", s.now()}
}

// identityOf is how an account's commits are written.
func (s *Server) identityOf(a *account) identity {
	name := a.name
	if name == "" || a.kind == "Bot" {
		name = a.login
	}
	return identity{name, fmt.Sprintf("%d+%s@users.noreply.github.com", a.id, a.login), s.now()}
}

// byEmail finds the account of a commit email that identityOf made.
func (s *Server) byEmail(email string) *account {
	local, ok := strings.CutSuffix(email, "@users.noreply.github.com")
	if !ok {
		return nil
	}
	_, login, _ := strings.Cut(local, "+")
	return s.account(login)
}

func signatureObject(g gitobj.Signature) object {
	return object{"name": g.Name, "email": g.Email, "date": g.When.UTC().Format("2006-01-02T15:04:05Z")}
}

func (s *Server) verification(r *repo, c *gitobj.Commit) object {
	if !r.verified[c.Hash.String()] {
		return object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil}
	}
	return object{
		"verified": true, "reason": "valid", "verified_at": stamp(c.Committer.When), "payload": "tree " + c.TreeHash.String() + "\n",
		"signature": "-----BEGIN PGP SIGNATURE-----\n\n" + c.Hash.String() + "\n-----END PGP SIGNATURE-----\n",
	}
}

// commitOf reads a commit, remembering it: commits never change.
func (s *Server) commitOf(r *repo, sha string) (*gitobj.Commit, error) {
	key := "commit " + r.fullName() + " " + sha
	if c, ok := s.cache[key].(*gitobj.Commit); ok {
		return c, nil
	}
	c, err := r.git.readCommit(sha)
	if err != nil {
		return nil, errNotFound
	}
	s.cache[key] = c
	return c, nil
}

// gitCommit is git-commit.
func (s *Server) gitCommit(r *repo, sha string) (object, error) {
	c, err := s.commitOf(r, sha)
	if err != nil {
		return nil, err
	}
	parents := []any{}
	for _, p := range c.ParentHashes {
		parents = append(parents, object{"sha": p.String(), "url": s.api(r, "git/commits/%s", p), "html_url": s.html(r, "commit/%s", p)})
	}
	tree := c.TreeHash.String()
	return object{
		"sha": sha, "node_id": nodeID("Commit "+sha, r.id), "url": s.api(r, "git/commits/%s", sha),
		"html_url": s.html(r, "commit/%s", sha), "author": signatureObject(c.Author), "committer": signatureObject(c.Committer),
		"message": c.Message, "tree": object{"sha": tree, "url": s.api(r, "git/trees/%s", tree)},
		"parents": parents, "verification": s.verification(r, c),
	}, nil
}

// commitObject is commit, as the commits, compare and pulls APIs show it.
func (s *Server) commitObject(r *repo, sha string) (object, error) {
	g, err := s.gitCommit(r, sha)
	if err != nil {
		return nil, err
	}
	c, err := s.commitOf(r, sha)
	if err != nil {
		return nil, err
	}
	self := s.api(r, "commits/%s", sha)
	inner := object{"comment_count": 0, "url": g["url"]}
	for _, name := range []string{"author", "committer", "message", "tree", "verification"} {
		inner[name] = g[name]
	}
	committer := s.userOrNull(s.byEmail(c.Committer.Email))
	parents := []any{}
	for _, p := range c.ParentHashes {
		parents = append(parents, object{"sha": p.String(), "url": s.api(r, "commits/%s", p), "html_url": s.html(r, "commit/%s", p)})
	}
	return object{
		"sha": sha, "node_id": g["node_id"], "url": self, "html_url": g["html_url"], "comments_url": self + "/comments",
		"commit": inner, "author": s.userOrNull(s.byEmail(c.Author.Email)), "committer": committer, "parents": parents,
	}, nil
}

func (s *Server) commitObjects(r *repo, shas []string) ([]any, error) {
	out := []any{}
	for _, sha := range shas {
		o, err := s.commitObject(r, sha)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// simpleCommit is simple-commit, and with its extras the commit of a push.
func (s *Server) simpleCommit(r *repo, sha string) (object, error) {
	c, err := s.commitOf(r, sha)
	if err != nil {
		return nil, err
	}
	who := func(g gitobj.Signature) object {
		o := object{"name": g.Name, "email": g.Email, "date": stamp(g.When)}
		if a := s.byEmail(g.Email); a != nil {
			o["username"] = a.login
		}
		return o
	}
	return object{
		"id": sha, "tree_id": c.TreeHash.String(), "message": c.Message, "timestamp": stamp(c.Committer.When),
		"author": who(c.Author), "committer": who(c.Committer), "distinct": true, "url": s.html(r, "commit/%s", sha),
	}, nil
}

// pushedCommit adds the names of the changed files.
func (s *Server) pushedCommit(r *repo, sha string) (object, error) {
	key := "pushed " + r.fullName() + " " + sha
	if o, ok := s.cache[key].(object); ok {
		return o, nil
	}
	o, err := s.simpleCommit(r, sha)
	if err != nil {
		return nil, err
	}
	added, removed, modified := []string{}, []string{}, []string{}
	out, err := r.git.git("-c", "core.quotePath=false", "diff-tree", "--root", "--no-commit-id", "--name-status", "-r", "--no-renames", sha)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		kind, path, _ := strings.Cut(strings.TrimSpace(line), "\t")
		switch kind {
		case "A":
			added = append(added, path)
		case "D":
			removed = append(removed, path)
		default:
			modified = append(modified, path)
		}
	}
	o["added"], o["removed"], o["modified"] = added, removed, modified
	s.cache[key] = o
	return o, nil
}

// comparisonOf is gitstore.compare, remembered.
func (s *Server) comparisonOf(r *repo, base, head string) (*comparison, error) {
	key := "compare " + r.fullName() + " " + base + " " + head
	if c, ok := s.cache[key].(*comparison); ok {
		return c, nil
	}
	c, err := r.git.compare(base, head)
	if err != nil {
		return nil, err
	}
	s.cache[key] = c
	return c, nil
}

// fileObject is diff-entry.
func (s *Server) fileObject(r *repo, head string, f fileDiff) object {
	path := (&url.URL{Path: f.path}).EscapedPath()
	o := object{
		"sha": orNull(f.sha), "filename": f.path, "status": f.status, "additions": f.additions, "deletions": f.deletions,
		"changes": f.additions + f.deletions, "blob_url": s.html(r, "blob/%s/%s", head, path),
		"raw_url": s.html(r, "raw/%s/%s", head, path), "contents_url": s.api(r, "contents/%s?ref=%s", path, head),
	}
	if f.patch != "" {
		o["patch"] = f.patch
	}
	if f.previous != "" {
		o["previous_filename"] = f.previous
	}
	return o
}

func (s *Server) fileObjects(r *repo, head string, files []fileDiff) []any {
	return collect(files, func(f fileDiff) object { return s.fileObject(r, head, f) })
}

// refObject is git-ref.
func (s *Server) refObject(r *repo, ref, sha string) object {
	return object{
		"ref": ref, "node_id": nodeID(ref, r.id), "url": s.api(r, "git/%s", ref),
		"object": object{"type": "commit", "sha": sha, "url": s.api(r, "git/commits/%s", sha)},
	}
}
