package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/store"
)

// pullTo is the newest pull request that moves an app in an environment to a
// version.
func (w *World) pullTo(env, app, version string) (githubsim.PullView, error) {
	pulls := w.GitHub.Pulls(envRepo)
	for _, p := range slices.Backward(pulls) {
		if p.HeadRef == "tagboat/"+env+"/"+app && strings.Contains(p.Title, version) {
			return p, nil
		}
	}
	return githubsim.PullView{}, fmt.Errorf("there is no pull request that moves %s in %s to %s", app, env, version)
}

// isOpen wants the pull request to be open.
func (w *World) isOpen(env, app, version string) (githubsim.PullView, error) {
	p, err := w.pullTo(env, app, version)
	if err == nil && p.State != "open" {
		err = fmt.Errorf("pull request #%d is not open", p.Number)
	}
	return p, err
}

// isMerged wants the pull request to be merged, by Tagboat, from one verified
// commit.
func (w *World) isMerged(env, app, version string) (githubsim.PullView, error) {
	p, err := w.pullTo(env, app, version)
	switch {
	case err != nil:
		return p, err
	case !p.Merged:
		return p, fmt.Errorf("pull request #%d is not merged: %s", p.Number, ownCheck(p).Title)
	case len(p.Commits) != 1 || !p.Commits[0].Verified:
		return p, fmt.Errorf("pull request #%d is not one verified commit", p.Number)
	}
	return p, nil
}

func ownCheck(p githubsim.PullView) githubsim.CheckView {
	for _, c := range p.Checks {
		if c.Name == "tagboat" {
			return c
		}
	}
	return githubsim.CheckView{}
}

// onlyOnePull wants no two open pull requests for one (app, environment).
func (w *World) onlyOnePull() error {
	seen := map[string]int{}
	for _, p := range w.GitHub.Pulls(envRepo) {
		if p.State != "open" {
			continue
		}
		if other, twice := seen[p.HeadRef]; twice {
			return fmt.Errorf("pull requests #%d and #%d are both open for %s", other, p.Number, p.HeadRef)
		}
		seen[p.HeadRef] = p.Number
	}
	return nil
}

// Running reads what the clusters run from their pods.
func (w *World) Running(ctx context.Context) (map[string]map[string]Version, error) {
	running := map[string]map[string]Version{}
	for _, env := range environments {
		var err error
		if running[env], err = w.runningIn(ctx, env); err != nil {
			return nil, err
		}
	}
	return running, nil
}

// runningIn reads what one cluster runs from its pods, by app.
func (w *World) runningIn(ctx context.Context, cluster string) (map[string]Version, error) {
	containers, err := w.Clusters[cluster].Running(ctx, w.Namespaces[cluster])
	if err != nil {
		return nil, err
	}
	running := map[string]Version{}
	for _, c := range containers {
		v := Version{Tag: c.Image.Tag, Digest: c.Image.Digest}
		if old, twice := running[c.Name]; twice && old != v {
			return nil, fmt.Errorf("%s runs %s and %s in %s at the same time", c.Name, old.Tag, v.Tag, cluster)
		}
		if c.Ready < c.Desired {
			return nil, fmt.Errorf("%d of %d pods of %s are ready in %s", c.Ready, c.Desired, c.Name, cluster)
		}
		running[c.Name] = v
	}
	return running, nil
}

// runs wants an environment's cluster to run exactly a version.
func (w *World) runs(ctx context.Context, env, app string, want Version) error {
	running, err := w.Running(ctx)
	if err != nil {
		return err
	}
	if got := running[env][app]; got != want {
		return fmt.Errorf("%s runs %s %.19s in %s, not %s %.19s", app, got.Tag, got.Digest, env, want.Tag, want.Digest)
	}
	return nil
}

// reacted wants Tagboat's reactions on a comment.
func (w *World) reacted(number int, comment int64, want ...string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	for _, c := range p.Comments {
		if c.ID != comment {
			continue
		}
		var got []string
		for _, r := range c.Reactions {
			got = append(got, r.Content)
		}
		for _, reaction := range want {
			if !slices.Contains(got, reaction) {
				return fmt.Errorf("the comment has the reactions %v, not %s", got, reaction)
			}
		}
		return nil
	}
	return errors.New("the comment is gone")
}

// said wants a comment of Tagboat's on a pull request that contains all parts.
func (w *World) said(number int, parts ...string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	for _, c := range p.Comments {
		if c.Author == "tagboat[bot]" && !slices.ContainsFunc(parts, func(s string) bool { return !strings.Contains(c.Body, s) }) {
			return nil
		}
	}
	return fmt.Errorf("no comment on #%d says “%s”", number, strings.Join(parts, "” and “"))
}

