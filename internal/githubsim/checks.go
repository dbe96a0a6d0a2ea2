package githubsim

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// maxCheckOutput is the longest summary or text of a check run, in bytes.
const maxCheckOutput = 65535

type checkOutput struct {
	Title       string `json:"title"`
	Summary     string `json:"summary"`
	Text        string `json:"text"`
	Annotations []any  `json:"annotations"`
}

type checkAction struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// runInput is the body of POST and PATCH; what is nil stays as it is.
type runInput struct {
	Name        *string        `json:"name"`
	HeadSHA     string         `json:"head_sha"`
	DetailsURL  *string        `json:"details_url"`
	ExternalID  *string        `json:"external_id"`
	Status      *string        `json:"status"`
	Conclusion  *string        `json:"conclusion"`
	StartedAt   *time.Time     `json:"started_at"`
	CompletedAt *time.Time     `json:"completed_at"`
	Output      *checkOutput   `json:"output"`
	Actions     *[]checkAction `json:"actions"`
}

var (
	runStatuses    = []string{"queued", "in_progress", "completed", "waiting", "requested", "pending"}
	runConclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
)

func (in runInput) check() error {
	invalid := func(field, why string) error { return unprocessable("CheckRun", field, "invalid", why) }
	if in.Status != nil && !slices.Contains(runStatuses, *in.Status) {
		return invalid("status", "")
	}
	if in.Conclusion != nil && !slices.Contains(runConclusions, *in.Conclusion) {
		return invalid("conclusion", "")
	}
	if in.Status != nil && *in.Status == "completed" && in.Conclusion == nil {
		return invalid("conclusion", "conclusion is required when status is completed")
	}
	if in.Actions != nil && len(*in.Actions) > 3 {
		return invalid("actions", "Only 3 actions are allowed")
	}
	if o := in.Output; o != nil {
		switch {
		case o.Title == "" || o.Summary == "":
			return invalid("output", "output needs a title and a summary")
		case len(o.Summary) > maxCheckOutput:
			return invalid("summary", "Only 65535 characters are allowed; "+strconv.Itoa(len(o.Summary))+" were supplied.")
		case len(o.Text) > maxCheckOutput:
			return invalid("text", "Only 65535 characters are allowed; "+strconv.Itoa(len(o.Text))+" were supplied.")
		case len(o.Annotations) > 50:
			return invalid("annotations", "No more than 50 annotations are allowed")
		}
	}
	return nil
}

// apply writes the input into the run. A conclusion completes it.
func (in runInput) apply(run *checkRun, now time.Time) {
	set := func(field *string, value *string) {
		if value != nil {
			*field = *value
		}
	}
	set(&run.name, in.Name)
	set(&run.details, in.DetailsURL)
	set(&run.externalID, in.ExternalID)
	set(&run.status, in.Status)
	if in.StartedAt != nil {
		run.started = *in.StartedAt
	}
	if in.Conclusion != nil {
		run.status, run.conclusion, run.completed = "completed", *in.Conclusion, now
		if in.CompletedAt != nil {
			run.completed = *in.CompletedAt
		}
	} else if in.Status != nil { // back from completed
		run.conclusion, run.completed = "", time.Time{}
	}
	if in.Output != nil {
		annotations := append(run.output.Annotations, in.Output.Annotations...)
		run.output = *in.Output
		run.output.Annotations = annotations
	}
	if in.Actions != nil {
		run.actions = *in.Actions
	}
}

