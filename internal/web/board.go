package web

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// Board is where everything stands, as GET /api/board answers it. Lists are
// never null; what is not known is "" or null.
type Board struct {
	At       Moment    `json:"at"`
	Repos    []Repo    `json:"repos"`    // by name
	Refusals []Refusal `json:"refusals"` // the newest, newest first
}

// Repo is one env repo.
type Repo struct {
	Name             string   `json:"name"`             // "owner/name"
	Presence         string   `json:"presence"`         // installed, archived, suspended, removed
	PresenceSince    Moment   `json:"presenceSince"`    // since when it is so
	Away             string   `json:"away"`             // why nothing moves there, and who can change that; "" where it does
	Note             string   `json:"note"`             // what else people should know; mostly ""
	ConfigError      string   `json:"configError"`      // why its tagboat.yaml cannot be used; "" when it can
	ConfigErrorSince *Moment  `json:"configErrorSince"` // null when it can
	Stops            []Stop   `json:"stops"`            // what stops more than one app there, the widest first
	Environments     []string `json:"environments"`     // in the order of tagboat.yaml
	Apps             []App    `json:"apps"`             // by name
	Left             []Left   `json:"left"`             // what runs on although it is not in tagboat.yaml any more
}

// Left is what an app has left in a cluster that it is not brought to any more.
type Left struct {
	App         string `json:"app"`
	Environment string `json:"environment"`
	Cluster     string `json:"cluster"`
	Objects     int    `json:"objects"`
	Note        string `json:"note"` // which they are, and what people can do
	Since       Moment `json:"since"`
}

// App is one row of the board.
type App struct {
	Name  string `json:"name"`
	Cells []Cell `json:"cells"` // one for each of the repo's environments, in their order
}

// Cell is one app in one environment. It has no clusters and no promotion where
// the environment does not have the app.
type Cell struct {
	Environment string     `json:"environment"`
	Version     *Version   `json:"version"`   // what all of its clusters have; null when that is not known, or not one
	Clusters    []Cluster  `json:"clusters"`  // by name
	Promotion   *Promotion `json:"promotion"` // the newest, whatever became of it
	Denied      []Denied   `json:"denied"`    // what was taken back here, and may not come again; newest first
}

// Denied is a version on the denylist of a cell.
type Denied struct {
	Version
	By     string `json:"by"`     // login; "" when Tagboat took it back by itself
	Reason string `json:"reason"` // in their words
	At     Moment `json:"at"`
}

// Version is what a digest is called.
type Version struct {
	Image  string `json:"image"`
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
}

// Cluster is one cluster of a cell.
type Cluster struct {
	Name         string   `json:"name"`
	State        string   `json:"state"`        // unknown, applying, waiting, healthy, failed, unreachable
	Message      string   `json:"message"`      // why it is not healthy, or what is done now
	Version      *Version `json:"version"`      // what was brought to it last; null before the first time
	Commit       string   `json:"commit"`       // of the env repo
	Waits        string   `json:"waits"`        // for which earlier wave, to get what is in Git; "" when for none
	Notes        []string `json:"notes"`        // what somebody has changed past Git, what waits to be deleted or taken over, what is kept: sentences
	HealthySince *Moment  `json:"healthySince"` // contiguously, with this digest
	UpdatedAt    Moment   `json:"updatedAt"`    // when the state was written down
}

// Promotion is what is, or was, on its way into a cell.
type Promotion struct {
	ID        int64   `json:"id"` // its page is /promotions/ID
	State     string  `json:"state"`
	Version   Version `json:"version"`
	Requester string  `json:"requester"` // "" when Tagboat proposed it by itself
	Reason    string  `json:"reason"`    // why it was proposed
	Message   string  `json:"message"`   // why it stands where it stands
	Pull      *Pull   `json:"pull"`      // null before it is opened
	Gates     []Gate  `json:"gates"`     // while it waits to be merged: the newest evidence for its digest and head
	CreatedAt Moment  `json:"createdAt"`
}

// Pull is a pull request.
type Pull struct {
	Number int    `json:"number"`
	URL    string `json:"url"` // http or https, else ""
}

// Gate is the newest evidence of one gate.
type Gate struct {
	Name       string `json:"name"` // digest, head, checks, checklist, approvals, upstream, config
	Title      string `json:"title"`
	Verdict    string `json:"verdict"` // pass, wait, fail
	Reason     string `json:"reason"`
	URL        string `json:"url"`
	ObservedAt Moment `json:"observedAt"`
}

// Refusal is a push that will not be promoted.
type Refusal struct {
	Version
	Reason string `json:"reason"`
	At     Moment `json:"at"`
}

// pair is where a cell is.
type pair struct {
	repo     int64
	app, env string
}

