package githubsim

import (
	"fmt"
	"maps"
)

// side is head or base of a pull request.
func (s *Server) side(r *repo, ref, sha string) object {
	return object{
		"label": r.owner.login + ":" + ref, "ref": ref, "sha": sha, "user": s.user(r.owner), "repo": s.repository(r),
	}
}

// pullSimple is pull-request-simple, as lists and review events carry it.
func (s *Server) pullSimple(r *repo, i *issue) object {
	p := i.pull
	self, html := s.api(r, "pulls/%d", i.number), s.html(r, "pull/%d", i.number)
	issue := s.api(r, "issues/%d", i.number)
	statuses := s.api(r, "statuses/%s", p.headSHA)
	link := func(href string) object { return object{"href": href} }
	return object{
		"url": self, "id": p.id, "node_id": nodeID("PullRequest", p.id), "html_url": html, "diff_url": html + ".diff",
		"patch_url": html + ".patch", "issue_url": issue, "commits_url": self + "/commits",
		"review_comments_url": self + "/comments", "review_comment_url": s.api(r, "pulls/comments{/number}"),
		"comments_url": issue + "/comments", "statuses_url": statuses, "number": i.number, "state": i.state,
		"locked": false, "active_lock_reason": nil, "title": i.title, "user": s.user(i.author), "body": orNull(i.body),
		"labels": s.labels(r, i.labels), "milestone": nil, "created_at": stamp(i.created), "updated_at": stamp(i.updated),
		"closed_at": stampOrNull(i.closed), "merged_at": stampOrNull(p.mergedAt), "merge_commit_sha": orNull(p.mergeSHA),
		"assignee": nil, "assignees": []any{}, "requested_reviewers": collect(p.requested, s.user),
		"requested_teams": collect(p.teams, s.teamObject), "draft": p.draft, "auto_merge": nil,
		"head": s.side(r, p.headRef, p.headSHA), "base": s.side(r, p.baseRef, p.baseSHA),
		"author_association": s.association(r, i.author),
		"_links": object{
			"self": link(self), "html": link(html), "issue": link(issue), "comments": link(issue + "/comments"),
			"review_comments": link(self + "/comments"), "review_comment": link(s.api(r, "pulls/comments{/number}")),
			"commits": link(self + "/commits"), "statuses": link(statuses),
		},
	}
}

// pullObject is pull-request. Its mergeable fields are unknown when computed
// is false.
func (s *Server) pullObject(r *repo, i *issue, computed bool) (object, error) {
	o := s.pullSimple(r, i)
	p := i.pull
	c, err := s.pullComparison(r, i)
	if err != nil {
		return nil, err
	}
	additions, deletions := 0, 0
	for _, f := range c.files {
		additions, deletions = additions+f.additions, deletions+f.deletions
	}
	o["merged"], o["merged_by"], o["rebaseable"] = p.merged, s.userOrNull(p.mergedBy), nil
	o["comments"], o["review_comments"], o["maintainer_can_modify"] = len(i.comments), 0, false
	o["commits"], o["additions"], o["deletions"], o["changed_files"] = c.ahead, additions, deletions, len(c.files)
	o["mergeable"], o["mergeable_state"] = nil, "unknown"
	if computed && i.state == "open" {
		ok, state, err := s.mergeability(r, i)
		if err != nil {
			return nil, err
		}
		o["mergeable"], o["rebaseable"], o["mergeable_state"] = ok, ok, state
	}
	return o, nil
}

// pullMinimal is pull-request-minimal.
func (s *Server) pullMinimal(r *repo, i *issue) object {
	in := object{"id": r.id, "url": s.api(r, ""), "name": r.name}
	return object{
		"id": i.pull.id, "number": i.number, "url": s.api(r, "pulls/%d", i.number),
		"head": object{"ref": i.pull.headRef, "sha": i.pull.headSHA, "repo": in},
		"base": object{"ref": i.pull.baseRef, "sha": i.pull.baseSHA, "repo": maps.Clone(in)},
	}
}

// reviewObject is pull-request-review; webhooks spell its state in lower case.
func (s *Server) reviewObject(r *repo, i *issue, rv *review) object {
	html := fmt.Sprintf("%s#pullrequestreview-%d", s.html(r, "pull/%d", i.number), rv.id)
	self := s.api(r, "pulls/%d", i.number)
	return object{
		"id": rv.id, "node_id": nodeID("PullRequestReview", rv.id), "user": s.user(rv.author), "body": rv.body,
		"state": rv.state, "html_url": html, "pull_request_url": self, "commit_id": rv.commit,
		"author_association": s.association(r, rv.author), "submitted_at": stamp(rv.submitted),
		"_links": object{"html": object{"href": html}, "pull_request": object{"href": self}},
	}
}

