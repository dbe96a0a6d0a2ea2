package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// Story is one promotion with all that was written down about it.
type Story struct {
	Promotion
	Repo, App, Env string
	Artifact       store.Artifact
	RunURL         string
	OldTag         string
	OldDigest      string
	HeadSHA        string
	MergeSHA       string
	Diff           []DiffLine
	Clusters       []Cluster
	Log            []Event
	LogFull        bool // older entries were left out
}

// Event is one thing that happened, or was seen.
type Event struct {
	At    Moment
	State string // what the icon and the word say
	Title string
	Text  string
	URL   string
	SHA   string // the head that it is about; "" where none
}

// DiffLine is a line of a unified diff.
type DiffLine struct {
	Kind string // added, removed, hunk, same
	Text string
}

func newStory(h store.History, now time.Time) Story {
	p := h.Promotion
	row := store.BoardPromotion{
		ID: p.ID, State: p.State, Message: p.Message, Requester: p.Requester, Reason: p.Reason,
		PullNumber: p.PullNumber, PullURL: p.PullURL, CreatedAt: p.CreatedAt,
		Image: h.Artifact.Image, Tag: h.Artifact.Tag, Digest: h.Artifact.Digest,
	}
	s := Story{
		Promotion: *newPromotion(row, nil, now),
		Repo:      h.Repo.Owner + "/" + h.Repo.Name, App: p.App, Env: p.Env,
		Artifact: h.Artifact, RunURL: webURL(h.Artifact.RunURL),
		OldTag: p.OldTag, OldDigest: p.OldDigest, HeadSHA: p.SeenHeadSHA, MergeSHA: p.MergeSHA,
		Diff: diffLines(p.Diff), Log: history(h, now),
		LogFull: len(h.Evidence) == logShown || len(h.Ticks) == logShown || len(h.Syncs) == logShown,
	}
	// Unlike the board's, these stay after the merge: they are why it was merged.
	s.Gates = gatesNow(h.Gates, h.Repo.ConfigError != "" || len(h.Targets) == 0, now)
	for _, t := range h.Targets {
		s.Clusters = append(s.Clusters, newCluster(t, now))
	}
	return s
}

func (s Story) title() string {
	return fmt.Sprintf("%s %s to %s · Tagboat", s.App, s.Version.Tag, s.Env)
}

// history puts everything that was written down into the order of time.
func history(h store.History, now time.Time) []Event {
	events := milestones(h.Promotion, now)
	for _, e := range h.Evidence {
		events = append(events, Event{moment(e.ObservedAt, now), e.Verdict, gateTitle(e.Gate), e.Reason, webURL(e.URL), e.HeadSHA})
	}
	for _, r := range h.Reviews {
		state := strings.ReplaceAll(strings.ToLower(r.State), "_", " ")
		events = append(events, Event{At: moment(r.SubmittedAt, now), State: state, Title: "Review by " + r.Reviewer, SHA: r.HeadSHA})
	}
	for _, t := range h.Ticks {
		state := "ticked"
		if !t.Checked {
			state = "unticked"
		}
		events = append(events, Event{At: moment(t.At, now), State: state, Title: "Checklist item by " + t.Actor, Text: t.Item})
	}
	for _, s := range h.Syncs {
		events = append(events, syncEvent(s, now))
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.at.Compare(b.At.at) })
	return events
}

// milestones of a promotion's life, as far as they have times of their own.
func milestones(p store.Promotion, now time.Time) []Event {
	events := []Event{{
		At: moment(p.CreatedAt, now), State: string(promotion.Proposed), Title: "Promotion by " + cmp.Or(p.Requester, "Tagboat"), Text: p.Reason,
	}}
	if p.MergedAt != nil {
		events = append(events, Event{At: moment(*p.MergedAt, now), State: string(promotion.Merged), Title: "Promotion", SHA: p.MergeSHA})
	}
	return events
}

func syncEvent(s store.ClusterSync, now time.Time) Event {
	e := Event{At: moment(s.Sync.StartedAt, now), State: s.Sync.State, Title: "Sync of " + s.Cluster, Text: s.Sync.Message, SHA: s.Sync.CommitSHA}
	if s.Sync.FinishedAt == nil {
		return e
	}
	took := fmt.Sprintf("%s written in %s.", objects(s.Sync.Changed), s.Sync.FinishedAt.Sub(s.Sync.StartedAt).Round(100*time.Millisecond))
	e.Text = strings.TrimSpace(e.Text + " " + took)
	return e
}

func objects(n int32) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

func diffLines(diff string) []DiffLine {
	var lines []DiffLine
	for line := range strings.Lines(diff) {
		line = strings.TrimRight(line, "\n")
		kind := "same"
		switch {
		case strings.HasPrefix(line, "@@"), strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
			kind = "hunk"
		case strings.HasPrefix(line, "+"):
			kind = "added"
		case strings.HasPrefix(line, "-"):
			kind = "removed"
		}
		lines = append(lines, DiffLine{kind, line})
	}
	return lines
}