func (s *Server) createRun(c *call) (any, error) {
	var in runInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Name == nil || *in.Name == "" {
		return nil, unprocessable("CheckRun", "name", "missing_field", "")
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if _, err := s.commitOf(c.repo, in.HeadSHA); len(in.HeadSHA) != 40 || err != nil {
		return nil, failf(http.StatusUnprocessableEntity, "No commit found for SHA: %s", in.HeadSHA)
	}
	run := &checkRun{
		id: s.nextID(), sha: in.HeadSHA, app: c.actor.app, status: "queued", started: s.now(),
		suite: s.suite(c.repo, c.actor.app, in.HeadSHA, "", ""),
	}
	in.apply(run, s.now())
	c.repo.runs = append(c.repo.runs, run)
	s.emitRun(c.repo, run, c.actor, "created", nil)
	if err := s.completed(c, run); err != nil {
		return nil, err
	}
	return created(s.runObject(c.repo, run)), nil
}

func (s *Server) patchRun(c *call) (any, error) {
	run, err := c.onRun()
	if err != nil {
		return nil, err
	}
	if run.app != c.actor.app {
		return nil, fail(http.StatusForbidden, "Invalid app_id `"+strconv.FormatInt(c.actor.app.ID, 10)+"` - check run can only be modified by the GitHub App that created it.")
	}
	var in runInput
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	before := run.status
	in.apply(run, s.now())
	if before != "completed" || in.Conclusion != nil {
		if err := s.completed(c, run); err != nil {
			return nil, err
		}
	}
	return s.runObject(c.repo, run), nil
}

// completed emits check_run.completed, and check_suite.completed with the
// last run of the suite.
func (s *Server) completed(c *call, run *checkRun) error {
	if run.status != "completed" {
		return nil
	}
	run.suite.updated = s.now()
	s.emitRun(c.repo, run, c.actor, "completed", nil)
	if status, _, _ := c.repo.suiteState(run.suite); status == "completed" {
		if err := s.emitSuite(c.repo, run.suite, c.actor, "completed", nil); err != nil {
			return err
		}
	}
	return s.checked(c.repo, run.sha)
}

func (s *Server) emitRun(r *repo, run *checkRun, who actor, action string, more object) {
	o := s.runObject(r, run)
	status, conclusion, _ := r.suiteState(run.suite)
	o["check_suite"] = object{
		"id": run.suite.id, "node_id": nodeID("CheckSuite", run.suite.id), "head_branch": orNull(run.suite.branch),
		"head_sha": run.sha, "status": status, "conclusion": orNull(conclusion), "before": orNull(run.suite.before),
		"after": run.sha, "url": s.api(r, "check-suites/%d", run.suite.id), "app": s.integration(run.app),
		"pull_requests": o["pull_requests"], "created_at": stamp(run.suite.created), "updated_at": stamp(run.suite.updated),
	}
	payload := object{"action": action, "check_run": o, "sender": s.user(who.account())}
	var only *App
	if action == "rerequested" || action == "requested_action" { // only the App that owns the run hears of these
		only = run.app
	}
	for name, value := range more {
		payload[name] = value
	}
	s.emit("check_run", payload, r, only)
}

func (s *Server) emitSuite(r *repo, su *checkSuite, who actor, action string, only *App) error {
	o, err := s.suiteObject(r, su)
	if err != nil {
		return err
	}
	delete(o, "repository")
	s.emit("check_suite", object{"action": action, "check_suite": o, "sender": s.user(who.account())}, r, only)
	return nil
}

// suite finds the suite of an App for a commit, or makes it.
func (s *Server) suite(r *repo, app *App, sha, branch, before string) *checkSuite {
	for _, su := range r.suites {
		if su.app == app && su.sha == sha {
			return su
		}
	}
	if branch == "" {
		for ref, tip := range r.git.refs {
			if name, ok := branchOf(ref); ok && tip == sha {
				branch = name
			}
		}
	}
	su := &checkSuite{id: s.nextID(), app: app, sha: sha, branch: branch, before: before, created: s.now(), updated: s.now()}
	r.suites = append(r.suites, su)
	return su
}

// requestSuites asks every App that writes checks to check a pushed commit.
func (s *Server) requestSuites(r *repo, who actor, branch string, u refUpdate) {
	for _, inst := range s.installations {
		if !inst.covers(r) || inst.app.spec.Permissions["checks"] != "write" || !slices.Contains(inst.app.spec.Events, "check_suite") {
			continue
		}
		su := s.suite(r, inst.app, u.new, branch, u.old)
		if err := s.emitSuite(r, su, who, "requested", inst.app); err != nil {
			s.log.Error("a check suite could not be requested", "err", err)
		}
	}
}

// suiteState sums up the runs of a suite.
func (r *repo) suiteState(su *checkSuite) (status, conclusion string, runs int) {
	status, conclusion = "queued", ""
	worst := -1
	open := false
	for _, run := range r.latestRuns(su.sha) {
		if run.suite != su {
			continue
		}
		runs++
		open = open || run.status != "completed"
		rank := slices.Index([]string{"skipped", "neutral", "success", "action_required", "cancelled", "timed_out", "failure"}, run.conclusion)
		if rank > worst {
			worst, conclusion = rank, run.conclusion
		}
	}
	switch {
	case runs == 0:
		return "queued", "", 0
	case open:
		return "in_progress", "", runs
	}
	return "completed", conclusion, runs
}

// latestRuns are the newest runs on a commit, one per App and name.
func (r *repo) latestRuns(sha string) []*checkRun {
	type key struct {
		app  *App
		name string
	}
	seen := map[key]bool{}
	var latest []*checkRun
	for _, run := range slices.Backward(r.runs) {
		k := key{run.app, run.name}
		if run.sha == sha && !seen[k] {
			seen[k] = true
			latest = append(latest, run)
		}
	}
	return latest
}

func (c *call) onRun() (*checkRun, error) {
	id, err := c.number("check_run_id")
	if err != nil {
		return nil, err
	}
	for _, run := range c.repo.runs {
		if run.id == id {
			return run, nil
		}
	}
	return nil, errNotFound
}

func (s *Server) getRun(c *call) (any, error) {
	run, err := c.onRun()
	if err != nil {
		return nil, err
	}
	return s.runObject(c.repo, run), nil
}

func (s *Server) rerequestRun(c *call) (any, error) {
	run, err := c.onRun()
	if err != nil {
		return nil, err
	}
	s.emitRun(c.repo, run, c.actor, "rerequested", nil)
	return created(object{}), nil
}

func (s *Server) listRuns(c *call) (any, error) {
	sha, err := c.commitFor(c.vars["ref"])
	if err != nil {
		return nil, err
	}
	runs := c.repo.latestRuns(sha)
	if c.query("filter") == "all" {
		runs = nil
		for _, run := range slices.Backward(c.repo.runs) {
			if run.sha == sha {
				runs = append(runs, run)
			}
		}
	}
	return s.runList(c, runs), nil
}

func (s *Server) suiteRuns(c *call) (any, error) {
	id, err := c.number("check_suite_id")
	if err != nil {
		return nil, err
	}
	var runs []*checkRun
	for _, run := range slices.Backward(c.repo.runs) {
		if run.suite.id == id {
			runs = append(runs, run)
		}
	}
	return s.runList(c, runs), nil
}

func (s *Server) runList(c *call, runs []*checkRun) any {
	items := []any{}
	for _, run := range runs {
		name, status, app := c.query("check_name"), c.query("status"), c.query("app_id")
		if (name != "" && name != run.name) || (status != "" && status != run.status) || (app != "" && app != strconv.FormatInt(run.app.ID, 10)) {
			continue
		}
		items = append(items, s.runObject(c.repo, run))
	}
	return wrapped{key: "check_runs", items: items, rest: object{"total_count": len(items)}}
}

func (s *Server) listSuites(c *call) (any, error) {
	sha, err := c.commitFor(c.vars["ref"])
	if err != nil {
		return nil, err
	}
	items := []any{}
	for _, su := range c.repo.suites {
		if su.sha != sha {
			continue
		}
		o, err := s.suiteObject(c.repo, su)
		if err != nil {
			return nil, err
		}
		items = append(items, o)
	}
	return wrapped{key: "check_suites", items: items, rest: object{"total_count": len(items)}}, nil
}
