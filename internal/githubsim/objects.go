package githubsim

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The constructors of this file and of objects_*.go make the JSON objects of
// GitHub's OpenAPI description, one constructor per schema, with every field
// that the description requires.

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// stampOrNull is null for the zero time.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// orNull is null for a zero value.
func orNull[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, id))
}

func collect[T any](items []T, to func(T) object) []any {
	out := make([]any, 0, len(items))
	for _, item := range items {
		out = append(out, to(item))
	}
	return out
}

// api is the URL of something below a repository.
func (s *Server) api(r *repo, format string, args ...any) string {
	base := s.url + "/api/v3/repos/" + r.fullName()
	if format == "" {
		return base
	}
	return base + "/" + fmt.Sprintf(format, args...)
}

// html is the URL of a page below a repository.
func (s *Server) html(r *repo, format string, args ...any) string {
	base := s.url + "/" + r.fullName()
	if format == "" {
		return base
	}
	return base + "/" + fmt.Sprintf(format, args...)
}

// user is simple-user.
func (s *Server) user(a *account) object {
	escaped := url.PathEscape(a.login)
	self := s.url + "/api/v3/users/" + escaped
	html := s.url + "/" + escaped
	if a.kind == "Bot" {
		html = s.url + "/apps/" + strings.TrimSuffix(a.login, "[bot]")
	}
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID(a.kind, a.id),
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d", s.url, a.id), "gravatar_id": "",
		"url": self, "html_url": html, "followers_url": self + "/followers",
		"following_url": self + "/following{/other_user}", "gists_url": self + "/gists{/gist_id}",
		"starred_url": self + "/starred{/owner}{/repo}", "subscriptions_url": self + "/subscriptions",
		"organizations_url": self + "/orgs", "repos_url": self + "/repos", "events_url": self + "/events{/privacy}",
		"received_events_url": self + "/received_events", "type": a.kind, "site_admin": false, "user_view_type": "public",
	}
}

// userOrNull is user, or null for nobody.
func (s *Server) userOrNull(a *account) any {
	if a == nil {
		return nil
	}
	return s.user(a)
}

// publicUser is public-user.
func (s *Server) publicUser(a *account) object {
	u := s.user(a)
	for _, name := range []string{"company", "blog", "location", "email", "hireable", "bio"} {
		u[name] = nil
	}
	for _, name := range []string{"public_repos", "public_gists", "followers", "following"} {
		u[name] = 0
	}
	u["name"] = orNull(a.name)
	u["created_at"], u["updated_at"] = stamp(a.created), stamp(a.created)
	return u
}

// organization is organization-simple.
func (s *Server) organization(a *account) object {
	self := s.url + "/api/v3/orgs/" + a.login
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("Organization", a.id), "url": self,
		"repos_url": self + "/repos", "events_url": self + "/events", "hooks_url": self + "/hooks",
		"issues_url": self + "/issues", "members_url": self + "/members{/member}",
		"public_members_url": self + "/public_members{/member}",
		"avatar_url":         fmt.Sprintf("%s/avatars/u/%d", s.url, a.id), "description": nil,
	}
}

// repositoryPaths are the *_url fields of a repository below its API address.
var repositoryPaths = map[string]string{
	"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
	"branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}",
	"comments_url": "/comments{/number}", "commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}",
	"contents_url": "/contents/{+path}", "contributors_url": "/contributors", "deployments_url": "/deployments",
	"downloads_url": "/downloads", "events_url": "/events", "forks_url": "/forks", "git_commits_url": "/git/commits{/sha}",
	"git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}", "hooks_url": "/hooks",
	"issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
	"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}",
	"languages_url": "/languages", "merges_url": "/merges", "milestones_url": "/milestones{/number}",
	"notifications_url": "/notifications{?since,all,participating}", "pulls_url": "/pulls{/number}",
	"releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}",
	"subscribers_url": "/subscribers", "subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams",
	"trees_url": "/git/trees{/sha}",
}

