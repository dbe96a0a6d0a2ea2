package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/overlay"
)

// weighing is one place, or one file, and who moves what in it.
type weighing struct {
	env     string
	movers  []mover
	was, is side
	fresh   bool     // there is no side without the pull request
	keeps   []string // names that have to stay
}

// comparePlace compares what is rendered in one place.
func (c *comparison) comparePlace(ctx context.Context, p *place) (f findings, err error) {
	g := weighing{env: p.env, movers: c.movers(p.twins), fresh: p.was == nil}
	for _, m := range g.movers {
		g.keeps = append(g.keeps, m.keeps()...)
	}
	if p.is == nil {
		f.notes = append(f.notes, g.name()+" is taken away.")
		return f, nil
	}
	if charts := c.chartMoves(p); charts != nil {
		return *charts, nil // the images of a chart move along with it
	}
	if g.is, err = c.renderedSide(ctx, c.is, *p.is); err != nil {
		return f, err
	}
	if broken := p.broken(); broken != nil {
		if !ofCommit(broken) {
			return f, broken
		}
		g.is.err = broken
	}
	if p.was != nil {
		if g.was, err = c.renderedSide(ctx, c.was, *p.was); err != nil {
			return f, err
		}
	}
	p.uncertain = g.was.err != nil || g.is.err != nil
	if f, err = c.weigh(ctx, g); err != nil {
		return f, err
	}
	if g.is.err == nil {
		found, err := c.brought(ctx, p)
		if err != nil {
			return f, err
		}
		f.takeUp(found)
	}
	f.looked = 1
	if !g.fresh && !p.uncertain {
		f.compared = 1
	}
	return f, err
}

// compareFiles compares the files that carry the pairs' versions, as far as they differ.
func (c *comparison) compareFiles(ctx context.Context, twins []twin, places []place) (f findings, err error) {
	uncertain := map[*envrepo.Pair]bool{}
	for _, p := range places {
		for _, t := range p.twins {
			uncertain[t.was] = uncertain[t.was] || p.uncertain
		}
	}
	for _, t := range twins {
		if t.was == nil || t.is == nil || sameFile(c.was, c.is, t.was.File) && t.is.File == t.was.File {
			continue
		}
		g := weighing{env: t.was.Env, movers: c.movers([]twin{t})}
		// A rendering that was compared knows better what stayed of images, but shows
		// no charts.
		if uncertain[t.was] || len(t.was.Charts) > 0 {
			g.keeps = g.movers[0].keeps()
		}
		if g.was, err = fileSide(c.was, t.was.File); err == nil {
			g.is, err = fileSide(c.is, t.is.File)
		}
		if err != nil {
			return f, err
		}
		if g.is.err != nil && uncertain[t.was] {
			continue // it is said why
		}
		found, err := c.weigh(ctx, g)
		if err != nil {
			return f, err
		}
		found.notes = nil // what is rendered says it better
		f.add(found)
	}
	return f, nil
}

// name is how people call what is weighed.
func (g *weighing) name() string {
	var apps []string
	for _, m := range g.movers {
		apps = append(apps, m.app)
	}
	slices.Sort(apps)
	return inEnvironment(strings.Join(slices.Compact(apps), ", "), g.env)
}

// weigh finds what moves between two sides, as far as both are known. Where only what
// is without the pull request cannot be told, which it may be about to mend, what the
// environments are known to have had is all there is to compare with.
func (c *comparison) weigh(ctx context.Context, g weighing) (f findings, err error) {
	switch {
	case g.is.err != nil && g.was.err != nil && explain(g.is.err) == explain(g.was.err):
		f.notes = append(f.notes, g.name()+" cannot be rendered, without this pull request either: "+checklist.Escape(explain(g.is.err)))
		return f, nil
	case g.is.err != nil:
		f.unread = append(f.unread, g.name()+": "+checklist.Escape(explain(g.is.err)))
		return f, nil
	case g.fresh:
		f.notes = append(f.notes, g.name()+" is new.")
	case g.was.err != nil:
		f.notes = append(f.notes, g.name()+" could not be rendered before, so its own versions alone were compared with those that it had.")
	}
	var moved []manifest.Movement
	if g.fresh || g.was.err != nil {
		moved, err = c.news(ctx, &g)
	} else {
		var added []manifest.Carried
		moved, added = manifest.Movements(g.was.carried, g.is.carried, g.keeps)
		for _, a := range added {
			f.notes = append(f.notes, g.name()+" runs something new: "+carriedText(a))
		}
	}
	if err != nil {
		return f, err
	}
	for _, m := range moved {
		known, denied, err := c.had(ctx, g, m)
		if err != nil {
			return f, err
		}
		if f.back = f.back || known; known {
			continue
		}
		line := g.name() + ": " + movement(m)
		if denied != "" {
			line += ". " + checklist.Escape(denied)
		}
		f.moved = append(f.moved, moving{g.name() + " " + m.Ref.String() + " " + m.Was, line})
	}
	return f, nil
}

