package githubsim

import (
	"strconv"
	"strings"

	gitobj "github.com/go-git/go-git/v5/plumbing/object"
)

// fileDiff is one changed file between two commits.
type fileDiff struct {
	path, previous       string
	status               string // added, removed, modified, renamed
	sha                  string // of the blob after the change, before it if removed
	additions, deletions int
	patch                string // hunks only; empty for a binary file
}

// comparison is what lies between two commits, as `base...head`.
type comparison struct {
	mergeBase     string
	ahead, behind int
	commits       []string // oldest first, those of head that base has not
	files         []fileDiff
	diff          string // unified, whole
}

// compare looks from the merge base of two commits to head.
func (g *gitstore) compare(base, head string) (*comparison, error) {
	c := &comparison{}
	out, err := g.git("merge-base", base, head)
	if err != nil && exitCode(err) != 1 {
		return nil, err
	}
	c.mergeBase = strings.TrimSpace(out)
	if c.mergeBase == "" {
		c.mergeBase = emptyTree
	}
	if out, err = g.git("rev-list", "--reverse", "--topo-order", base+".."+head); err != nil {
		return nil, err
	}
	c.commits = strings.Fields(out)
	c.ahead = len(c.commits)
	if out, err = g.git("rev-list", "--count", head+".."+base); err != nil {
		return nil, err
	}
	c.behind, _ = strconv.Atoi(strings.TrimSpace(out))
	if c.diff, err = g.git("-c", "core.quotePath=false", "diff", "--no-color", "--no-ext-diff", "--full-index", "-M", c.mergeBase, head); err != nil {
		return nil, err
	}
	c.files = parseDiff(c.diff)
	return c, nil
}

// parseDiff splits git's unified diff into files.
func parseDiff(diff string) []fileDiff {
	var files []fileDiff
	for _, part := range strings.Split("\n"+diff, "\ndiff --git ")[1:] {
		files = append(files, parseFileDiff(part))
	}
	return files
}

func parseFileDiff(part string) fileDiff {
	f := fileDiff{status: "modified"}
	lines := strings.Split(strings.TrimSuffix(part, "\n"), "\n")
	// "a/X b/X": both halves are equal unless the file was renamed.
	if half := (len(lines[0]) - 1) / 2; half > 2 {
		f.path = strings.TrimPrefix(lines[0][half+1:], "b/")
	}
	for i, line := range lines[1:] {
		switch {
		case strings.HasPrefix(line, "@@"):
			f.countHunks(lines[i+1:])
			return f
		case strings.HasPrefix(line, "new file mode"):
			f.status = "added"
		case strings.HasPrefix(line, "deleted file mode"):
			f.status = "removed"
		case strings.HasPrefix(line, "rename from "):
			f.status, f.previous = "renamed", strings.TrimPrefix(line, "rename from ")
		case strings.HasPrefix(line, "rename to "):
			f.path = strings.TrimPrefix(line, "rename to ")
		case strings.HasPrefix(line, "index "):
			f.sha = blobOf(line)
		}
	}
	return f
}

// blobOf reads the blob after the change, or before it if it is gone, from
// "index old..new mode".
func blobOf(line string) string {
	shas, _, _ := strings.Cut(strings.TrimPrefix(line, "index "), " ")
	before, after, _ := strings.Cut(shas, "..")
	if after == zeroSHA {
		return before
	}
	return after
}

func (f *fileDiff) countHunks(lines []string) {
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "+"):
			f.additions++
		case strings.HasPrefix(line, "-"):
			f.deletions++
		}
	}
	f.patch = strings.Join(lines, "\n")
}

// mergeTree merges head into base and returns the tree, or ok=false when they
// conflict.
func (g *gitstore) mergeTree(base, head string) (tree string, ok bool, err error) {
	out, err := g.git("merge-tree", "--write-tree", "--allow-unrelated-histories", base, head)
	if exitCode(err) == 1 {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return strings.TrimSpace(out), true, nil
}

// replay applies the change of one commit on top of another and returns the
// tree: a cherry-pick without a checkout. merge-tree takes the merge base
// from history, so onto's tree is first given the commit's parent as parent.
func (g *gitstore) replay(c *gitobj.Commit, onto string) (tree string, ok bool, err error) {
	if len(c.ParentHashes) == 0 {
		return "", false, nil
	}
	top, err := g.readCommit(onto)
	if err != nil {
		return "", false, err
	}
	who := identity{c.Author.Name, c.Author.Email, c.Author.When}
	stand, err := g.commit(commitSpec{
		tree: top.TreeHash.String(), parents: []string{c.ParentHashes[0].String()},
		message: "base of a replay", author: who, committer: who,
	})
	if err != nil {
		return "", false, err
	}
	return g.mergeTree(stand, c.Hash.String())
}

// isAncestor reports whether old is reachable from sha.
func (g *gitstore) isAncestor(old, sha string) (bool, error) {
	_, err := g.git("merge-base", "--is-ancestor", old, sha)
	if exitCode(err) == 1 {
		return false, nil
	}
	return err == nil, err
}

// newCommits lists the commits of sha that not has not, oldest first.
func (g *gitstore) newCommits(sha string, not ...string) ([]string, error) {
	args := []string{"rev-list", "--reverse", "--topo-order", sha, "--not"}
	out, err := g.git(append(args, not...)...)
	return strings.Fields(out), err
}
