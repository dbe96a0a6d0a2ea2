package github

import (
	"context"
	"fmt"

	gh "github.com/google/go-github/v60/github"
)

// Repo is one repository as one installation of the App sees it. It is safe for
// concurrent use.
type Repo struct {
	Owner, Name string

	app     *App
	session *session
	client  client
}

// Repo is the repository owner/name under that installation. It does not talk
// to GitHub; the same arguments give the same Repo.
func (a *App) Repo(installation int64, owner, name string) *Repo {
	in := a.installation(installation)
	key := repoKey{installation, owner, name}
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.repos[key]
	if !ok {
		r = &Repo{Owner: owner, Name: name, app: a, session: in.session, client: in.client}
		a.repos[key] = r
	}
	return r
}

// String is "owner/name".
func (r *Repo) String() string { return r.Owner + "/" + r.Name }

// Token is an installation token that is valid for at least a minute, for
// fetching by git: user "x-access-token", the token as password.
func (r *Repo) Token(ctx context.Context) (_ string, err error) {
	defer r.fail(&err, "get an installation token")
	return r.session.token(ctx)
}

// CloneURL is where git finds the repository; it holds no credentials.
func (r *Repo) CloneURL() string { return r.app.gitURL + "/" + r.Owner + "/" + r.Name + ".git" }

// CommentURL is where people find a comment on an issue or a pull request.
func (r *Repo) CommentURL(number int, comment int64) string {
	return fmt.Sprintf("%s/%s/%s/issues/%d#issuecomment-%d", r.app.gitURL, r.Owner, r.Name, number, comment)
}

// CommitURL is where people find a commit, also one that no branch holds any more.
func (r *Repo) CommitURL(sha string) string {
	return fmt.Sprintf("%s/%s/%s/commit/%s", r.app.gitURL, r.Owner, r.Name, sha)
}

func (r *Repo) fail(err *error, format string, args ...any) {
	r.app.fail(err, r.String()+": "+format, args...)
}

// User is an account. ID is what identifies it; a login can be renamed and
// registered again by somebody else.
type User struct {
	ID    int64
	Login string
	Bot   bool
}

func userOf(u *gh.User) User {
	return User{ID: u.GetID(), Login: u.GetLogin(), Bot: u.GetType() == "Bot"}
}

// isUs reports whether the App itself is the account. People cannot register a
// login that ends in "[bot]".
func (a *App) isUs(ctx context.Context, u User) (bool, error) {
	if !u.Bot {
		return false, nil
	}
	login, err := a.Login(ctx)
	return err == nil && u.Login == login, err
}
