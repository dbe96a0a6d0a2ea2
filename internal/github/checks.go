package github

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	gh "github.com/google/go-github/v60/github"
)

// CheckKind tells the two things that GitHub calls checks apart.
type CheckKind string

const (
	RunKind    CheckKind = "check_run" // only Apps make them
	StatusKind CheckKind = "status"    // anyone with write access makes them
)

// Check is the newest result of one name on one commit. A status is told in a
// check run's words: state "pending" is status "in_progress"; every other state
// is "completed", with conclusion "success" or "failure" ("error" counts as
// failure).
type Check struct {
	Kind       CheckKind
	AppID      int64 // who made the check run; 0 for a status
	Name       string
	Status     string // "queued", "in_progress", "completed", ...
	Conclusion string // "success", "failure", "neutral", "skipped", ...; "" until completed
	URL        string
	At         time.Time // of the last change
}

func statusWords(state string) (status, conclusion string) {
	switch state {
	case "success":
		return "completed", "success"
	case "failure", "error":
		return "completed", "failure"
	}
	return "in_progress", ""
}

// Checks lists the newest check run per (App, name) and the newest status per
// name on a commit, in two requests where a page of each holds them all.
func (r *Repo) Checks(ctx context.Context, sha string) (_ []Check, err error) {
	defer r.fail(&err, "list the checks of %s", sha)
	runs, err := r.checkRuns(ctx, sha, gh.ListCheckRunsOptions{Filter: gh.String("latest")})
	if err != nil {
		return nil, err
	}
	statuses, err := pages(func(o gh.ListOptions) ([]*gh.RepoStatus, *gh.Response, error) {
		page, resp, err := r.client.Repositories.GetCombinedStatus(ctx, r.Owner, r.Name, sha, &o)
		if err != nil {
			return nil, nil, err
		}
		return page.Statuses, resp, nil
	})
	if err != nil {
		return nil, err
	}
	checks := newestRuns(runs)
	for _, s := range statuses { // GitHub lists only the newest per name here
		c := Check{Kind: StatusKind, Name: s.GetContext(), URL: s.GetTargetURL(), At: s.GetUpdatedAt().Time}
		c.Status, c.Conclusion = statusWords(s.GetState())
		checks = append(checks, c)
	}
	return checks, nil
}

// newestRuns keeps one run per (App, name): GitHub's "latest" is one per check
// suite, and a commit can have several suites of one App.
func newestRuns(runs []*gh.CheckRun) []Check {
	slices.SortFunc(runs, func(a, b *gh.CheckRun) int {
		return cmp.Or(cmp.Compare(a.GetApp().GetID(), b.GetApp().GetID()),
			cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(b.GetID(), a.GetID()))
	})
	runs = slices.CompactFunc(runs, func(a, b *gh.CheckRun) bool {
		return a.GetApp().GetID() == b.GetApp().GetID() && a.GetName() == b.GetName()
	})
	checks := make([]Check, len(runs))
	for i, run := range runs {
		at := run.GetStartedAt().Time
		if run.CompletedAt != nil {
			at = run.CompletedAt.Time
		}
		checks[i] = Check{Kind: RunKind, AppID: run.GetApp().GetID(), Name: run.GetName(), Status: run.GetStatus(),
			Conclusion: run.GetConclusion(), URL: cmp.Or(run.GetDetailsURL(), run.GetHTMLURL()), At: at}
	}
	return checks
}

func (r *Repo) checkRuns(ctx context.Context, sha string, filter gh.ListCheckRunsOptions) ([]*gh.CheckRun, error) {
	return pages(func(o gh.ListOptions) ([]*gh.CheckRun, *gh.Response, error) {
		filter.ListOptions = o
		page, resp, err := r.client.Checks.ListCheckRunsForRef(ctx, r.Owner, r.Name, sha, &filter)
		if err != nil {
			return nil, nil, err
		}
		return page.CheckRuns, resp, nil
	})
}