func newBoard(b store.Board, now time.Time) Board {
	out := Board{At: moment(now, now), Repos: []Repo{}, Refusals: []Refusal{}}
	targets := map[pair][]store.Target{}
	for _, t := range b.Targets {
		at := pair{t.RepoID, t.App, t.Env}
		targets[at] = append(targets[at], t)
	}
	evidence := map[int64][]store.Evidence{}
	for _, e := range b.Evidence {
		evidence[e.PromotionID] = append(evidence[e.PromotionID], e)
	}
	broken := map[int64]bool{}
	for _, r := range b.Repos {
		broken[r.ID] = r.ConfigError != ""
	}
	promotions := map[pair]*Promotion{}
	for _, p := range b.Promotions {
		at := pair{p.RepoID, p.App, p.Env}
		promotions[at] = newPromotion(p, gatesNow(evidence[p.ID], broken[p.RepoID] || len(targets[at]) == 0, now), now)
	}
	denied := map[pair][]Denied{}
	for _, d := range b.Denials {
		at := pair{d.RepoID, d.App, d.Env}
		denied[at] = append(denied[at], Denied{Version{d.Image, d.Tag, d.Digest}, d.Actor, d.Reason, moment(d.Since, now)})
	}
	for _, r := range b.Repos {
		repo := newRepo(r, targets, promotions, now)
		repo.Stops = stopsOf(r, b.Stops, now)
		for _, l := range b.Left {
			if l.RepoID == r.ID {
				repo.Left = append(repo.Left, Left{l.App, l.Env, l.Cluster, int(l.Objects), store.LeftNote(l), moment(l.Since, now)})
			}
		}
		for _, a := range repo.Apps {
			for i, c := range a.Cells {
				a.Cells[i].Denied = append(c.Denied, denied[pair{r.ID, a.Name, c.Environment}]...)
			}
		}
		out.Repos = append(out.Repos, repo)
	}
	for _, r := range b.Refusals {
		out.Refusals = append(out.Refusals, Refusal{Version{r.Image, r.Tag, r.Digest}, r.Reason, moment(r.RefusedAt, now)})
	}
	return out
}

func newRepo(r store.Repo, targets map[pair][]store.Target, promotions map[pair]*Promotion, now time.Time) Repo {
	out := Repo{
		Name: r.Owner + "/" + r.Name, Presence: r.Presence, PresenceSince: moment(r.PresenceSince, now), Away: away(r),
		ConfigError: r.ConfigError, ConfigErrorSince: maybe(r.ConfigErrorSince, now),
		Environments: environments(r.ID, targets, promotions), Apps: []App{}, Left: []Left{},
	}
	if out.Away == "" {
		out.Note = r.PresenceNote
	}
	apps := map[string]bool{}
	for at := range targets {
		apps[at.app] = apps[at.app] || at.repo == r.ID
	}
	for at := range promotions {
		apps[at.app] = apps[at.app] || at.repo == r.ID
	}
	for _, name := range slices.Sorted(maps.Keys(apps)) {
		if !apps[name] {
			continue
		}
		app := App{Name: name}
		for _, env := range out.Environments {
			at := pair{r.ID, name, env}
			app.Cells = append(app.Cells, newCell(env, targets[at], promotions[at], now))
		}
		out.Apps = append(out.Apps, app)
	}
	return out
}

// environments are those of a repo in the order of its tagboat.yaml; those
// without a cluster come last.
func environments(repo int64, targets map[pair][]store.Target, promotions map[pair]*Promotion) []string {
	first := map[string]int32{}
	for at, list := range targets {
		for _, t := range list {
			if at.repo == repo {
				first[at.env] = t.Position
			}
		}
	}
	names := slices.AppendSeq([]string{}, maps.Keys(first))
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(first[a], first[b]), cmp.Compare(a, b)) })
	for at := range promotions {
		if _, known := first[at.env]; at.repo == repo && !known && !slices.Contains(names, at.env) {
			names = append(names, at.env)
		}
	}
	slices.Sort(names[len(first):])
	return names
}

func newCell(env string, targets []store.Target, p *Promotion, now time.Time) Cell {
	cell := Cell{Environment: env, Clusters: []Cluster{}, Promotion: p, Denied: []Denied{}}
	for _, t := range targets {
		cell.Clusters = append(cell.Clusters, newCluster(t, now))
	}
	slices.SortFunc(cell.Clusters, func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) })
	for i, c := range cell.Clusters {
		if c.Version == nil || i > 0 && *c.Version != *cell.Version {
			cell.Version = nil
			break
		}
		cell.Version = c.Version
	}
	return cell
}

