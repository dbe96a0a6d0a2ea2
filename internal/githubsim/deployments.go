package githubsim

import (
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"
)

// createDeployment follows GitHub's defaults, which surprise: auto_merge is
// true, and without required_contexts every check and status must be green.
func (s *Server) createDeployment(c *call) (any, error) {
	in := struct {
		Ref, Task, Environment, Description string
		Payload                             any
		AutoMerge                           *bool     `json:"auto_merge"`
		RequiredContexts                    *[]string `json:"required_contexts"`
		Transient                           bool      `json:"transient_environment"`
		Production                          *bool     `json:"production_environment"`
	}{Task: "deploy", Environment: "production", Payload: object{}}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	sha, ok := c.repo.git.resolve(in.Ref)
	if !ok {
		return nil, failf(http.StatusUnprocessableEntity, "No ref found for: %s", in.Ref)
	}
	if in.AutoMerge == nil || *in.AutoMerge {
		if done, err := s.autoMerge(c, in.Ref); done != nil || err != nil {
			return done, err
		}
	}
	if err := c.repo.contextsGreen(in.Ref, sha, in.RequiredContexts); err != nil {
		return nil, err
	}
	d := &deployment{
		id: s.nextID(), sha: sha, ref: in.Ref, task: in.Task, environment: in.Environment, description: in.Description,
		payload: in.Payload, creator: c.actor.account(), via: c.actor.app, transient: in.Transient,
		production: in.Environment == "production", created: s.now(), updated: s.now(),
	}
	if in.Production != nil {
		d.production = *in.Production
	}
	if d.payload == nil {
		d.payload = object{}
	}
	c.repo.deployments = append(c.repo.deployments, d)
	s.emit("deployment", object{
		"action": "created", "deployment": s.deploymentObject(c.repo, d), "workflow": nil, "workflow_run": nil,
		"sender": s.user(c.actor.account()),
	}, c.repo, nil)
	return created(s.deploymentObject(c.repo, d)), nil
}

// autoMerge merges the default branch into a branch that is behind and
// answers 202 instead of deploying.
func (s *Server) autoMerge(c *call, ref string) (any, error) {
	tip, isBranch := c.repo.git.refs["refs/heads/"+ref]
	if !isBranch || ref == c.repo.defaultBranch {
		return nil, nil
	}
	base := c.repo.git.refs["refs/heads/"+c.repo.defaultBranch]
	d, err := s.comparisonOf(c.repo, base, tip)
	if err != nil || d.behind == 0 {
		return nil, err
	}
	if err := s.mergeInto(c, ref, base, fmt.Sprintf("Merge branch '%s' into %s", c.repo.defaultBranch, ref)); err != nil {
		return nil, failf(http.StatusConflict, "Conflict merging %s into %s.", c.repo.defaultBranch, ref)
	}
	message := fmt.Sprintf("Auto-merged %s into %s on deployment.", c.repo.defaultBranch, ref)
	return reply{status: http.StatusAccepted, body: object{"message": message}}, nil
}