// RequiredCheck is a check that GitHub demands before it merges into a branch.
type RequiredCheck struct {
	Name  string
	AppID int64 // whose check run it has to be; 0 for anybody's
}

// requirement is how both rulesets and classic protection write a required
// check; the App's id may be missing, null or -1 for "any".
type requirement struct {
	Context       string `json:"context"`
	IntegrationID *int64 `json:"integration_id"` // rulesets
	AppID         *int64 `json:"app_id"`         // classic protection
}

// BranchRules is what rulesets and classic branch protection demand of a branch.
type BranchRules struct {
	Checks []RequiredCheck
	Strict bool // a pull request has to be up to date with the branch
	Queue  bool // merges go through a merge queue
}

// Rules reads what a branch demands.
func (r *Repo) Rules(ctx context.Context, branch string) (_ BranchRules, err error) {
	defer r.fail(&err, "read the rules of branch %s", branch)
	rules, err := r.rulesets(ctx, branch)
	if err != nil {
		return BranchRules{}, err
	}
	classic, strict, err := r.protectedChecks(ctx, branch)
	if err != nil {
		return BranchRules{}, err
	}
	rules.Checks, rules.Strict = append(rules.Checks, classic...), rules.Strict || strict
	slices.SortFunc(rules.Checks, func(a, b RequiredCheck) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.AppID, b.AppID))
	})
	rules.Checks = slices.Compact(rules.Checks)
	return rules, nil
}

// rulesets reads the active rules of all rulesets as raw JSON: go-github v60
// fails on every type of rule that it does not know, such as merge_queue.
func (r *Repo) rulesets(ctx context.Context, branch string) (found BranchRules, err error) {
	type rule struct {
		Type       string          `json:"type"`
		Parameters json.RawMessage `json:"parameters"`
	}
	rules, err := pages(func(o gh.ListOptions) (page []rule, resp *gh.Response, err error) {
		resp, err = r.client.read(ctx, &page, "repos/%s/%s/rules/branches/%s?per_page=%d&page=%d",
			r.Owner, r.Name, url.PathEscape(branch), o.PerPage, max(o.Page, 1))
		return page, resp, err
	})
	for _, rule := range rules {
		found.Queue = found.Queue || rule.Type == "merge_queue"
		if rule.Type != "required_status_checks" {
			continue
		}
		var p struct {
			Checks []requirement `json:"required_status_checks"`
			Strict bool          `json:"strict_required_status_checks_policy"`
		}
		if err := json.Unmarshal(rule.Parameters, &p); err != nil {
			return found, err
		}
		found.Strict = found.Strict || p.Strict
		found.Checks = append(found.Checks, requiredChecks(p.Checks)...)
	}
	return found, err
}

// protectedChecks reads the part of classic protection that needs no
// administration permission.
func (r *Repo) protectedChecks(ctx context.Context, branch string) ([]RequiredCheck, bool, error) {
	var b struct {
		Protection struct {
			Required struct {
				Strict   bool          `json:"strict"`
				Contexts []string      `json:"contexts"`
				Checks   []requirement `json:"checks"`
			} `json:"required_status_checks"`
		} `json:"protection"`
	}
	if _, err := r.client.read(ctx, &b, "repos/%s/%s/branches/%s", r.Owner, r.Name, url.PathEscape(branch)); err != nil {
		return nil, false, err
	}
	required := b.Protection.Required
	wanted := requiredChecks(required.Checks)
	for _, name := range required.Contexts { // every check again; older servers know only these
		if !slices.ContainsFunc(wanted, func(c RequiredCheck) bool { return c.Name == name }) {
			wanted = append(wanted, RequiredCheck{Name: name})
		}
	}
	return wanted, required.Strict, nil
}

func requiredChecks(from []requirement) []RequiredCheck {
	out := make([]RequiredCheck, len(from))
	for i, f := range from {
		out[i].Name = f.Context
		for _, id := range []*int64{f.IntegrationID, f.AppID} {
			if id != nil && *id > 0 {
				out[i].AppID = *id
			}
		}
	}
	return out
}

