package checklist

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tagboat/tagboat/internal/image"
)

// Set is what one pull request brings for several apps, which were proven together. Its
// description and its checklist are for all of them.
type Set struct {
	Origin  string // what made them one: an environment, or a commit
	Members []Pull // without gates; the first names the pull request
}

// Version is a version of an app.
type Version struct{ App, Tag string }

// Member is an app of a set, and its gates.
type Member struct {
	App   string
	Gates []Gate
}

// Together are the gates of a set as one list: what all pass is one line, and what does not
// pass is told of each app that it keeps. What is the same for all is told once.
func Together(members []Member) (all []Gate) {
	for _, name := range gateNames(members) {
		gates, of := gatesCalled(members, name)
		switch {
		case alike(gates) && len(gates) == len(members), name == HumanGate:
			all = append(all, gates[0])
		case passes(gates):
			all = append(all, passed(gates, of))
		default:
			for i, g := range gates {
				g.Name, g.Title = fmt.Sprintf("%s-%d-%s", name, i+1, of[i]), of[i]+": "+strings.ToLower(g.title())
				all = append(all, g)
			}
		}
	}
	return all
}

// gateNames are the names of all gates, in the order in which people read them.
func gateNames(members []Member) (names []string) {
	for _, m := range members {
		at := 0 // behind the last that is known
		for _, g := range m.Gates {
			i := indexOf(names, g.Name)
			if i < 0 {
				names = append(names[:at], append([]string{g.Name}, names[at:]...)...)
				i = at
			}
			at = i + 1
		}
	}
	return names
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

func gatesCalled(members []Member, name string) (gates []Gate, of []string) {
	for _, m := range members {
		for _, g := range m.Gates {
			if g.Name == name {
				gates, of = append(gates, g), append(of, m.App)
			}
		}
	}
	return gates, of
}

func alike(gates []Gate) bool {
	for _, g := range gates {
		if g.Verdict != gates[0].Verdict || g.Reason != gates[0].Reason || g.Missing != gates[0].Missing || g.Owner != gates[0].Owner || !g.NextCheck.Equal(gates[0].NextCheck) {
			return false
		}
	}
	return true
}

func passes(gates []Gate) bool {
	for _, g := range gates {
		if g.Verdict != Pass {
			return false
		}
	}
	return true
}

// passed is one line for gates that all pass.
func passed(gates []Gate, of []string) Gate {
	g := gates[0]
	var reasons []string
	for i, one := range gates {
		reasons = append(reasons, of[i]+": "+one.Reason)
	}
	g.Reason, g.URL = strings.Join(reasons, " "), ""
	return g
}

// maxSetTitle is how long the title of a set may be that names its apps: it becomes the
// first line of a commit message.
const maxSetTitle = 72

func (s *Set) apps() (names []string) {
	for _, m := range s.Members {
		names = append(names, name(m.App))
	}
	return names
}

// title is the pull request's: "prod: payments, shop and web from staging".
func (s *Set) title(p Pull) string {
	form := name(p.Env) + ": %s from " + name(s.Origin)
	if p.Undone.Back() {
		form = "Roll %s in " + name(p.Env) + " back"
	}
	if t := fmt.Sprintf(form, and(s.apps())); utf8.RuneCountInString(t) <= maxSetTitle {
		return t
	}
	return cutRunes(fmt.Sprintf(form, fmt.Sprintf("%d apps", len(s.Members))), maxTitle)
}

// versions are the members' new versions, or their old ones, as one text.
func (s *Set) versions(of func(Pull) image.Ref) string {
	var all []string
	for _, m := range s.Members {
		all = append(all, version(of(m)))
	}
	return and(all)
}

// table has a row per app: from where to where.
func (s *Set) table() string {
	out := "| App | From | To | Digest | Built from |\n| --- | --- | --- | --- | --- |"
	for _, m := range s.Members {
		source := cell(m.SourceRepo)
		if m.SourceCommit != "" {
			source = strings.TrimSpace(source + " at " + cell(shortCommit(m.SourceCommit)))
		}
		if m.RunURL != "" {
			source = strings.TrimSpace(source + " " + link("(CI run)", m.RunURL))
		}
		out += fmt.Sprintf("\n| %s | %s | %s | %s | %s |", Escape(m.App), cell(version(m.Old)), cell(version(m.New)), cell(m.New.Digest), source)
	}
	return out
}

// each is a part of the description of every app that has it, under its name.
func (s *Set) each(part func(Pull) string) string {
	var parts []string
	for _, m := range s.Members {
		if text := part(m); text != "" {
			parts = append(parts, "**"+Escape(m.App)+"**\n\n"+text)
		}
	}
	return strings.Join(parts, "\n\n")
}

// whole is a pull request with what all of its set bring, where it is one's: what is told
// by cluster or environment names the app.
func (p Pull) whole() Pull {
	if p.Set == nil {
		return p
	}
	p.Diff, p.DryRuns, p.Carries, p.Upstream, p.Annotations, p.SignedBy = "", nil, nil, nil, nil, nil
	p.Rendered = p.Set.each(func(m Pull) string { return m.Rendered })
	for _, m := range p.Set.Members {
		p.Diff += m.Diff
		p.Annotations = append(p.Annotations, m.Annotations...)
		for _, d := range m.DryRuns {
			d.Cluster = m.App + " in " + d.Cluster
			p.DryRuns = append(p.DryRuns, d)
		}
		for _, c := range m.Carries {
			c.Cluster = m.App + " in " + c.Cluster
			p.Carries = append(p.Carries, c)
		}
		for _, u := range m.Upstream {
			u.Env = m.App + " in " + u.Env
			p.Upstream = append(p.Upstream, u)
		}
	}
	return p
}

// shorter leaves out what a description can do without where there is no room for it;
// ok is false where nothing is left to leave out.
func (p Pull) shorter() (_ Pull, ok bool) {
	if p.Set == nil {
		return p, false
	}
	brief := Set{Origin: p.Set.Origin}
	for _, m := range p.Set.Members {
		ok = ok || m.Between != nil
		m.Between = nil
		brief.Members = append(brief.Members, m)
	}
	ok = ok || p.Upstream != nil
	p.Set, p.Upstream = &brief, nil
	return p, ok
}

// goingBack is how to return to what there was before, of all of them.
func (s *Set) goingBack(p Pull) string {
	return fmt.Sprintf("They are merged as one, and go back as one. After the merge, comment %s, or the same with any other of them: Tagboat reverts the merge commit on the fast lane, denies these versions here and puts the apps on hold."+
		" Pressing **Revert** on this pull request, or `git revert`, is taken for the same: the check `tagboat` lets it pass because the versions were here before, and the clusters follow.",
		Code("/rollback "+name(p.Env)+" "+name(p.App)+" <reason>"))
}

// with is the rest of a set in words: " with `2.0.0` of **shop**".
func with(others []Version) string {
	var all []string
	for _, v := range others {
		all = append(all, Code(v.Tag)+" of **"+Escape(v.App)+"**")
	}
	if len(all) == 0 {
		return ""
	}
	return ", together with " + and(all) + ","
}
