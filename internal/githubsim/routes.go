package githubsim

// routes is the whole API: method, path, the permission an App needs, the
// role a person needs, and who answers. Special paths come before general
// ones. The permissions are those of GitHub's "Permissions required for
// GitHub Apps".
func (s *Server) routes() []route {
	const repo = "/repos/{owner}/{repo}"
	var (
		metadata   = "metadata=read"
		readCode   = "contents=read"
		writeCode  = "contents=write"
		readPulls  = "pull_requests=read"
		writePulls = "pull_requests=write"
		readTalk   = "issues=read; pull_requests=read"
		writeTalk  = "issues=write; pull_requests=write"
		admin      = "administration=read"
		members    = "members=read"
	)
	return []route{
		{"GET", "/app", "jwt", "-", s.getApp},
		{"GET", "/app/hook/config", "jwt", "-", s.getHookConfig},
		{"PATCH", "/app/hook/config", "jwt", "-", s.patchHookConfig},
		{"GET", "/app/hook/deliveries", "jwt", "-", s.listDeliveries},
		{"GET", "/app/hook/deliveries/{delivery_id}", "jwt", "-", s.getDelivery},
		{"POST", "/app/hook/deliveries/{delivery_id}/attempts", "jwt", "-", s.redeliver},
		{"GET", "/app/installations", "jwt", "-", s.listInstallations},
		{"GET", "/app/installations/{installation_id}", "jwt", "-", s.getInstallation},
		{"POST", "/app/installations/{installation_id}/access_tokens", "jwt", "-", s.accessToken},
		{"DELETE", "/installation/token", "", "-", s.revokeToken},
		{"GET", "/installation/repositories", metadata, "-", s.installationRepos},
		{"GET", repo + "/installation", "jwt", "-", s.repoInstallation},
		{"GET", "/orgs/{org}/installation", "jwt", "-", s.orgInstallation},
		{"POST", "/graphql", "contents=write", "", s.graphql},
		{"POST", "/api/graphql", "contents=write", "", s.graphql}, // as GitHub Enterprise Server has it
		{"GET", "/rate_limit", "", "", s.rateLimit},

		{"GET", "/user", "", "", s.getMe},
		{"GET", "/users/{username}", "", "", s.getUser},
		{"GET", "/orgs/{org}/members/{username}", members, "", s.orgMember},
		{"GET", "/orgs/{org}/memberships/{username}", members, "", s.orgMembership},
		{"GET", "/orgs/{org}/teams/{team_slug}", members, "", s.getTeam},
		{"GET", "/orgs/{org}/teams/{team_slug}/members", members, "", s.teamMembers},
		{"GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", members, "", s.teamMembership},
		{"GET", repo + "/collaborators/{username}/permission", metadata, "read", s.getPermission},

		{"GET", repo, metadata, "", s.getRepo},
		{"GET", repo + "/contents", readCode, "", s.getContents},
		{"GET", repo + "/contents/{path+}", readCode, "", s.getContents},
		{"PUT", repo + "/contents/{path+}", writeCode, "write", s.putContents},
		{"GET", repo + "/compare/{basehead+}", readCode, "", s.getCompare},
		{"GET", repo + "/commits", readCode, "", s.listCommits},

		{"GET", repo + "/commits/{ref+}/check-runs", "checks=read", "", s.listRuns},
		{"GET", repo + "/commits/{ref+}/check-suites", "checks=read", "", s.listSuites},
		{"GET", repo + "/commits/{ref+}/status", "statuses=read", "", s.combinedStatus},
		{"GET", repo + "/commits/{ref+}/statuses", "statuses=read", "", s.listStatuses},
		{"GET", repo + "/commits/{sha}/pulls", readPulls, "", s.commitPulls},
		{"GET", repo + "/commits/{ref+}", readCode, "", s.getCommit},
		{"POST", repo + "/check-runs", "checks=write", "-", s.createRun},
		{"GET", repo + "/check-runs/{check_run_id}", "checks=read", "", s.getRun},
		{"PATCH", repo + "/check-runs/{check_run_id}", "checks=write", "-", s.patchRun},
		{"POST", repo + "/check-runs/{check_run_id}/rerequest", "checks=write", "write", s.rerequestRun},
		{"GET", repo + "/check-suites/{check_suite_id}/check-runs", "checks=read", "", s.suiteRuns},
		{"POST", repo + "/statuses/{sha}", "statuses=write", "write", s.createStatus},

		{"GET", repo + "/branches", readCode, "", s.listBranches},
		{"GET", repo + "/branches/{branch+}/protection/required_status_checks", admin, "admin", s.getRequiredChecks},
		{"GET", repo + "/branches/{branch+}/protection", admin, "admin", s.getProtection},
		{"GET", repo + "/branches/{branch+}", readCode, "", s.getBranch},
		{"GET", repo + "/rules/branches/{branch+}", metadata, "", s.getRules},

		{"GET", repo + "/git/ref/{ref+}", readCode, "", s.getRef},
		{"GET", repo + "/git/matching-refs/{ref+}", readCode, "", s.matchingRefs},
		{"POST", repo + "/git/refs", writeCode, "write", s.createRef},
		{"PATCH", repo + "/git/refs/{ref+}", writeCode, "write", s.patchRef},
		{"DELETE", repo + "/git/refs/{ref+}", writeCode, "write", s.deleteRef},
		{"POST", repo + "/git/blobs", writeCode, "write", s.createBlob},
		{"GET", repo + "/git/blobs/{sha}", readCode, "", s.getBlob},
		{"POST", repo + "/git/trees", writeCode, "write", s.createTree},
		{"GET", repo + "/git/trees/{sha+}", readCode, "", s.getTree},
		{"POST", repo + "/git/commits", writeCode, "write", s.createCommit},
		{"GET", repo + "/git/commits/{sha}", readCode, "", s.getGitCommit},

		{"GET", repo + "/pulls", readPulls, "", s.listPulls},
		{"POST", repo + "/pulls", writePulls, "write", s.createPull},
		{"GET", repo + "/pulls/{number}", readPulls, "", s.getPull},
		{"PATCH", repo + "/pulls/{number}", writePulls, "read", s.patchPull},
		{"GET", repo + "/pulls/{number}/files", readPulls, "", s.pullFiles},
		{"GET", repo + "/pulls/{number}/commits", readPulls, "", s.pullCommits},
		{"PUT", repo + "/pulls/{number}/merge", writeCode, "write", s.mergePull},
		{"PUT", repo + "/pulls/{number}/update-branch", writePulls, "write", s.updateBranch},
		{"GET", repo + "/pulls/{number}/reviews", readPulls, "", s.listReviews},
		{"POST", repo + "/pulls/{number}/reviews", writePulls, "read", s.createReview},
		{"GET", repo + "/pulls/{number}/reviews/{review_id}", readPulls, "", s.getReview},
		{"PUT", repo + "/pulls/{number}/reviews/{review_id}", writePulls, "read", s.editReview},
		{"PUT", repo + "/pulls/{number}/reviews/{review_id}/dismissals", writePulls, "write", s.dismissReview},
		{"GET", repo + "/pulls/{number}/requested_reviewers", readPulls, "", s.getRequestedReviewers},
		{"POST", repo + "/pulls/{number}/requested_reviewers", writePulls, "triage", s.requestReviewers},

		{"GET", repo + "/issues", readTalk, "", s.listIssues},
		{"POST", repo + "/issues", "issues=write", "read", s.createIssue},
		{"GET", repo + "/issues/comments", readTalk, "", s.listRepoComments},
		{"GET", repo + "/issues/comments/{comment_id}", readTalk, "", s.getComment},
		{"PATCH", repo + "/issues/comments/{comment_id}", writeTalk, "read", s.patchComment},
		{"DELETE", repo + "/issues/comments/{comment_id}", writeTalk, "read", s.deleteComment},
		{"GET", repo + "/issues/comments/{comment_id}/reactions", readTalk, "", s.listReactions},
		{"POST", repo + "/issues/comments/{comment_id}/reactions", writeTalk, "read", s.createReaction},
		{"DELETE", repo + "/issues/comments/{comment_id}/reactions/{reaction_id}", writeTalk, "read", s.deleteReaction},
		{"GET", repo + "/issues/{number}", readTalk, "", s.getIssue},
		{"PATCH", repo + "/issues/{number}", writeTalk, "read", s.patchIssue},
		{"GET", repo + "/issues/{number}/comments", readTalk, "", s.listComments},
		{"POST", repo + "/issues/{number}/comments", writeTalk, "read", s.createComment},
		{"POST", repo + "/issues/{number}/reactions", writeTalk, "read", s.createIssueReaction},
		{"GET", repo + "/issues/{number}/labels", readTalk, "", s.listLabels},
		{"POST", repo + "/issues/{number}/labels", writeTalk, "triage", s.addLabels},
		{"DELETE", repo + "/issues/{number}/labels/{name+}", writeTalk, "triage", s.removeLabel},
		{"GET", repo + "/labels", readTalk, "", s.listRepoLabels},
		{"POST", repo + "/labels", writeTalk, "write", s.createLabel},
		{"GET", repo + "/labels/{name+}", readTalk, "", s.getLabel},

		{"GET", repo + "/deployments", "deployments=read", "", s.listDeployments},
		{"POST", repo + "/deployments", "deployments=write", "write", s.createDeployment},
		{"GET", repo + "/deployments/{deployment_id}", "deployments=read", "", s.getDeployment},
		{"GET", repo + "/deployments/{deployment_id}/statuses", "deployments=read", "", s.listDeploymentStatuses},
		{"POST", repo + "/deployments/{deployment_id}/statuses", "deployments=write", "write", s.createDeploymentStatus},
	}
}
