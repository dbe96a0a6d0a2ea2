package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/worker"
)

// ExplainBlocker is a gate that does not pass, in the words of the check run.
type ExplainBlocker = checklist.Blocker

// Explanation is what blocks one (app, environment), or what a change there would
// need.
type Explanation struct {
	Repo string `json:"repo"`
	App  string `json:"app"`
	Env  string `json:"env"`

	Promotion *ExplainedPromotion `json:"promotion"` // that waits to be merged; null: nothing is on its way
	Blockers  []ExplainBlocker    `json:"blockers"`
	Passing   []ExplainedGate     `json:"passing"`

	Clusters []ExplainedCluster `json:"clusters"`        // what it has
	Last     string             `json:"last,omitempty"`  // what became of the last promotion, where nothing is on its way
	Needs    []string           `json:"needs,omitempty"` // what to know about a change, where nothing is on its way

	text string
}

// ExplainedPromotion is a promotion that waits to be merged.
type ExplainedPromotion struct {
	ID       int64      `json:"id"`
	State    string     `json:"state"`
	Tag      string     `json:"tag"`
	Digest   string     `json:"digest"`
	Pull     int32      `json:"pull"` // 0: none is open yet
	PullURL  string     `json:"pullUrl"`
	Message  string     `json:"message"`
	NextLook *time.Time `json:"nextLook"` // null: on the next event
}

// ExplainedGate is a gate that passes.
type ExplainedGate struct {
	Gate   string `json:"gate"`
	Title  string `json:"title"`
	Reason string `json:"reason"`
}

// ExplainedCluster is what a cluster runs.
type ExplainedCluster struct {
	Cluster string     `json:"cluster"`
	Tag     string     `json:"tag"`
	Digest  string     `json:"digest"`
	State   string     `json:"state"`
	Message string     `json:"message"`
	Notes   []string   `json:"notes,omitempty"` // what somebody has changed past Git, what waits to be deleted
	Waits   string     `json:"waits"`           // for which earlier wave, to get what is in Git
	Since   *time.Time `json:"healthySince"`
}

// Text is the explanation as a page for people.
func (e Explanation) Text() string { return e.text }

// Explainer reads what keeps promotions waiting, and what runs where.
type Explainer struct{ store *store.Store }

// OpenExplain opens the database at url, and changes nothing there.
func OpenExplain(ctx context.Context, url string) (*Explainer, error) {
	a, err := OpenAudit(ctx, url)
	if err != nil {
		return nil, err
	}
	return &Explainer{store: a.store}, nil
}

// Close ends the connection.
func (e *Explainer) Close() { e.store.Close() }

// Explain says what blocks an app in an environment, as it was looked at last: one
// answer per env repo that has the two. repo is "owner/name", as it is or was called, or
// "" for any.
func (e *Explainer) Explain(ctx context.Context, repo, app, env string) ([]Explanation, error) {
	repos, err := e.store.Repos(ctx)
	if err != nil {
		return nil, err
	}
	answers := []Explanation{}
	for _, r := range repos {
		if !isCalled(r, repo) {
			continue
		}
		answer, known, err := e.one(ctx, r, app, env)
		if err != nil {
			return nil, err
		}
		if known {
			answer.text = answer.Repo + "\n" + answer.text
			answers = append(answers, answer)
		}
	}
	return answers, nil
}

// one explains a pair of an env repo, if it has it.
func (e *Explainer) one(ctx context.Context, r store.Repo, app, env string) (x Explanation, known bool, err error) {
	x = Explanation{Repo: r.Owner + "/" + r.Name, App: app, Env: env, Blockers: []ExplainBlocker{}, Passing: []ExplainedGate{}, Clusters: []ExplainedCluster{}}
	targets, err := e.store.TargetsOfPair(ctx, r.ID, app, env)
	if err != nil {
		return x, false, err
	}
	for _, t := range targets {
		c := ExplainedCluster{Cluster: t.Cluster, Tag: t.Tag, Digest: t.Digest, State: t.State, Message: t.Message, Waits: t.Held, Notes: t.Notes}
		if t.State == store.TargetHealthy && t.HealthySince != nil {
			since := t.HealthySince.UTC()
			c.Since = &since
		}
		x.Clusters = append(x.Clusters, c)
	}
	last, err := e.store.LatestPromotion(ctx, r.ID, app, env)
	known = len(targets) > 0 || err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return x, false, err
	}
	switch active, err := e.store.ActivePromotion(ctx, r.ID, app, env); {
	case err == nil:
		err := e.promotion(ctx, &x, active)
		x.text += notes(x.Clusters)
		return x, true, err
	case !fault.Is(err, fault.NotFound):
		return x, false, err
	case !known:
		return x, false, nil
	}
	place, err := worker.Place(ctx, e.store, r, app, env)
	x.Last, x.Needs, x.text = place.Last, place.Needs, checklist.PlaceText(place)
	if last.PullURL != "" {
		x.text += "\n" + last.PullURL + "\n"
	}
	return x, true, err
}

// notes are what people should know of the clusters beside what waits to be merged: it may
// be why they look. (Where nothing is on its way, all of the clusters is told.)
func notes(clusters []ExplainedCluster) string {
	var b strings.Builder
	for _, c := range clusters {
		for _, note := range c.Notes {
			fmt.Fprintf(&b, "\n%s: %s\n", c.Cluster, printable(note))
		}
	}
	return b.String()
}

// promotion explains a promotion that waits to be merged.
func (e *Explainer) promotion(ctx context.Context, x *Explanation, p store.Promotion) error {
	seen, err := worker.LastLook(ctx, e.store, p)
	if err != nil {
		return err
	}
	x.Promotion = &ExplainedPromotion{
		ID: p.ID, State: p.State, Tag: seen.New.Tag, Digest: seen.New.Digest, Pull: p.PullNumber, PullURL: p.PullURL, Message: p.Message,
	}
	if p.NextCheck != nil {
		next := p.NextCheck.UTC()
		x.Promotion.NextLook = &next
	}
	x.Blockers = checklist.Blockers(seen.Gates)
	for _, g := range seen.Gates {
		if promotion.Verdict(g.Verdict) == promotion.Pass {
			x.Passing = append(x.Passing, ExplainedGate{Gate: g.Name, Title: g.Title, Reason: g.Reason})
		}
	}
	x.text = checklist.ExplainText(seen)
	if p.Message != "" {
		x.text += "\n" + printable(p.Message) + "\n"
	}
	if p.PullURL != "" {
		x.text += "\n" + p.PullURL + "\n"
	} else {
		x.text += "\nIts pull request is not open yet.\n"
	}
	return nil
}