// contextsGreen demands success of the named contexts, or of all there are.
func (r *repo) contextsGreen(ref, sha string, contexts *[]string) error {
	states := map[string]string{}
	for _, run := range r.latestRuns(sha) {
		states[run.name] = run.verdict()
	}
	for _, st := range r.latestStatuses(sha) {
		states[st.context] = st.verdict()
	}
	required := []string{}
	if contexts != nil {
		required = *contexts
	} else {
		for name := range states {
			required = append(required, name)
		}
		slices.Sort(required)
	}
	missing := []object{}
	for _, name := range required {
		if state, ok := states[name]; !ok || state != "" {
			missing = append(missing, object{"context": name, "state": map[bool]string{true: state, false: "missing"}[ok]})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fail(http.StatusConflict, fmt.Sprintf("Conflict: Commit status checks failed for %s.", ref), object{
		"contexts": missing, "resource": "Deployment", "field": "required_contexts", "code": "invalid",
	})
}

func (s *Server) listDeployments(c *call) (any, error) {
	items := list{}
	for _, d := range slices.Backward(c.repo.deployments) {
		fits := true
		for name, value := range map[string]string{"sha": d.sha, "ref": d.ref, "task": d.task, "environment": d.environment} {
			if want := c.query(name); want != "" && want != "none" && want != value {
				fits = false
			}
		}
		if fits {
			items = append(items, s.deploymentObject(c.repo, d))
		}
	}
	return items, nil
}

func (c *call) onDeployment() (*deployment, error) {
	id, err := c.number("deployment_id")
	if err != nil {
		return nil, err
	}
	for _, d := range c.repo.deployments {
		if d.id == id {
			return d, nil
		}
	}
	return nil, errNotFound
}

func (s *Server) getDeployment(c *call) (any, error) {
	d, err := c.onDeployment()
	if err != nil {
		return nil, err
	}
	return s.deploymentObject(c.repo, d), nil
}

var deploymentStates = []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}

// createDeploymentStatus adds a status. A success makes earlier deployments
// to the environment inactive unless auto_inactive is false.
func (s *Server) createDeploymentStatus(c *call) (any, error) {
	d, err := c.onDeployment()
	if err != nil {
		return nil, err
	}
	var in struct {
		State, Description, Environment string
		LogURL                          string `json:"log_url"`
		TargetURL                       string `json:"target_url"`
		EnvironmentURL                  string `json:"environment_url"`
		AutoInactive                    *bool  `json:"auto_inactive"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(deploymentStates, in.State):
		return nil, unprocessable("DeploymentStatus", "state", "invalid", "")
	case utf8.RuneCountInString(in.Description) > 140:
		return nil, unprocessable("DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	if in.Environment != "" {
		d.environment = in.Environment
	}
	st := s.addDeploymentStatus(c, d, in.State)
	st.description, st.logURL, st.envURL, st.target = in.Description, in.LogURL, in.EnvironmentURL, in.TargetURL
	if st.target == "" {
		st.target = in.LogURL
	}
	s.emitDeploymentStatus(c, d, st)
	if in.State == "success" && (in.AutoInactive == nil || *in.AutoInactive) {
		for _, old := range c.repo.deployments {
			if old == d || old.transient || old.production || old.environment != d.environment || old.state() != "success" {
				continue
			}
			s.emitDeploymentStatus(c, old, s.addDeploymentStatus(c, old, "inactive"))
		}
	}
	return created(s.deploymentStatusObject(c.repo, d, st)), nil
}

func (d *deployment) state() string {
	if len(d.statuses) == 0 {
		return ""
	}
	return d.statuses[len(d.statuses)-1].state
}

func (s *Server) addDeploymentStatus(c *call, d *deployment, state string) *deploymentStatus {
	st := &deploymentStatus{
		id: s.nextID(), state: state, environment: d.environment, creator: c.actor.account(), via: c.actor.app, created: s.now(),
	}
	d.statuses = append(d.statuses, st)
	d.updated = s.now()
	return st
}

func (s *Server) emitDeploymentStatus(c *call, d *deployment, st *deploymentStatus) {
	s.emit("deployment_status", object{
		"action": "created", "deployment_status": s.deploymentStatusObject(c.repo, d, st),
		"deployment": s.deploymentObject(c.repo, d), "check_run": nil, "workflow": nil, "workflow_run": nil,
		"sender": s.user(c.actor.account()),
	}, c.repo, nil)
}

func (s *Server) listDeploymentStatuses(c *call) (any, error) {
	d, err := c.onDeployment()
	if err != nil {
		return nil, err
	}
	items := list{}
	for _, st := range slices.Backward(d.statuses) {
		items = append(items, s.deploymentStatusObject(c.repo, d, st))
	}
	return items, nil
}
