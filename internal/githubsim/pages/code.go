package pages

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// headRef stands for the default branch in an address, as on GitHub.
const headRef = "HEAD"

type repoRow struct {
	Name          string
	Pulls, Issues int // open ones
	Last          githubsim.Commit
}

func (s *site) showRepos(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, 0, "repos", page{Title: "Repositories", Body: s.repoRows("")})
}

// showAccount is the page of a person, an organization or an App.
func (s *site) showAccount(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("owner")
	rows := s.repoRows(name)
	app := strings.HasPrefix(r.URL.Path, "/apps/")
	if !app && len(rows) == 0 && !slices.Contains(s.github.Users(), name) {
		s.missing(w, r, "There is nobody called "+name+".")
		return
	}
	kind := "Repositories of"
	if app {
		kind, rows = "The GitHub App", nil
	}
	s.render(w, r, 0, "account", page{Title: name, Body: struct {
		Kind, Name string
		Rows       []repoRow
	}{kind, name, rows}})
}

// repoRows are the repositories of an owner, or all.
func (s *site) repoRows(owner string) []repoRow {
	var rows []repoRow
	for _, name := range s.github.Repos() {
		if owner != "" && !strings.EqualFold(strings.Split(name, "/")[0], owner) {
			continue
		}
		row := repoRow{Name: name}
		for _, p := range s.github.Pulls(name) {
			if p.State == "open" {
				row.Pulls++
			}
		}
		for _, i := range s.github.Issues(name) {
			if i.State == "open" {
				row.Issues++
			}
		}
		if log, err := s.github.Log(name, ""); err == nil && len(log) > 0 {
			row.Last = log[0]
		}
		rows = append(rows, row)
	}
	return rows
}

// entry is a line of a directory.
type entry struct {
	Name, Path string
	Dir        bool
}

// crumb is a part of a path that leads somewhere.
type crumb struct{ Name, Path string }

type treePage struct {
	Ref     string // as in addresses; headRef for the default branch
	Branch  string // to push to; empty where Ref is a commit
	Path    string
	Crumbs  []crumb
	Entries []entry
	Readme  string
	Log     []githubsim.Commit
	Pulls   []githubsim.PullView // open ones, newest first
	Issues  []githubsim.IssueView
	Content string
	Binary  bool
}

const recent = 10

func (v *visit) showRepo() {
	tree, ok := v.tree(headRef, "")
	if !ok {
		v.missing("This repository has no commit yet.")
		return
	}
	log, _ := v.github.Log(v.repo, "")
	tree.Log = log[:min(len(log), recent)]
	for _, p := range slices.Backward(v.github.Pulls(v.repo)) {
		if p.State == "open" {
			tree.Pulls = append(tree.Pulls, p)
		}
	}
	for _, i := range slices.Backward(v.github.Issues(v.repo)) {
		if i.State == "open" {
			tree.Issues = append(tree.Issues, i)
		}
	}
	v.show("repo", "code", "Code", tree)
}

func (v *visit) showTree() {
	ref, dir := v.splitRef()
	tree, ok := v.tree(ref, dir)
	if !ok {
		v.missing("There is no directory " + dir + " at " + ref + ".")
		return
	}
	v.show("tree", "code", path.Join(v.repo, dir), tree)
}

// tree lists one directory of a ref.
func (v *visit) tree(ref, dir string) (treePage, bool) {
	p := treePage{Ref: ref, Branch: v.branch(ref), Path: dir, Crumbs: crumbs(dir)}
	paths, err := v.github.Files(v.repo, plain(ref))
	if err != nil {
		return p, false
	}
	seen := map[string]bool{}
	for _, file := range paths {
		below, ok := strings.CutPrefix(file, prefix(dir))
		if !ok {
			continue
		}
		name, _, isDir := strings.Cut(below, "/")
		if !seen[name] {
			seen[name] = true
			p.Entries = append(p.Entries, entry{name, path.Join(dir, name), isDir})
		}
	}
	slices.SortFunc(p.Entries, func(a, b entry) int {
		if a.Dir != b.Dir {
			return map[bool]int{true: -1, false: 1}[a.Dir]
		}
		return strings.Compare(a.Name, b.Name)
	})
	if readme, err := v.github.File(v.repo, plain(ref), path.Join(dir, "README.md")); err == nil {
		p.Readme = string(readme)
	}
	return p, len(p.Entries) > 0
}

func (v *visit) showBlob() {
	ref, file := v.splitRef()
	content, err := v.github.File(v.repo, plain(ref), file)
	if err != nil {
		v.missing("There is no file " + file + " at " + ref + ".")
		return
	}
	p := treePage{Ref: ref, Branch: v.branch(ref), Path: file, Crumbs: crumbs(file), Content: string(content)}
	p.Binary = !utf8.Valid(content) || slices.Contains(content, 0)
	v.show("blob", "code", file, p)
}

