package githubsim

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// Person acts as one user through the REST API.
type Person struct {
	server *Server
	login  string
	secret string
}

// As returns the person of that login. If there is none, everything they try
// fails with 401.
func (s *Server) As(login string) *Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &Person{server: s, login: login, secret: "ghp_nobody"}
	if a := s.account(login); a != nil && a.token != "" {
		p.secret = a.token
	}
	return p
}

// call makes one API request in process; path is below /api/v3/repos/.
func (s *Server) call(who, secret, method, path string, in, out any) error {
	return s.request(who, secret, method, "/api/v3/repos/"+path, in, out)
}

func (s *Server) request(who, secret, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("githubsim: %w", err)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("githubsim: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	a := s.do(r)
	if a == nil {
		return fmt.Errorf("githubsim: %s %s as %s: the connection broke", method, path, who)
	}
	if a.status > 299 {
		return fmt.Errorf("githubsim: %s %s as %s: %d %s", method, path, who, a.status, a.body)
	}
	if out == nil || len(a.body) == 0 {
		return nil
	}
	return json.Unmarshal(a.body, out)
}

func (p *Person) call(method, path string, in, out any) error {
	return p.server.call(p.login, p.secret, method, path, in, out)
}

// Comment comments on an issue or pull request.
func (p *Person) Comment(repo string, number int, body string) (id int64, err error) {
	var out struct{ ID int64 }
	err = p.call("POST", fmt.Sprintf("%s/issues/%d/comments", repo, number), object{"body": body}, &out)
	return out.ID, err
}

// EditComment replaces a comment.
func (p *Person) EditComment(repo string, id int64, body string) error {
	return p.call("PATCH", fmt.Sprintf("%s/issues/comments/%d", repo, id), object{"body": body}, nil)
}

// DeleteComment deletes a comment.
func (p *Person) DeleteComment(repo string, id int64) error {
	return p.call("DELETE", fmt.Sprintf("%s/issues/comments/%d", repo, id), nil, nil)
}

// OpenIssue opens an issue.
func (p *Person) OpenIssue(repo, title, body string) (number int, err error) {
	var out struct{ Number int }
	err = p.call("POST", repo+"/issues", object{"title": title, "body": body}, &out)
	return out.Number, err
}

// OpenPull opens a pull request from a branch.
func (p *Person) OpenPull(repo, head, base, title, body string) (number int, err error) {
	var out struct{ Number int }
	err = p.call("POST", repo+"/pulls", object{"title": title, "body": body, "head": head, "base": base}, &out)
	return out.Number, err
}

// Enqueue puts a pull request into its merge queue as it is now.
func (p *Person) Enqueue(repo string, number int) error {
	var pull struct {
		NodeID string `json:"node_id"`
		Head   struct{ SHA string }
	}
	if err := p.call("GET", fmt.Sprintf("%s/pulls/%d", repo, number), nil, &pull); err != nil {
		return err
	}
	var answer struct{ Errors []struct{ Message string } }
	err := p.server.request(p.login, p.secret, "POST", "/api/graphql", object{
		"query":     "mutation($pull: ID!, $head: GitObjectID!) { enqueuePullRequest(input: {pullRequestId: $pull, expectedHeadOid: $head}) { mergeQueueEntry { id } } }",
		"variables": object{"pull": pull.NodeID, "head": pull.Head.SHA},
	}, &answer)
	if err == nil && len(answer.Errors) > 0 {
		err = fmt.Errorf("githubsim: enqueue #%d as %s: %s", number, p.login, answer.Errors[0].Message)
	}
	return err
}

// Review submits a review; event is APPROVE, REQUEST_CHANGES or COMMENT.
func (p *Person) Review(repo string, number int, event, body string) (id int64, err error) {
	var out struct{ ID int64 }
	err = p.call("POST", fmt.Sprintf("%s/pulls/%d/reviews", repo, number), object{"event": event, "body": body}, &out)
	return out.ID, err
}

// DismissReview dismisses somebody's review.
func (p *Person) DismissReview(repo string, number int, id int64, message string) error {
	return p.call("PUT", fmt.Sprintf("%s/pulls/%d/reviews/%d/dismissals", repo, number, id), object{"message": message}, nil)
}

// EditPullBody replaces the body of a pull request by edit of it.
func (p *Person) EditPullBody(repo string, number int, edit func(string) string) error {
	path := fmt.Sprintf("%s/pulls/%d", repo, number)
	var now struct{ Body string }
	if err := p.call("GET", path, nil, &now); err != nil {
		return err
	}
	return p.call("PATCH", path, object{"body": edit(now.Body)}, nil)
}

// Tick ticks the open checklist items ("- [ ]") whose line contains the text.
func (p *Person) Tick(repo string, number int, itemSubstring string) error {
	ticked := false
	err := p.EditPullBody(repo, number, func(body string) string {
		lines := strings.Split(body, "\n")
		for i, line := range lines {
			if strings.Contains(line, "[ ]") && strings.Contains(line, itemSubstring) {
				lines[i] = strings.Replace(line, "[ ]", "[x]", 1)
				ticked = true
			}
		}
		return strings.Join(lines, "\n")
	})
	if err == nil && !ticked {
		err = fmt.Errorf("githubsim: %s#%d has no open checklist item with %q", repo, number, itemSubstring)
	}
	return err
}

// Push commits files on top of a branch, making the branch from the default
// branch if it is new. A file with content "" is deleted.
func (p *Person) Push(repo, branch, message string, files map[string]string) (sha string, err error) {
	var ref struct{ Object struct{ SHA string } }
	fresh := p.call("GET", repo+"/git/ref/heads/"+branch, nil, &ref) != nil
	if fresh {
		var r struct {
			DefaultBranch string `json:"default_branch"`
		}
		if err := p.call("GET", repo, nil, &r); err != nil {
			return "", err
		}
		if err := p.call("GET", repo+"/git/ref/heads/"+r.DefaultBranch, nil, &ref); err != nil {
			return "", err
		}
	}
	var tree, commit struct{ SHA string }
	entries := []object{}
	for path, content := range files {
		e := object{"path": path, "mode": "100644", "type": "blob", "content": content}
		if content == "" {
			e = object{"path": path, "mode": "100644", "type": "blob", "sha": nil}
		}
		entries = append(entries, e)
	}
	if err := p.call("POST", repo+"/git/trees", object{"base_tree": ref.Object.SHA, "tree": entries}, &tree); err != nil {
		return "", err
	}
	in := object{"message": message, "tree": tree.SHA, "parents": []string{ref.Object.SHA}}
	if err := p.call("POST", repo+"/git/commits", in, &commit); err != nil {
		return "", err
	}
	if fresh {
		return commit.SHA, p.call("POST", repo+"/git/refs", object{"ref": "refs/heads/" + branch, "sha": commit.SHA}, nil)
	}
	return commit.SHA, p.call("PATCH", repo+"/git/refs/heads/"+branch, object{"sha": commit.SHA}, nil)
}

// ForcePush points a branch at a commit, whatever it pointed at before.
func (p *Person) ForcePush(repo, branch, sha string) error {
	return p.call("PATCH", repo+"/git/refs/heads/"+branch, object{"sha": sha, "force": true}, nil)
}

// DeleteBranch deletes a branch, which closes its pull requests.
func (p *Person) DeleteBranch(repo, branch string) error {
	return p.call("DELETE", repo+"/git/refs/heads/"+branch, nil, nil)
}

// RestoreBranch makes a branch again that was deleted, at the commit where it stood, as
// the button on its pull request does.
func (p *Person) RestoreBranch(repo, branch, sha string) error {
	return p.call("POST", repo+"/git/refs", object{"ref": "refs/heads/" + branch, "sha": sha}, nil)
}

// EditPullTitle renames a pull request.
func (p *Person) EditPullTitle(repo string, number int, title string) error {
	return p.call("PATCH", fmt.Sprintf("%s/pulls/%d", repo, number), object{"title": title}, nil)
}

// RetargetPull points a pull request at another base branch.
func (p *Person) RetargetPull(repo string, number int, base string) error {
	return p.call("PATCH", fmt.Sprintf("%s/pulls/%d", repo, number), object{"base": base}, nil)
}

// PutFile writes one file on a branch by the contents API.
func (p *Person) PutFile(repo, branch, path, message, content string) error {
	in := object{"message": message, "branch": branch, "content": base64.StdEncoding.EncodeToString([]byte(content))}
	var old struct{ SHA string }
	where := repo + "/contents/" + (&url.URL{Path: path}).EscapedPath()
	if p.call("GET", where+"?ref="+url.QueryEscape(branch), nil, &old) == nil {
		in["sha"] = old.SHA
	}
	return p.call("PUT", where, in, nil)
}

// ClosePull closes a pull request without merging it.
func (p *Person) ClosePull(repo string, number int) error {
	return p.call("PATCH", fmt.Sprintf("%s/pulls/%d", repo, number), object{"state": "closed"}, nil)
}

// ReopenPull opens a closed pull request again.
func (p *Person) ReopenPull(repo string, number int) error {
	return p.call("PATCH", fmt.Sprintf("%s/pulls/%d", repo, number), object{"state": "open"}, nil)
}

// MergePull merges a pull request; method is merge, squash or rebase.
func (p *Person) MergePull(repo string, number int, method string) (sha string, err error) {
	var out struct{ SHA string }
	err = p.call("PUT", fmt.Sprintf("%s/pulls/%d/merge", repo, number), object{"merge_method": method}, &out)
	return out.SHA, err
}

// UpdateBranch merges the base branch into the head of a pull request.
func (p *Person) UpdateBranch(repo string, number int) error {
	return p.call("PUT", fmt.Sprintf("%s/pulls/%d/update-branch", repo, number), object{}, nil)
}

// SetStatus sets a commit status.
func (p *Person) SetStatus(repo, sha, context, state string) error {
	return p.call("POST", repo+"/statuses/"+sha, object{"state": state, "context": context}, nil)
}

// RerunCheck presses "Re-run" on a check run.
func (p *Person) RerunCheck(repo string, checkRunID int64) error {
	return p.call("POST", fmt.Sprintf("%s/check-runs/%d/rerequest", repo, checkRunID), nil, nil)
}

// PressAction presses one of the buttons that a check run offers. It needs
// write access, and like on GitHub there is no REST call for it.
func (p *Person) PressAction(repo string, checkRunID int64, identifier string) error {
	s := p.server
	return s.change(func() error {
		r, err := s.knownRepo(repo)
		if err != nil {
			return err
		}
		user := s.account(p.login)
		if user == nil || roleRank[s.role(user, r)] < roleRank["write"] {
			return fmt.Errorf("githubsim: %s may not press buttons of checks in %s", p.login, repo)
		}
		for _, run := range r.runs {
			for _, a := range run.actions {
				if run.id == checkRunID && a.Identifier == identifier {
					s.emitRun(r, run, actor{user: user}, "requested_action", object{"requested_action": object{"identifier": identifier}})
					return nil
				}
			}
		}
		return fmt.Errorf("githubsim: check run %d of %s offers no action %q", checkRunID, repo, identifier)
	})
}

// CompleteCheck reports a check run with a conclusion as another App: a CI
// system. An unfinished run of that name is completed, otherwise one is made.
func (s *Server) CompleteCheck(appID int64, repo, sha, name, conclusion string) error {
	secret, slug, open, err := s.asApp(appID, repo, sha, name)
	if err != nil {
		return err
	}
	in := object{"name": name, "head_sha": sha, "status": "completed", "conclusion": conclusion}
	if open != 0 {
		return s.call(slug, secret, "PATCH", fmt.Sprintf("%s/check-runs/%d", repo, open), in, nil)
	}
	return s.call(slug, secret, "POST", repo+"/check-runs", in, nil)
}

// StartCheck reports a check run in progress as another App.
func (s *Server) StartCheck(appID int64, repo, sha, name string) error {
	secret, slug, _, err := s.asApp(appID, repo, sha, name)
	if err != nil {
		return err
	}
	return s.call(slug, secret, "POST", repo+"/check-runs", object{"name": name, "head_sha": sha, "status": "in_progress"}, nil)
}

// asApp mints a token for an App where it is installed, and finds its
// unfinished run of a name.
func (s *Server) asApp(appID int64, repo, sha, name string) (secret, slug string, open int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.knownRepo(repo)
	if err != nil {
		return "", "", 0, err
	}
	for _, inst := range s.installations {
		if inst.app.ID != appID || !inst.covers(r) {
			continue
		}
		t := &token{value: newInstallationToken(appID), installation: inst, permissions: inst.app.spec.Permissions, expires: s.now().Add(time.Hour)}
		s.tokens[t.value] = t
		for _, run := range r.latestRuns(sha) {
			if run.app == inst.app && run.name == name && run.status != "completed" {
				open = run.id
			}
		}
		return t.value, inst.app.Slug, open, nil
	}
	return "", "", 0, fmt.Errorf("githubsim: App %d is not installed on %s", appID, repo)
}

// SignJWT makes the JWT with which an App introduces itself, valid from iat
// to exp: for tests that speak to the API without ghinstallation.
func (a *App) SignJWT(iat, exp time.Time) (string, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM(a.PrivateKey)
	if err != nil {
		return "", fmt.Errorf("githubsim: %w", err)
	}
	claims := jwt.MapClaims{"iat": iat.Unix(), "exp": exp.Unix(), "iss": a.ID}
	return jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
}
