package openapi

// wanted are the operations that Tagboat or its simulator speak, by path.
var wanted = map[string][]string{
	// The App.
	"/app":                               {"get"},
	"/app/hook/config":                   {"get", "patch"},
	"/app/hook/deliveries":               {"get"},
	"/app/hook/deliveries/{delivery_id}": {"get"},
	"/app/hook/deliveries/{delivery_id}/attempts":        {"post"},
	"/app/installations":                                 {"get"},
	"/app/installations/{installation_id}":               {"get"},
	"/app/installations/{installation_id}/access_tokens": {"post"},
	"/app-manifests/{code}/conversions":                  {"post"},
	"/installation/token":                                {"delete"},
	"/installation/repositories":                         {"get"},
	"/repos/{owner}/{repo}/installation":                 {"get"},
	"/orgs/{org}/installation":                           {"get"},
	"/rate_limit":                                        {"get"},
	"/meta":                                              {"get"},

	// People.
	"/user":                                                     {"get"},
	"/users/{username}":                                         {"get"},
	"/orgs/{org}/members/{username}":                            {"get"},
	"/orgs/{org}/memberships/{username}":                        {"get"},
	"/orgs/{org}/teams/{team_slug}":                             {"get"},
	"/orgs/{org}/teams/{team_slug}/members":                     {"get"},
	"/orgs/{org}/teams/{team_slug}/memberships/{username}":      {"get"},
	"/repos/{owner}/{repo}/collaborators/{username}/permission": {"get"},

	// The repository and its content.
	"/repos/{owner}/{repo}":                            {"get"},
	"/repos/{owner}/{repo}/contents/{path}":            {"get", "put"},
	"/repos/{owner}/{repo}/codeowners/errors":          {"get"},
	"/repos/{owner}/{repo}/compare/{basehead}":         {"get"},
	"/repos/{owner}/{repo}/commits":                    {"get"},
	"/repos/{owner}/{repo}/commits/{ref}":              {"get"},
	"/repos/{owner}/{repo}/commits/{commit_sha}/pulls": {"get"},

	// Git data.
	"/repos/{owner}/{repo}/git/ref/{ref}":            {"get"},
	"/repos/{owner}/{repo}/git/matching-refs/{ref}":  {"get"},
	"/repos/{owner}/{repo}/git/refs":                 {"post"},
	"/repos/{owner}/{repo}/git/refs/{ref}":           {"patch", "delete"},
	"/repos/{owner}/{repo}/git/blobs":                {"post"},
	"/repos/{owner}/{repo}/git/blobs/{file_sha}":     {"get"},
	"/repos/{owner}/{repo}/git/trees":                {"post"},
	"/repos/{owner}/{repo}/git/trees/{tree_sha}":     {"get"},
	"/repos/{owner}/{repo}/git/commits":              {"post"},
	"/repos/{owner}/{repo}/git/commits/{commit_sha}": {"get"},

	// Protection.
	"/repos/{owner}/{repo}/branches":                                            {"get"},
	"/repos/{owner}/{repo}/branches/{branch}":                                   {"get"},
	"/repos/{owner}/{repo}/branches/{branch}/protection":                        {"get"},
	"/repos/{owner}/{repo}/branches/{branch}/protection/required_status_checks": {"get"},
	"/repos/{owner}/{repo}/rules/branches/{branch}":                             {"get"},

	// Pull requests.
	"/repos/{owner}/{repo}/pulls":                                              {"get", "post"},
	"/repos/{owner}/{repo}/pulls/{pull_number}":                                {"get", "patch"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/files":                          {"get"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/commits":                        {"get"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/reviews":                        {"get", "post"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}":            {"get", "put"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals": {"put"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers":            {"get", "post"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/merge":                          {"put"},
	"/repos/{owner}/{repo}/pulls/{pull_number}/update-branch":                  {"put"},

	// Issues, which pull requests are as well.
	"/repos/{owner}/{repo}/issues":                                               {"get", "post"},
	"/repos/{owner}/{repo}/issues/{issue_number}":                                {"get", "patch"},
	"/repos/{owner}/{repo}/issues/{issue_number}/reactions":                      {"post"},
	"/repos/{owner}/{repo}/issues/{issue_number}/comments":                       {"get", "post"},
	"/repos/{owner}/{repo}/issues/comments":                                      {"get"},
	"/repos/{owner}/{repo}/issues/comments/{comment_id}":                         {"get", "patch", "delete"},
	"/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions":               {"get", "post"},
	"/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}": {"delete"},
	"/repos/{owner}/{repo}/issues/{issue_number}/labels":                         {"get", "post"},
	"/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}":                  {"delete"},
	"/repos/{owner}/{repo}/labels":                                               {"get", "post"},
	"/repos/{owner}/{repo}/labels/{name}":                                        {"get"},
	"/repos/{owner}/{repo}/issues/{issue_number}/assignees":                      {"post"},
	"/repos/{owner}/{repo}/issues/{issue_number}/timeline":                       {"get"},

	// CI.
	"/repos/{owner}/{repo}/statuses/{sha}":                           {"post"},
	"/repos/{owner}/{repo}/commits/{ref}/status":                     {"get"},
	"/repos/{owner}/{repo}/commits/{ref}/statuses":                   {"get"},
	"/repos/{owner}/{repo}/check-runs":                               {"post"},
	"/repos/{owner}/{repo}/check-runs/{check_run_id}":                {"get", "patch"},
	"/repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest":      {"post"},
	"/repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs": {"get"},
	"/repos/{owner}/{repo}/commits/{ref}/check-runs":                 {"get"},
	"/repos/{owner}/{repo}/commits/{ref}/check-suites":               {"get"},

	// Deployments.
	"/repos/{owner}/{repo}/deployments":                                      {"get", "post"},
	"/repos/{owner}/{repo}/deployments/{deployment_id}":                      {"get"},
	"/repos/{owner}/{repo}/deployments/{deployment_id}/statuses":             {"get", "post"},
	"/repos/{owner}/{repo}/environments/{environment_name}":                  {"get"},
	"/repos/{owner}/{repo}/dispatches":                                       {"post"},
	"/repos/{owner}/{repo}/actions/runs/{run_id}/deployment_protection_rule": {"post"},
}

// wantedWebhooks are the events whose schemas are kept, with every action.
var wantedWebhooks = []string{
	"ping", "installation", "installation_repositories", "push", "create", "delete", "pull_request",
	"pull_request_review", "issue_comment", "check_run", "check_suite", "status", "merge_group",
	"deployment", "deployment_status", "registry_package", "repository_ruleset", "branch_protection_rule",
	"team", "membership", "member", "organization", "repository",
}

// slashed are the path parameters whose values may contain slashes.
var slashed = map[string]string{
	"/repos/{owner}/{repo}/contents/{path}":         "{path}",
	"/repos/{owner}/{repo}/git/ref/{ref}":           "{ref}",
	"/repos/{owner}/{repo}/git/matching-refs/{ref}": "{ref}",
	"/repos/{owner}/{repo}/git/refs/{ref}":          "{ref}",
	"/repos/{owner}/{repo}/compare/{basehead}":      "{basehead}",
}