// news are the versions and the names of what is moved here by an app of which it is
// known what it had. Its images have to stay; a chart shows only where it stands.
func (c *comparison) news(ctx context.Context, g *weighing) (news []manifest.Movement, err error) {
	for i := range g.movers {
		m := &g.movers[i]
		there, err := c.w.Store.ImagesThere(ctx, c.repo.ID, m.app, g.env)
		if err != nil {
			return nil, err
		}
		if len(there) == 0 {
			continue
		}
		m.names = append(m.names, there...)
		stays := m.chart
		for _, carried := range g.is.carried {
			known := slices.Contains(there, carried.Name)
			stays = stays || known
			if known || m.chart && slices.Contains(m.names, carried.Name) {
				news = append(news, manifest.Movement{Carried: carried})
			} else if slices.Contains(m.names, carried.Name) {
				news = append(news, manifest.Movement{Carried: carried, Was: there[0]})
			}
		}
		if !stays {
			news = append(news, manifest.Movement{Was: there[0]})
		}
	}
	return news, nil
}

// had reports whether a version has been there before, and why it may not be there again
// where it was taken back. Another name never has been, and what says no version can be
// any.
func (c *comparison) had(ctx context.Context, g weighing, v manifest.Movement) (had bool, denied string, err error) {
	if v.Was != "" || v.Tag == "" && v.Digest == "" {
		return false, "", nil
	}
	for _, m := range g.movers {
		if !slices.Contains(m.names, v.Name) && !g.unnamed(m) {
			continue
		}
		had, err := c.w.Store.WasThere(ctx, c.repo.ID, m.app, g.env, v.Tag, v.Digest)
		if err != nil {
			return false, "", err
		}
		if !had {
			continue
		}
		denials, err := c.w.Store.Denials(ctx, c.repo.ID, m.app, g.env)
		for _, d := range denials {
			if v.Digest != "" && v.Digest == d.Digest || v.Digest == "" && v.Tag == d.Tag && (v.Name == d.Image || g.unnamed(m)) {
				return false, denialFacts(d).Words(), err
			}
		}
		return err == nil, "", err
	}
	return false, "", nil
}

// unnamed reports whether the name of what an app moves is only a chart's to know:
// values with a tag alone. Then any version that it had may be meant.
func (g *weighing) unnamed(m mover) bool {
	return !m.chart && !slices.ContainsFunc(g.was.carried, func(c manifest.Carried) bool { return slices.Contains(m.names, c.Name) })
}

func movement(m manifest.Movement) string {
	switch {
	case m.Name == "":
		return "nothing carries " + checklist.Code(m.Was) + " any more"
	case m.Was != "":
		return fmt.Sprintf("%s, in place of %s", carriedText(m.Carried), checklist.Code(m.Was))
	}
	return carriedText(m.Carried)
}

func carriedText(c manifest.Carried) string {
	text := checklist.Code(c.Ref.String())
	if c.At != "" {
		text += " (" + checklist.Escape(c.At) + ")"
	}
	return text
}

// chartMoves is nil unless the version of a chart moves that is inflated in a place.
// What the chart brings moves along with it, and its own version is compared where it
// stands. But then nothing else may move: it would not show.
func (c *comparison) chartMoves(p *place) *findings {
	for _, t := range p.twins {
		if t.was == nil || t.is == nil || len(t.was.Charts) == 0 || sameFile(c.was, c.is, t.was.File) && t.is.File == t.was.File {
			continue
		}
		was, errWas := c.was.ReadFile(t.was.File)
		is, errIs := c.is.ReadFile(t.is.File)
		if errWas != nil || errIs != nil || slices.Equal(charts(t.was.File, was), charts(t.is.File, is)) {
			continue
		}
		name := inEnvironment(t.was.App, t.was.Env)
		alone := len(c.changes) == 1 && c.changes[0].Path == t.was.File &&
			overlay.OnlyDeclared(t.was.File, was, is, t.was.Charts[0]) == nil
		if !alone {
			return &findings{moved: []moving{{name, name + ": its chart moves together with other changes, so that nobody can tell which of them move images. Move the chart in a pull request of its own."}}}
		}
		return &findings{notes: []string{name + " gets what another version of its chart brings."}}
	}
	return nil
}

// charts are the versions of the charts that a file has inflated where it is rendered.
func charts(file string, data []byte) (versions []overlay.Site) {
	sites, _ := overlay.Sites(file, data)
	for _, s := range sites {
		if s.Where == "helmCharts" || s.Where == "Chart.yaml" {
			s.Line = 0
			versions = append(versions, s)
		}
	}
	return versions
}