func newCluster(t store.Target, now time.Time) Cluster {
	c := Cluster{
		Name: t.Cluster, State: t.State, Message: t.Message, Commit: t.CommitSHA, Waits: t.Held, Notes: t.Notes,
		HealthySince: maybe(t.HealthySince, now), UpdatedAt: moment(t.UpdatedAt, now),
	}
	if t.State == store.TargetHealthy {
		c.Message = ""
	} else {
		c.HealthySince = nil // StartTarget leaves the time alone: the sync may find that nothing changed
	}
	if t.Tag != "" || t.Digest != "" {
		c.Version = &Version{t.Image, t.Tag, t.Digest}
	}
	return c
}

func newPromotion(p store.BoardPromotion, gates []Gate, now time.Time) *Promotion {
	out := &Promotion{
		ID: p.ID, State: p.State, Version: Version{p.Image, p.Tag, p.Digest}, Requester: p.Requester,
		Reason: p.Reason, Message: p.Message, Pull: newPull(p.PullNumber, p.PullURL), Gates: []Gate{}, CreatedAt: moment(p.CreatedAt, now),
	}
	if out.Active() {
		out.Gates = append(out.Gates, gates...)
	}
	return out
}

func newPull(number int32, url string) *Pull {
	if number == 0 {
		return nil
	}
	return &Pull{int(number), webURL(url)}
}

func gateTitle(name string) string {
	if name == "deployed" { // no condition for merging, but observed all the same
		return "Deployed"
	}
	return promotion.Title(name)
}

// gatesNow are the gates as last observed. The gate for the configuration exists
// only while that is broken, so nothing is observed when it is mended: its last
// evidence counts only if the configuration is broken still.
func gatesNow(evidence []store.Evidence, broken bool, now time.Time) []Gate {
	gates := []Gate{}
	for _, e := range evidence {
		if e.Gate == promotion.GateConfig && e.Verdict != string(promotion.Pass) && !broken {
			continue
		}
		gates = append(gates, Gate{e.Gate, gateTitle(e.Gate), e.Verdict, e.Reason, webURL(e.URL), moment(e.ObservedAt, now)})
	}
	slices.SortStableFunc(gates, func(a, b Gate) int { return cmp.Compare(promotion.Rank(a.Name), promotion.Rank(b.Name)) })
	return gates
}

// Active reports whether it waits to be merged.
func (p Promotion) Active() bool { return promotion.State(p.State).Active() }

// Blocking are the gates that keep it from merging.
func (p Promotion) Blocking() []Gate {
	return slices.DeleteFunc(slices.Clone(p.Gates), func(g Gate) bool { return !promotion.Verdict(g.Verdict).Blocks() })
}

// Note is the promotion's own message, unless a gate says the same.
func (p Promotion) Note() string {
	if slices.ContainsFunc(p.Blocking(), func(g Gate) bool { return g.Reason == p.Message }) {
		return ""
	}
	return p.Message
}

// Empty reports whether the environment does not have the app.
func (c Cell) Empty() bool { return len(c.Clusters) == 0 && c.Promotion == nil }

// Arrived reports whether what the newest promotion brings is what runs.
func (c Cell) Arrived() bool {
	return c.Version != nil && c.Promotion != nil && c.Promotion.State != string(promotion.Merged) &&
		!c.Promotion.Active() && c.Version.Digest == c.Promotion.Version.Digest
}

// Refused reports whether the newest promotion ended without being merged.
func (c Cell) Refused() bool {
	return c.Promotion != nil && c.Promotion.State == string(promotion.Closed) && !c.Arrived()
}

// Rolling reports whether the newest promotion is merged, but not everywhere.
func (c Cell) Rolling() bool {
	return c.Promotion != nil && c.Promotion.State == string(promotion.Merged)
}

// Tally counts what a person looks for first.
type Tally struct {
	Healthy, Troubled, Busy, Open, Blocked int
}

// Tally counts clusters and open promotions over the whole board.
func (b Board) Tally() (t Tally) {
	for _, r := range b.Repos {
		for _, a := range r.Apps {
			for _, c := range a.Cells {
				t.add(c)
			}
		}
	}
	return t
}

func (t *Tally) add(c Cell) {
	for _, cluster := range c.Clusters {
		switch cluster.State {
		case store.TargetHealthy:
			t.Healthy++
		case store.TargetFailed, store.TargetUnreachable:
			t.Troubled++
		default:
			t.Busy++
		}
	}
	if c.Promotion == nil || !c.Promotion.Active() {
		return
	}
	t.Open++
	if slices.ContainsFunc(c.Promotion.Gates, func(g Gate) bool { return g.Verdict == string(promotion.Fail) }) {
		t.Blocked++
	}
}

// title tells trouble where only a tab's name is seen.
func (b Board) title() string {
	if n := b.Tally().Troubled; n > 0 {
		return fmt.Sprintf("(%d) Tagboat", n)
	}
	return "Tagboat"
}
