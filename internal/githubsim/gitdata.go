package githubsim

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	gitobj "github.com/go-git/go-git/v5/plumbing/object"
)

// qualified is the full name of a ref that a path names without "refs/".
func qualified(ref string) string { return "refs/" + strings.TrimPrefix(ref, "refs/") }

func (s *Server) getRef(c *call) (any, error) {
	ref := qualified(c.vars["ref"])
	sha, ok := c.repo.git.refs[ref]
	if !ok {
		return nil, errNotFound
	}
	return s.refObject(c.repo, ref, sha), nil
}

func (s *Server) matchingRefs(c *call) (any, error) {
	prefix := qualified(c.vars["ref"])
	found := []string{}
	for ref := range c.repo.git.refs {
		if strings.HasPrefix(ref, prefix) {
			found = append(found, ref)
		}
	}
	sort.Strings(found)
	return list(collect(found, func(ref string) object { return s.refObject(c.repo, ref, c.repo.git.refs[ref]) })), nil
}

var refName = regexp.MustCompile(`^refs/(heads|tags)/[^\s~^:?*\[\\]+$`)

func (s *Server) createRef(c *call) (any, error) {
	var in struct{ Ref, SHA string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if !refName.MatchString(in.Ref) || strings.Contains(in.Ref, "..") || strings.HasSuffix(in.Ref, "/") || strings.HasSuffix(in.Ref, ".lock") {
		return nil, failf(http.StatusUnprocessableEntity, "%s is not a valid ref name.", in.Ref)
	}
	if _, ok := c.repo.git.refs[in.Ref]; ok {
		return nil, fail(http.StatusUnprocessableEntity, "Reference already exists")
	}
	if !c.repo.git.has(in.SHA, plumbing.CommitObject) {
		return nil, fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	if err := s.move(c, refUpdate{in.Ref, zeroSHA, in.SHA}); err != nil {
		return nil, refRefusal(err)
	}
	return created(s.refObject(c.repo, in.Ref, in.SHA)), nil
}

// refRefusal turns git's own refusal (a ref below another ref, say) into
// GitHub's 422.
func refRefusal(err error) error {
	if exitCode(err) > 0 {
		return fail(http.StatusUnprocessableEntity, "Reference update failed")
	}
	return err
}

func (s *Server) patchRef(c *call) (any, error) {
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	ref := qualified(c.vars["ref"])
	old, ok := c.repo.git.refs[ref]
	if !ok {
		return nil, fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	if !c.repo.git.has(in.SHA, plumbing.CommitObject) {
		return nil, fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	if !in.Force {
		forward, err := c.repo.git.isAncestor(old, in.SHA)
		if err != nil {
			return nil, err
		}
		if !forward {
			return nil, fail(http.StatusUnprocessableEntity, "Update is not a fast forward")
		}
	}
	if old != in.SHA {
		if err := s.move(c, refUpdate{ref, old, in.SHA}); err != nil {
			return nil, refRefusal(err)
		}
	}
	return s.refObject(c.repo, ref, in.SHA), nil
}

func (s *Server) deleteRef(c *call) (any, error) {
	ref := qualified(c.vars["ref"])
	old, ok := c.repo.git.refs[ref]
	if !ok {
		return nil, fail(http.StatusUnprocessableEntity, "Reference does not exist")
	}
	if ref == "refs/heads/"+c.repo.defaultBranch {
		return nil, fail(http.StatusUnprocessableEntity, "Cannot delete the default branch")
	}
	if err := s.move(c, refUpdate{ref, old, zeroSHA}); err != nil {
		return nil, refRefusal(err)
	}
	return noContent(), nil
}

func (s *Server) createBlob(c *call) (any, error) {
	var in struct {
		Content  *string
		Encoding string
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Content == nil {
		return nil, unprocessable("Blob", "content", "missing_field", "")
	}
	content := []byte(*in.Content)
	if in.Encoding == "base64" {
		var err error
		if content, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(*in.Content, "\n", "")); err != nil {
			return nil, fail(http.StatusUnprocessableEntity, "content is not valid Base64")
		}
	}
	sha, err := c.repo.git.blob(content)
	if err != nil {
		return nil, err
	}
	return created(object{"sha": sha, "url": s.api(c.repo, "git/blobs/%s", sha)}), nil
}

func (s *Server) getBlob(c *call) (any, error) {
	sha := c.vars["sha"]
	content, err := c.repo.git.readBlob(sha)
	if err != nil {
		return nil, errNotFound
	}
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		return reply{status: http.StatusOK, body: content, header: http.Header{"Content-Type": {"application/octet-stream"}}}, nil
	}
	return object{
		"sha": sha, "node_id": nodeID("Blob "+sha, c.repo.id), "size": len(content), "encoding": "base64",
		"url": s.api(c.repo, "git/blobs/%s", sha), "content": base64Lines(content),
	}, nil
}

// base64Lines wraps at 60 characters, as GitHub does.
func base64Lines(content []byte) string {
	raw := base64.StdEncoding.EncodeToString(content)
	var b strings.Builder
	for len(raw) > 60 {
		b.WriteString(raw[:60] + "\n")
		raw = raw[60:]
	}
	b.WriteString(raw + "\n")
	return b.String()
}

// newTreeEntry keeps the difference between "sha": null, which deletes, and
// an absent sha.
type newTreeEntry struct {
	Path    string  `json:"path"`
	Mode    string  `json:"mode"`
	Type    string  `json:"type"`
	SHA     *string `json:"sha"`
	Content *string `json:"content"`
}

func (s *Server) createTree(c *call) (any, error) {
	var in struct {
		BaseTree string         `json:"base_tree"`
		Tree     []newTreeEntry `json:"tree"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	base := in.BaseTree
	if c.repo.git.has(base, plumbing.CommitObject) { // GitHub takes a commit as well
		commit, err := s.commitOf(c.repo, base)
		if err != nil {
			return nil, err
		}
		base = commit.TreeHash.String()
	}
	if base != "" && !c.repo.git.has(base, plumbing.TreeObject) {
		return nil, fail(http.StatusUnprocessableEntity, "base_tree is not a valid tree")
	}
	if len(in.Tree) == 0 {
		return nil, fail(http.StatusUnprocessableEntity, "Invalid tree info")
	}
	edits := map[string]treeEdit{}
	for _, e := range in.Tree {
		edit, err := c.treeEdit(base, e)
		if err != nil {
			return nil, err
		}
		edits[e.Path] = edit
	}
	sha, err := c.repo.git.editTree(base, edits)
	if err != nil {
		return nil, err
	}
	entries, err := s.treeEntries(c.repo, sha, "", false)
	if err != nil {
		return nil, err
	}
	return created(s.treeObject(c.repo, sha, entries)), nil
}

func (c *call) treeEdit(base string, e newTreeEntry) (treeEdit, error) {
	refuse := func(why string) (treeEdit, error) {
		return treeEdit{}, failf(http.StatusUnprocessableEntity, "tree.%s %s", e.Path, why)
	}
	if e.Path == "" || strings.HasPrefix(e.Path, "/") || strings.Contains(e.Path, "//") || hasDotSegment(e.Path) {
		return refuse("contains a malformed path component")
	}
	mode, err := filemode.New(e.Mode)
	if err != nil || mode == filemode.Empty {
		return refuse("mode is not valid")
	}
	switch {
	case e.Content != nil && e.SHA != nil:
		return refuse("has both content and sha")
	case e.Content != nil:
		return treeEdit{content: []byte(*e.Content), mode: mode}, nil
	case e.SHA == nil:
		if base == "" || !c.repo.git.exists(base, e.Path) {
			return treeEdit{}, fail(http.StatusUnprocessableEntity, "GitRPC::BadObjectState")
		}
		return treeEdit{remove: true}, nil
	}
	kind := plumbing.BlobObject
	if mode == filemode.Dir {
		kind = plumbing.TreeObject
	}
	if mode != filemode.Submodule && !c.repo.git.has(*e.SHA, kind) {
		return refuse("sha is not a valid " + kind.String())
	}
	return treeEdit{sha: *e.SHA, mode: mode}, nil
}

func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." || strings.EqualFold(segment, ".git") {
			return true
		}
	}
	return false
}

func (g *gitstore) exists(tree, path string) bool {
	t, err := g.readTree(tree)
	if err != nil {
		return false
	}
	_, err = t.FindEntry(path)
	return err == nil
}

func (s *Server) treeObject(r *repo, sha string, entries []any) object {
	return object{"sha": sha, "url": s.api(r, "git/trees/%s", sha), "truncated": false, "tree": entries}
}

func (s *Server) treeEntries(r *repo, sha, prefix string, recursive bool) ([]any, error) {
	t, err := r.git.readTree(sha)
	if err != nil {
		return nil, errNotFound
	}
	out := []any{}
	for _, e := range t.Entries {
		out = append(out, s.treeEntry(r, prefix, e))
		if recursive && e.Mode == filemode.Dir {
			inner, err := s.treeEntries(r, e.Hash.String(), prefix+e.Name+"/", true)
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
		}
	}
	return out, nil
}

func (s *Server) treeEntry(r *repo, prefix string, e gitobj.TreeEntry) object {
	o := object{"path": prefix + e.Name, "mode": modeString(e.Mode), "type": "blob", "sha": e.Hash.String(), "url": s.api(r, "git/blobs/%s", e.Hash)}
	switch e.Mode {
	case filemode.Dir:
		o["type"], o["url"] = "tree", s.api(r, "git/trees/%s", e.Hash)
	case filemode.Submodule:
		o["type"] = "commit"
		delete(o, "url")
	default:
		if enc, err := r.git.objs.EncodedObject(plumbing.BlobObject, e.Hash); err == nil {
			o["size"] = enc.Size()
		}
	}
	return o
}

func modeString(m filemode.FileMode) string {
	return strings.Repeat("0", 6-len(strconv.FormatInt(int64(m), 8))) + strconv.FormatInt(int64(m), 8)
}

func (s *Server) getTree(c *call) (any, error) {
	sha := c.vars["sha"]
	if commit, ok := c.repo.git.resolve(sha); ok {
		o, err := s.commitOf(c.repo, commit)
		if err != nil {
			return nil, err
		}
		sha = o.TreeHash.String()
	}
	entries, err := s.treeEntries(c.repo, sha, "", c.query("recursive") != "")
	if err != nil {
		return nil, err
	}
	return s.treeObject(c.repo, sha, entries), nil
}

type newIdentity struct {
	Name, Email string
	Date        *time.Time
}

func (n *newIdentity) or(fallback identity) identity {
	if n == nil {
		return fallback
	}
	id := identity{n.Name, n.Email, fallback.when}
	if n.Date != nil {
		id.when = n.Date.UTC()
	}
	return id
}

// createCommit makes a commit. GitHub signs it only for an App that names
// neither author nor committer.
func (s *Server) createCommit(c *call) (any, error) {
	var in struct {
		Message   string       `json:"message"`
		Tree      string       `json:"tree"`
		Parents   []string     `json:"parents"`
		Author    *newIdentity `json:"author"`
		Committer *newIdentity `json:"committer"`
		Signature string       `json:"signature"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Message) == "" || !utf8.ValidString(in.Message) {
		return nil, unprocessable("Commit", "message", "missing_field", "")
	}
	if !c.repo.git.has(in.Tree, plumbing.TreeObject) {
		return nil, fail(http.StatusUnprocessableEntity, "Tree SHA does not exist")
	}
	for _, p := range in.Parents {
		if !c.repo.git.has(p, plumbing.CommitObject) {
			return nil, fail(http.StatusUnprocessableEntity, "Parent SHA does not exist or is not a commit object")
		}
	}
	signed := c.actor.app != nil && in.Author == nil && in.Committer == nil && in.Signature == ""
	author := in.Author.or(s.identityOf(c.actor.account()))
	committer := in.Committer.or(author)
	if signed {
		committer = s.webFlow()
	}
	sha, err := c.repo.git.commit(commitSpec{tree: in.Tree, parents: in.Parents, message: in.Message, author: author, committer: committer})
	if err != nil {
		return nil, err
	}
	if signed {
		c.repo.verified[sha] = true
	}
	o, err := s.gitCommit(c.repo, sha)
	if err != nil {
		return nil, err
	}
	return created(o), nil
}

func (s *Server) getGitCommit(c *call) (any, error) {
	o, err := s.gitCommit(c.repo, c.vars["sha"])
	if err != nil {
		return nil, err
	}
	return o, nil
}