// CheckRun is a check run of ours to create or change. Title and Summary belong
// together; texts over GitHub's limit of 65,535 bytes are cut.
type CheckRun struct {
	Name, HeadSHA          string // HeadSHA only counts when it is created
	Status, Conclusion     string
	Title, Summary, Text   string
	DetailsURL, ExternalID string
	StartedAt, CompletedAt time.Time // StartedAt only counts when it is created

	// Annotations are added to those that the run has; none can be taken away. At most
	// 50 (https://docs.github.com/en/rest/checks/runs).
	Annotations []Annotation
}

// Annotation is a remark on a line of a file of the commit.
type Annotation struct {
	Path           string
	Line           int    // from 1
	Level          string // "notice", "warning", "failure"
	Title, Message string
}

// checkTextCap is GitHub's limit, in bytes. Over it the request is refused and
// the check would stay pending for ever (github-community-projects/safe-settings#245).
const checkTextCap = 65535

const cutNote = "\n\n… cut here: GitHub shows no more."

func clip(s string) string {
	if len(s) <= checkTextCap {
		return s
	}
	end := checkTextCap - len(cutNote)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cutNote
}

func (c CheckRun) output() *gh.CheckRunOutput {
	if c.Title == "" {
		return nil
	}
	out := &gh.CheckRunOutput{Title: &c.Title, Summary: gh.String(clip(c.Summary)), Text: optional(clip(c.Text))}
	for _, a := range c.Annotations {
		out.Annotations = append(out.Annotations, &gh.CheckRunAnnotation{
			Path: &a.Path, StartLine: &a.Line, EndLine: &a.Line, AnnotationLevel: &a.Level, Title: &a.Title, Message: &a.Message,
		})
	}
	return out
}

// optional is nil for the zero value, which go-github then leaves out.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func timestamp(t time.Time) *gh.Timestamp {
	if t.IsZero() {
		return nil
	}
	return &gh.Timestamp{Time: t.UTC().Truncate(time.Second)}
}

// CreateCheck makes a check run on c.HeadSHA and returns its id.
func (r *Repo) CreateCheck(ctx context.Context, c CheckRun) (_ int64, err error) {
	defer r.fail(&err, "create check %s on %s", c.Name, c.HeadSHA)
	made, _, err := r.client.Checks.CreateCheckRun(ctx, r.Owner, r.Name, gh.CreateCheckRunOptions{
		Name: c.Name, HeadSHA: c.HeadSHA, Status: optional(c.Status), Conclusion: optional(c.Conclusion),
		DetailsURL: optional(c.DetailsURL), ExternalID: optional(c.ExternalID), Output: c.output(),
		StartedAt: timestamp(c.StartedAt), CompletedAt: timestamp(c.CompletedAt),
	})
	return made.GetID(), err
}

// UpdateCheck changes a check run of ours.
func (r *Repo) UpdateCheck(ctx context.Context, id int64, c CheckRun) (err error) {
	defer r.fail(&err, "update check %s", c.Name)
	_, _, err = r.client.Checks.UpdateCheckRun(ctx, r.Owner, r.Name, id, gh.UpdateCheckRunOptions{
		Name: c.Name, Status: optional(c.Status), Conclusion: optional(c.Conclusion),
		DetailsURL: optional(c.DetailsURL), ExternalID: optional(c.ExternalID), Output: c.output(),
		CompletedAt: timestamp(c.CompletedAt),
	})
	return err
}

// FindCheck is the id of the newest check run of ours with that name on a
// commit.
func (r *Repo) FindCheck(ctx context.Context, sha, name string) (_ int64, found bool, err error) {
	defer r.fail(&err, "find check %s on %s", name, sha)
	runs, err := r.checkRuns(ctx, sha, gh.ListCheckRunsOptions{CheckName: &name, AppID: &r.app.id, Filter: gh.String("latest")})
	var newest int64
	for _, run := range runs {
		if run.GetName() == name && run.GetApp().GetID() == r.app.id {
			newest = max(newest, run.GetID())
		}
	}
	return newest, newest != 0, err
}
