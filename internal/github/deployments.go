package github

import (
	"context"

	gh "github.com/google/go-github/v60/github"
)

// Deployment says that a commit goes to an environment.
type Deployment struct {
	Ref         string // commit SHA
	Environment string
	Description string
	Payload     any // JSON for whoever reads it; may be nil
}

// CreateDeployment records a deployment and returns its id. It switches off
// what GitHub does by default: merging the default branch into Ref, and
// demanding that every status of Ref is green.
func (r *Repo) CreateDeployment(ctx context.Context, d Deployment) (_ int64, err error) {
	defer r.fail(&err, "create a deployment to %s", d.Environment)
	made, _, err := r.client.Repositories.CreateDeployment(ctx, r.Owner, r.Name, &gh.DeploymentRequest{
		Ref: &d.Ref, Environment: &d.Environment, Description: optional(shorten(d.Description)), Payload: d.Payload,
		AutoMerge: gh.Bool(false), RequiredContexts: &[]string{},
	})
	return made.GetID(), err
}

// FindDeployment looks for the deployment of ours of a commit to an environment whose
// payload is the one: one commit may bring several apps there.
func (r *Repo) FindDeployment(ctx context.Context, ref, environment string, is func(payload []byte) bool) (_ int64, found bool, err error) {
	defer r.fail(&err, "look for a deployment to %s", environment)
	listed, err := pages(func(o gh.ListOptions) ([]*gh.Deployment, *gh.Response, error) {
		return r.client.Repositories.ListDeployments(ctx, r.Owner, r.Name, &gh.DeploymentsListOptions{
			SHA: ref, Environment: environment, ListOptions: o,
		})
	})
	if err != nil {
		return 0, false, err
	}
	for _, d := range listed {
		if !is(d.Payload) {
			continue
		}
		us, err := r.app.isUs(ctx, userOf(d.Creator))
		if err != nil || us {
			return d.GetID(), us, err
		}
	}
	return 0, false, nil
}

// DeploymentStatus is how far a deployment has come.
type DeploymentStatus struct {
	State          string // "queued", "in_progress", "success", "failure", "error", "inactive", ...
	Description    string // cut to GitHub's limit of 140 characters
	LogURL         string
	EnvironmentURL string
}

// DeploymentStatus reports how far a deployment has come.
func (r *Repo) DeploymentStatus(ctx context.Context, id int64, s DeploymentStatus) (err error) {
	defer r.fail(&err, "report deployment %d as %s", id, s.State)
	_, _, err = r.client.Repositories.CreateDeploymentStatus(ctx, r.Owner, r.Name, id, &gh.DeploymentStatusRequest{
		// GitHub marks the earlier successes in the environment inactive: an environment is
		// one app in one cluster, and has one version at a time.
		State: &s.State, Description: optional(shorten(s.Description)), AutoInactive: gh.Bool(true),
		LogURL: optional(s.LogURL), EnvironmentURL: optional(s.EnvironmentURL),
	})
	return err
}

// shorten cuts to the 140 characters that a deployment's descriptions may have.
func shorten(s string) string {
	const limit = 140
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}