// runObject is check-run.
func (s *Server) runObject(r *repo, run *checkRun) object {
	self := s.api(r, "check-runs/%d", run.id)
	pulls := []any{}
	for _, i := range r.openPulls(func(i *issue) bool { return i.pull.headSHA == run.sha }) {
		pulls = append(pulls, s.pullMinimal(r, i))
	}
	details := run.details
	if details == "" {
		details = s.html(r, "runs/%d", run.id)
	}
	return object{
		"id": run.id, "name": run.name, "node_id": nodeID("CheckRun", run.id), "head_sha": run.sha,
		"external_id": run.externalID, "url": self, "html_url": s.html(r, "runs/%d", run.id), "details_url": details,
		"status": run.status, "conclusion": orNull(run.conclusion), "started_at": stamp(run.started),
		"completed_at": stampOrNull(run.completed), "check_suite": object{"id": run.suite.id},
		"app": s.integration(run.app), "pull_requests": pulls,
		"output": object{
			"title": orNull(run.output.Title), "summary": orNull(run.output.Summary), "text": orNull(run.output.Text),
			"annotations_count": len(run.output.Annotations), "annotations_url": self + "/annotations",
		},
	}
}

// suiteObject is check-suite.
func (s *Server) suiteObject(r *repo, su *checkSuite) (object, error) {
	self := s.api(r, "check-suites/%d", su.id)
	head, err := s.simpleCommit(r, su.sha)
	if err != nil {
		return nil, err
	}
	status, conclusion, runs := r.suiteState(su)
	pulls := []any{}
	for _, i := range r.openPulls(func(i *issue) bool { return i.pull.headSHA == su.sha }) {
		pulls = append(pulls, s.pullMinimal(r, i))
	}
	return object{
		"id": su.id, "node_id": nodeID("CheckSuite", su.id), "head_branch": orNull(su.branch), "head_sha": su.sha,
		"status": status, "conclusion": orNull(conclusion), "url": self, "before": orNull(su.before), "after": su.sha,
		"pull_requests": pulls, "app": s.integration(su.app), "repository": s.repository(r),
		"created_at": stamp(su.created), "updated_at": stamp(su.updated), "head_commit": head,
		"latest_check_runs_count": runs, "check_runs_url": self + "/check-runs", "rerequestable": true,
		"runs_rerequestable": true,
	}, nil
}

// statusObject is status.
func (s *Server) statusObject(r *repo, st *commitStatus) object {
	return object{
		"id": st.id, "node_id": nodeID("StatusContext", st.id), "url": s.api(r, "statuses/%s", st.sha),
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d", s.url, st.creator.id), "state": st.state, "context": st.context,
		"description": orNull(st.description), "target_url": orNull(st.target), "creator": s.user(st.creator),
		"created_at": stamp(st.created), "updated_at": stamp(st.created), "required": false,
	}
}

// deploymentObject is deployment.
func (s *Server) deploymentObject(r *repo, d *deployment) object {
	self := s.api(r, "deployments/%d", d.id)
	return object{
		"id": d.id, "node_id": nodeID("Deployment", d.id), "url": self, "sha": d.sha, "ref": d.ref, "task": d.task,
		"payload": d.payload, "original_environment": d.environment, "environment": d.environment,
		"description": orNull(d.description), "creator": s.user(d.creator), "created_at": stamp(d.created),
		"updated_at": stamp(d.updated), "statuses_url": self + "/statuses", "repository_url": s.api(r, ""),
		"transient_environment": d.transient, "production_environment": d.production,
		"performed_via_github_app": s.integrationOrNull(d.via),
	}
}

// deploymentStatusObject is deployment-status.
func (s *Server) deploymentStatusObject(r *repo, d *deployment, st *deploymentStatus) object {
	self := s.api(r, "deployments/%d", d.id)
	return object{
		"id": st.id, "node_id": nodeID("DeploymentStatus", st.id), "url": fmt.Sprintf("%s/statuses/%d", self, st.id),
		"state": st.state, "creator": s.user(st.creator), "description": st.description, "environment": st.environment,
		"target_url": st.target, "log_url": st.logURL, "environment_url": st.envURL, "created_at": stamp(st.created),
		"updated_at": stamp(st.created), "deployment_url": self, "repository_url": s.api(r, ""),
		"performed_via_github_app": s.integrationOrNull(st.via),
	}
}