// repository is full-repository, which contains repository and
// minimal-repository.
func (s *Server) repository(r *repo) object {
	host := strings.TrimPrefix(strings.TrimPrefix(s.url, "http://"), "https://")
	open := 0
	for _, i := range r.issues {
		if i.state == "open" {
			open++
		}
	}
	o := object{
		"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name, "full_name": r.fullName(),
		"owner": s.user(r.owner), "private": r.private, "html_url": s.html(r, ""), "description": nil, "fork": false,
		"url": s.api(r, ""), "git_url": "git://" + host + "/" + r.fullName() + ".git",
		"ssh_url": "git@" + host + ":" + r.fullName() + ".git", "clone_url": s.html(r, "") + ".git",
		"svn_url": s.html(r, ""), "mirror_url": nil, "homepage": nil, "language": nil, "license": nil,
		"forks_count": 0, "forks": 0, "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "size": 1,
		"subscribers_count": 0, "network_count": 0, "default_branch": r.defaultBranch,
		"open_issues_count": open, "open_issues": open, "has_issues": true, "has_projects": false,
		"has_downloads": true, "has_wiki": false, "has_pages": false, "has_discussions": false, "is_template": false,
		"archived": r.archived, "disabled": false, "visibility": map[bool]string{true: "private", false: "public"}[r.private],
		"topics": []string{}, "allow_forking": true, "web_commit_signoff_required": false,
		"pushed_at": stamp(r.pushed), "created_at": stamp(r.created), "updated_at": stamp(r.pushed),
		"allow_squash_merge": true, "allow_merge_commit": true, "allow_rebase_merge": true,
		"allow_auto_merge": false, "delete_branch_on_merge": false,
	}
	for name, path := range repositoryPaths {
		o[name] = s.api(r, "") + path
	}
	return o
}

// webhookRepository is repository as webhooks carry it; push counts its times
// in seconds.
func (s *Server) webhookRepository(r *repo, event string) object {
	o := s.repository(r)
	o["custom_properties"] = object{}
	if event == "push" {
		owner := maps.Clone(o["owner"].(object))
		owner["name"], owner["email"] = r.owner.login, nil
		o["owner"], o["created_at"], o["pushed_at"] = owner, r.created.Unix(), r.pushed.Unix()
		o["stargazers"], o["master_branch"] = 0, r.defaultBranch
		if r.owner.kind == "Organization" {
			o["organization"] = r.owner.login
		}
	}
	return o
}

// integration is an App as others see it.
func (s *Server) integration(a *App) object {
	return object{
		"id": a.ID, "slug": a.Slug, "node_id": nodeID("App", a.ID), "client_id": fmt.Sprintf("Iv23li%014d", a.ID),
		"owner": s.user(a.owner), "name": a.spec.Name, "description": "", "external_url": s.url + "/apps/" + a.Slug,
		"html_url": s.url + "/apps/" + a.Slug, "created_at": stamp(a.created), "updated_at": stamp(a.created),
		"permissions": a.spec.Permissions, "events": nonNil(a.spec.Events),
	}
}

func (s *Server) integrationOrNull(a *App) any {
	if a == nil {
		return nil
	}
	return s.integration(a)
}

