package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// StatusTarget is what one app has in one cluster of an environment, as of the last look.
type StatusTarget struct {
	Repo    string `json:"repo"`
	App     string `json:"app"`
	Env     string `json:"env"`
	Cluster string `json:"cluster"`
	State   string `json:"state"` // healthy, waiting, failed, unreachable, applying, unknown; left: not in tagboat.yaml any more, and runs on
	Tag     string `json:"tag"`
	Digest  string `json:"digest"`
	Commit  string `json:"commit"` // of the env repo, that the cluster was brought to
	// HealthySince is since when it is healthy with this digest, without a break; null
	// while it is not.
	HealthySince *time.Time `json:"healthySince"`
	LookedAt     time.Time  `json:"lookedAt"`
	Message      string     `json:"message"` // what is wrong, or going on
	Waits        string     `json:"waits"`   // for which earlier wave, to get what is in Git
	Notes        []string   `json:"notes"`   // what somebody has changed past Git, what waits to be deleted, what is kept though not in Git

	position int32
}

// Well reports whether there is nothing to do about it: it is healthy, and has what is
// in Git, and nothing else but what somebody keeps. What was left behind has nothing in Git
// to be measured by.
func (t StatusTarget) Well() bool {
	tells := slices.ContainsFunc(t.Notes, func(note string) bool { return !store.TellsOfKept(note) })
	return t.State == stateLeft || t.State == store.TargetHealthy && t.Waits == "" && !tells
}

// Unwell are those that are not well.
func Unwell(targets []StatusTarget) []StatusTarget {
	return slices.DeleteFunc(slices.Clone(targets), StatusTarget.Well)
}

// stateLeft is the state of what is not in tagboat.yaml any more, and runs on.
const stateLeft = "left"

// StatusFilter says which targets are meant; "" is any.
type StatusFilter struct {
	Repo, App, Env string // Repo is "owner/name", as it is or was called
}

// Status is what runs where, by env repo, app, environment in the order of tagboat.yaml,
// and cluster. Env repos that Tagboat may not read at the moment are told as they were.
func (e *Explainer) Status(ctx context.Context, f StatusFilter) ([]StatusTarget, error) {
	repos, err := e.store.Repos(ctx)
	if err != nil {
		return nil, err
	}
	targets, err := e.store.Targets(ctx)
	if err != nil {
		return nil, err
	}
	left, err := e.store.Left(ctx)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, r := range repos {
		if isCalled(r, f.Repo) {
			names[r.ID] = r.Owner + "/" + r.Name
		}
	}
	found := []StatusTarget{}
	for _, t := range targets {
		is := StatusTarget{
			Repo: names[t.RepoID], App: t.App, Env: t.Env, Cluster: t.Cluster, State: t.State, Tag: t.Tag, Digest: t.Digest, Commit: t.CommitSHA,
			LookedAt: t.UpdatedAt.UTC(), Message: t.Message, Waits: t.Held, Notes: t.Notes, position: t.Position,
		}
		if t.State == store.TargetHealthy && t.HealthySince != nil {
			since := t.HealthySince.UTC()
			is.HealthySince = &since
		}
		found = append(found, is)
	}
	for _, l := range left {
		found = append(found, StatusTarget{
			Repo: names[l.RepoID], App: l.App, Env: l.Env, Cluster: l.Cluster, State: stateLeft, LookedAt: l.Since.UTC(), Message: store.LeftNote(l), Notes: []string{}, position: l.Position,
		})
	}
	found = slices.DeleteFunc(found, func(t StatusTarget) bool {
		return t.Repo == "" || f.App != "" && f.App != t.App || f.Env != "" && f.Env != t.Env
	})
	slices.SortStableFunc(found, func(a, b StatusTarget) int {
		return cmp.Or(cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.App, b.App), cmp.Compare(a.position, b.position), cmp.Compare(a.Cluster, b.Cluster))
	})
	return found, nil
}

// isCalled reports whether an env repo is, or was, called so; "" is any.
func isCalled(r store.Repo, name string) bool {
	return name == "" || strings.EqualFold(name, r.Owner+"/"+r.Name) || slices.Contains(r.Names, strings.ToLower(name))
}

// StatusText is a table for people: a line for each target, and below it what is wrong
// or waits.
func StatusText(targets []StatusTarget) string {
	var rows strings.Builder
	w := tabwriter.NewWriter(&rows, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "APP\tENVIRONMENT\tCLUSTER\tSTATE\tTAG\tDIGEST\tHEALTHY SINCE\tCOMMIT")
	for _, t := range targets {
		since := "-"
		if t.HealthySince != nil {
			since = t.HealthySince.Format("2006-01-02 15:04 UTC")
		}
		line := []string{t.App, t.Env, t.Cluster, t.State, cmp.Or(t.Tag, "-"), cmp.Or(image.ShortDigest(t.Digest), "-"), since, cmp.Or(t.Commit[:min(len(t.Commit), 12)], "-")}
		for i, cell := range line {
			line[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	_ = w.Flush() // a strings.Builder takes everything
	head, lines, _ := strings.Cut(rows.String(), "\n")
	var out strings.Builder
	repo := ""
	for i, line := range strings.Split(strings.TrimSuffix(lines, "\n"), "\n") {
		if i == len(targets) { // the table is empty
			break
		}
		t := targets[i]
		if t.Repo != repo {
			if repo != "" {
				out.WriteString("\n")
			}
			repo = t.Repo
			fmt.Fprintf(&out, "%s\n%s\n", printable(repo), strings.TrimRight(head, " "))
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
		for _, note := range append([]string{t.Message, t.Waits}, t.Notes...) {
			for text := range strings.Lines(note) {
				fmt.Fprintf(&out, "    %s\n", printable(text))
			}
		}
	}
	return out.String()
}