func (v *visit) showRaw() {
	ref, file := v.splitRef()
	content, err := v.github.File(v.repo, plain(ref), file)
	if err != nil {
		v.missing("There is no file " + file + " at " + ref + ".")
		return
	}
	v.text(content)
}

func (v *visit) text(content []byte) {
	v.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = v.w.Write(content) // the visitor may be gone
}

func (v *visit) showCommits() {
	ref, _ := v.splitRef()
	log, err := v.github.Log(v.repo, plain(ref))
	if err != nil {
		v.missing("There is no branch or commit " + ref + ".")
		return
	}
	v.show("commits", "code", "Commits", struct {
		Ref string
		Log []githubsim.Commit
	}{ref, log})
}

type commitPage struct {
	Commit githubsim.Commit
	Checks []githubsim.CheckView
	Files  []fileDiff
}

func (v *visit) showCommit() {
	sha := v.r.PathValue("sha")
	log, err := v.github.Log(v.repo, sha)
	if err != nil {
		v.missing("There is no commit " + sha + ".")
		return
	}
	p := commitPage{Commit: log[0]}
	if p.Files, err = v.difference(firstParent(log[0]), log[0].SHA); err != nil {
		v.missing("The commit " + sha + " cannot be shown: " + err.Error())
		return
	}
	p.Checks, _ = v.github.Checks(v.repo, log[0].SHA)
	v.show("commit", "code", log[0].Message, p)
}

func (v *visit) showComparison() {
	base, head, _ := strings.Cut(v.r.PathValue("at"), "...")
	files, err := v.difference(plain(base), plain(head))
	if err != nil {
		v.missing("There are no commits to compare at this address: " + err.Error())
		return
	}
	v.show("comparison", "code", base+"..."+head, struct {
		Base, Head string
		Files      []fileDiff
	}{base, head, files})
}

// push commits one file to a branch; a new branch begins at the default branch.
func (v *visit) push() {
	branch := strings.TrimSpace(v.field("branch"))
	file := strings.Trim(strings.TrimSpace(v.field("path")), "/")
	err := v.pushTo(branch)
	if err == nil {
		at := &url.URL{Path: "/" + v.repo + "/blob/" + branch + "/" + file}
		if v.field("content") == "" { // the file is gone
			at.Path = "/" + v.repo + "/commits/" + branch
		}
		http.Redirect(v.w, v.r, at.String(), http.StatusSeeOther)
		return
	}
	show := v.showRepo
	if v.r.PathValue("at") != "" {
		show = v.showBlob
	}
	v.done(err, "", show)
}

func (v *visit) pushTo(branch string) error {
	file := strings.Trim(strings.TrimSpace(v.field("path")), "/")
	content := v.field("content")
	if branch == "" || file == "" {
		return errNoPlace
	}
	message := strings.TrimSpace(v.field("message"))
	if message == "" {
		message = "Update " + file
		if content == "" {
			message = "Delete " + file
		}
	}
	_, err := v.person().Push(v.repo, branch, message, map[string]string{file: content})
	return err
}

// splitRef cuts the rest of an address into a ref and a path: a branch may have
// slashes, and git lets no branch be the beginning of another.
func (v *visit) splitRef() (ref, rest string) {
	parts := strings.Split(strings.Trim(v.r.PathValue("at"), "/"), "/")
	for i := range parts {
		ref = strings.Join(parts[:i+1], "/")
		if _, err := v.github.Head(v.repo, plain(ref)); err == nil {
			return ref, strings.Join(parts[i+1:], "/")
		}
	}
	return parts[0], strings.Join(parts[1:], "/")
}

// branch is the branch that a ref of an address means, or "" for a commit.
func (v *visit) branch(ref string) string {
	if ref == headRef {
		return v.defaultBranch()
	}
	if sha, err := v.github.Head(v.repo, ref); err == nil && strings.HasPrefix(sha, ref) {
		return ""
	}
	return ref
}

// defaultBranch is the branch that is where the default branch is, by its usual
// names.
func (v *visit) defaultBranch() string {
	want, _ := v.github.Head(v.repo, "")
	names := []string{"main", "master"}
	for _, p := range v.github.Pulls(v.repo) {
		names = append(names, p.BaseRef)
	}
	for _, name := range names {
		if sha, err := v.github.Head(v.repo, name); err == nil && sha == want {
			return name
		}
	}
	return ""
}

// plain is a ref of an address as the simulator takes it.
func plain(ref string) string {
	if ref == headRef {
		return ""
	}
	return ref
}

func prefix(dir string) string {
	if dir == "" {
		return ""
	}
	return dir + "/"
}

func crumbs(file string) []crumb {
	var all []crumb
	at := ""
	for part := range strings.SplitSeq(file, "/") {
		at = path.Join(at, part)
		all = append(all, crumb{part, at})
	}
	return all
}
