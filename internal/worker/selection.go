package worker

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// Selection says which repositories are meant: by name, by number, or all of an
// owner's. The zero Selection means every repository.
type Selection []Selector

// Selector is one entry of a selection.
type Selector struct {
	Owner, Name string // no Name: every repository of the owner
	Number      int64  // GitHub's; 0: whichever had the name first
}

// ParseSelection reads OWNER/NAME, OWNER/NAME#NUMBER and OWNER/*.
func ParseSelection(entries []string) (Selection, error) {
	var out Selection
	for _, entry := range entries {
		full, number, numbered := strings.Cut(entry, "#")
		owner, name, ok := strings.Cut(full, "/")
		s := Selector{Owner: owner, Name: name}
		if name == "*" {
			s.Name = ""
		}
		if numbered {
			var err error
			s.Number, err = strconv.ParseInt(number, 10, 64)
			ok = ok && err == nil && s.Number > 0 && s.Name != ""
		}
		if !ok || owner == "" || name == "" || strings.ContainsAny(owner, "*") || strings.ContainsAny(s.Name, "/*") {
			return nil, fault.Errorf(fault.Invalid, "%s is not of the form OWNER/NAME, OWNER/NAME#NUMBER or OWNER/*", entry)
		}
		out = append(out, s)
	}
	return out, nil
}

// String is how it is written.
func (s Selector) String() string {
	switch {
	case s.Name == "":
		return s.Owner + "/*"
	case s.Number != 0:
		return s.Owner + "/" + s.Name + "#" + strconv.FormatInt(s.Number, 10)
	}
	return s.Owner + "/" + s.Name
}

// means reports whether a known env repo is meant. A name means the repository that
// had it first, also when that is called otherwise now: what was allowed to it does
// not pass to whoever takes over its name.
func (s Selector) means(r store.Repo) bool {
	switch {
	case s.Name == "":
		return sameName(s.Owner, r.Owner)
	case s.Number != 0:
		return r.GithubID != nil && *r.GithubID == s.Number
	}
	return slices.Contains(r.Names, strings.ToLower(s.Owner+"/"+s.Name))
}

// Means reports whether a known env repo is among those that are meant.
func (s Selection) Means(r store.Repo) bool { return len(s) == 0 || s.lists(r) }

// lists reports whether an entry means an env repo.
func (s Selection) lists(r store.Repo) bool {
	return slices.ContainsFunc(s, func(e Selector) bool { return e.means(r) })
}

// Names reports whether an env repo is meant by its own name or number.
func (s Selection) Names(r store.Repo) bool {
	return slices.ContainsFunc(s, func(e Selector) bool { return e.Name != "" && e.means(r) })
}

// May reports whether a repository that is not known yet may be meant, and whether it
// is by its own name.
func (s Selection) May(owner, name string, number int64) (may, named bool) {
	for _, e := range s {
		switch {
		case e.Name == "":
			may = may || sameName(e.Owner, owner)
		case e.Number != 0:
			named = named || e.Number == number
		default:
			named = named || sameName(e.Owner, owner) && sameName(e.Name, name)
		}
	}
	return may || named || len(s) == 0, named
}

// named reports whether whoever runs Tagboat has named an env repo, for itself or for a
// cluster. One that was only found may be anybody's.
func (w *Worker) named(r store.Repo) bool {
	if w.EnvRepos.Names(r) {
		return true
	}
	for _, bound := range w.ClusterRepos {
		if bound.Names(r) {
			return true
		}
	}
	return false
}

// takesFrom reports whether a cluster may be brought to what an env repo says, and why
// not. Whoever can write to a repository on which the App is installed can name any
// cluster there; so one takes only from repositories that whoever runs Tagboat has
// named: for the cluster, or else as env repos.
func (w *Worker) takesFrom(cluster string, r store.Repo) error {
	bound, restricted := w.ClusterRepos[cluster]
	if restricted && bound.lists(r) || !restricted && w.EnvRepos.Names(r) {
		return nil
	}
	return fault.Errorf(fault.Denied, "Cluster %s takes nothing from %s/%s. If it should, whoever runs Tagboat names it there: --cluster-repo %s=%s/%s. If not, take the cluster out of tagboat.yaml.",
		cluster, r.Owner, r.Name, cluster, r.Owner, r.Name)
}