// unanswered wants a comment on a pull request to have no answer.
func (w *World) unanswered(number int, comment int64) error {
	p, err := w.GitHub.Pull(envRepo, number)
	for _, c := range p.Comments {
		if strings.Contains(c.Body, fmt.Sprintf("<!-- tagboat:reply %d -->", comment)) {
			err = fmt.Errorf("there is an answer: %s", c.Body)
		}
	}
	return err
}

// comments are those of an issue or a pull request of the env repo.
func (w *World) comments(number int) ([]githubsim.CommentView, error) {
	return w.commentsIn(envRepo, number)
}

func (w *World) commentsIn(repo string, number int) ([]githubsim.CommentView, error) {
	for _, i := range w.GitHub.Issues(repo) {
		if i.Number == number {
			return i.Comments, nil
		}
	}
	p, err := w.GitHub.Pull(repo, number)
	return p.Comments, err
}

// reviewOf wants a person's first review of a pull request in a state, with a reason
// that has all parts.
func (w *World) reviewOf(number int, login, state string, parts ...string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	for _, r := range p.Reviews {
		if r.Author != login {
			continue
		}
		if r.State != state {
			err = fmt.Errorf("%s's review is %s, not %s", login, r.State, state)
		}
		for _, part := range parts {
			if !strings.Contains(r.Dismissal, part) {
				err = errors.Join(err, fmt.Errorf("the reason does not say “%s”: %s", part, r.Dismissal))
			}
		}
		return err
	}
	return fmt.Errorf("%s has no review", login)
}

// checkSays wants the check run to say all parts.
func (w *World) checkSays(number int, parts ...string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	c := ownCheck(p)
	for _, part := range parts {
		if !strings.Contains(c.Title+"\n"+c.Summary, part) {
			return fmt.Errorf("the check on #%d says “%s”, not “%s”:\n%s", number, c.Title, part, c.Summary)
		}
	}
	return nil
}

// board reads Tagboat's board.
func (w *World) board(ctx context.Context) (map[string]any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.Tagboat.URL()+"/api/board", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return nil, err
	}
	var board map[string]any
	return board, json.Unmarshal(data, &board)
}

// boardSays wants a text somewhere on the board.
func (w *World) boardSays(ctx context.Context, text string) error {
	board, err := w.boardText(ctx)
	if err == nil && !strings.Contains(board, text) {
		err = fmt.Errorf("the board does not say “%s”", text)
	}
	return err
}

// boardSilent wants a text nowhere on the board.
func (w *World) boardSilent(ctx context.Context, text string) error {
	board, err := w.boardText(ctx)
	if err == nil && strings.Contains(board, text) {
		err = fmt.Errorf("the board still says “%s”", text)
	}
	return err
}

func (w *World) boardText(ctx context.Context) (string, error) {
	board, err := w.board(ctx)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(board)
	return string(data), err
}

// database reads Tagboat's database.
func (w *World) database(ctx context.Context, read func(s *store.Store) error) error {
	w.reading.Lock()
	defer w.reading.Unlock()
	if w.memory == nil {
		s, err := store.Open(ctx, w.DatabaseURL(), store.Options{MaxConns: 2})
		if err != nil {
			return err
		}
		w.memory = s
	}
	return read(w.memory)
}

// atRest wants no promotion to be on its way.
func (w *World) atRest(ctx context.Context) error {
	return w.database(ctx, func(db *store.Store) error {
		merged, err := db.UnreportedPromotions(ctx)
		if err != nil {
			return err
		}
		active, err := db.ActivePromotions(ctx)
		if err == nil && len(merged)+len(active) > 0 {
			err = fmt.Errorf("%d are open, %d are merged and not deployed", len(active), len(merged))
		}
		return err
	})
}

// soundAudit wants the audit chain unbroken.
func (w *World) soundAudit(ctx context.Context) error {
	return w.database(ctx, func(s *store.Store) error {
		proof, err := s.VerifyAudit(ctx)
		if err == nil {
			err = proof.Err()
		}
		if err == nil && proof.Rows == 0 {
			err = errors.New("the audit log is empty")
		}
		return err
	})
}

// callsFor counts the REST requests that Tagboat made about acme/env between two
// entries of GitHub's journal.
func callsFor(journal []githubsim.Request) int {
	n := 0
	for _, r := range journal {
		if r.App == "tagboat" && strings.HasPrefix(r.Path, "/repos/"+envRepo) {
			n++
		}
	}
	return n
}

// untilMerge is the journal up to the first merge in it.
func untilMerge(journal []githubsim.Request) []githubsim.Request {
	for i, r := range journal {
		if r.Method == http.MethodPut && strings.HasSuffix(r.Path, "/merge") {
			return journal[:i+1]
		}
	}
	return journal
}