func nonNil[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

// installationObject is installation.
func (s *Server) installationObject(i *installation) object {
	self := fmt.Sprintf("%s/api/v3/app/installations/%d", s.url, i.id)
	o := object{
		"id": i.id, "account": s.user(i.owner), "repository_selection": "selected",
		"access_tokens_url": self + "/access_tokens", "repositories_url": s.url + "/api/v3/installation/repositories",
		"html_url": fmt.Sprintf("%s/organizations/%s/settings/installations/%d", s.url, i.owner.login, i.id),
		"app_id":   i.app.ID, "app_slug": i.app.Slug, "target_id": i.owner.id, "target_type": i.owner.kind,
		"permissions": i.app.spec.Permissions, "events": nonNil(i.app.spec.Events), "created_at": stamp(i.created),
		"updated_at": stamp(i.created), "single_file_name": nil, "has_multiple_single_files": false,
		"single_file_paths": []string{}, "suspended_by": nil, "suspended_at": nil,
		"client_id": fmt.Sprintf("Iv23li%014d", i.app.ID),
	}
	if i.suspended {
		o["suspended_by"], o["suspended_at"] = s.user(i.owner), stamp(i.since)
	}
	return o
}

// teamObject is team-full.
func (s *Server) teamObject(t *team) object {
	self := fmt.Sprintf("%s/api/v3/organizations/%d/team/%d", s.url, t.org.id, t.id)
	org := s.organization(t.org)
	org["html_url"], org["type"] = s.url+"/"+t.org.login, "Organization"
	org["name"], org["public_repos"], org["public_gists"], org["followers"], org["following"] = t.org.name, 0, 0, 0, 0
	org["has_organization_projects"], org["has_repository_projects"], org["is_verified"] = false, false, false
	org["created_at"], org["updated_at"], org["archived_at"] = stamp(t.org.created), stamp(t.org.created), nil
	return object{
		"id": t.id, "node_id": nodeID("Team", t.id), "url": self, "name": t.slug, "slug": t.slug, "description": "",
		"html_url": fmt.Sprintf("%s/orgs/%s/teams/%s", s.url, t.org.login, t.slug), "permission": "pull",
		"privacy": "closed", "notification_setting": "notifications_enabled", "members_url": self + "/members{/member}",
		"repositories_url": self + "/repos", "parent": nil, "members_count": len(t.members), "repos_count": 0,
		"created_at": stamp(t.created), "updated_at": stamp(t.created), "organization": org,
		"type": "organization", "organization_id": t.org.id,
	}
}

// association is author_association. GitHub shows private members as NONE or
// CONTRIBUTOR now and then; so does nobody rely on it.
func (s *Server) association(r *repo, a *account) string {
	switch {
	case a == r.owner:
		return "OWNER"
	case r.owner.isMember(a.login):
		return "MEMBER"
	case r.collaborators[a.login] != "":
		return "COLLABORATOR"
	}
	return "NONE"
}

// labelObject is label.
func (s *Server) labelObject(r *repo, l *label) object {
	return object{
		"id": l.id, "node_id": nodeID("Label", l.id), "url": s.api(r, "labels/%s", url.PathEscape(l.name)),
		"name": l.name, "description": orNull(l.description), "color": l.color, "default": l.name == "bug",
	}
}

func (s *Server) labels(r *repo, labels []*label) []any {
	return collect(labels, func(l *label) object { return s.labelObject(r, l) })
}

var reactionContents = []string{"+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"}

// rollup is reaction-rollup.
func rollup(self string, reactions []*reaction) object {
	o := object{"url": self + "/reactions", "total_count": len(reactions)}
	for _, content := range reactionContents {
		n := 0
		for _, r := range reactions {
			if r.content == content {
				n++
			}
		}
		o[content] = n
	}
	return o
}

func (s *Server) reactionObject(r *reaction) object {
	return object{
		"id": r.id, "node_id": nodeID("Reaction", r.id), "user": s.user(r.user),
		"content": r.content, "created_at": stamp(r.created),
	}
}

// issueObject is issue.
func (s *Server) issueObject(r *repo, i *issue) object {
	self := s.api(r, "issues/%d", i.number)
	o := object{
		"id": i.id, "node_id": nodeID("Issue", i.id), "url": self, "repository_url": s.api(r, ""),
		"labels_url": self + "/labels{/name}", "comments_url": self + "/comments", "events_url": self + "/events",
		"html_url": s.html(r, "issues/%d", i.number), "number": i.number, "state": i.state, "state_reason": nil,
		"title": i.title, "body": orNull(i.body), "user": s.user(i.author), "labels": s.labels(r, i.labels),
		"assignee": nil, "assignees": []any{}, "milestone": nil, "locked": false, "active_lock_reason": nil,
		"comments": len(i.comments), "created_at": stamp(i.created), "updated_at": stamp(i.updated),
		"closed_at": stampOrNull(i.closed), "closed_by": s.userOrNull(i.closedBy),
		"author_association": s.association(r, i.author), "timeline_url": self + "/timeline",
		"performed_via_github_app": s.integrationOrNull(i.via), "reactions": rollup(self, i.reactions),
	}
	if p := i.pull; p != nil {
		html := s.html(r, "pull/%d", i.number)
		o["html_url"], o["draft"] = html, p.draft
		o["pull_request"] = object{
			"url": s.api(r, "pulls/%d", i.number), "html_url": html, "diff_url": html + ".diff",
			"patch_url": html + ".patch", "merged_at": stampOrNull(p.mergedAt),
		}
	}
	return o
}

// commentObject is issue-comment.
func (s *Server) commentObject(r *repo, c *comment) object {
	self := s.api(r, "issues/comments/%d", c.id)
	return object{
		"id": c.id, "node_id": nodeID("IssueComment", c.id), "url": self,
		"html_url":  fmt.Sprintf("%s#issuecomment-%d", s.issueObject(r, c.issue)["html_url"], c.id),
		"issue_url": s.api(r, "issues/%d", c.issue.number), "user": s.user(c.author), "body": c.body,
		"created_at": stamp(c.created), "updated_at": stamp(c.updated), "author_association": s.association(r, c.author),
		"performed_via_github_app": s.integrationOrNull(c.via), "reactions": rollup(self, c.reactions),
	}
}

func (s *Server) sortedLogins(logins []string) []*account {
	var found []*account
	for _, login := range slices.Sorted(slices.Values(logins)) {
		if a := s.account(login); a != nil {
			found = append(found, a)
		}
	}
	return found
}
