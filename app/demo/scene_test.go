package demo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/store"
)

// scene is where stories of trouble play: a world in which every app is healthy
// everywhere, and the words to tell them with.
type scene struct {
	*testing.T
	w   *World
	ctx context.Context
}

// newScene is a world at rest. Two play at a time: each waits for its own clusters and
// webhooks most of the while.
func newScene(t *testing.T, env ...string) *scene {
	t.Helper()
	t.Parallel()
	s := &scene{T: t, w: newWorld(t, env...), ctx: t.Context()}
	s.until("all nine overlays are healthy", func() error { return s.w.allHealthy(s.ctx) })
	return s
}

// story plays one of the scene's stories. The next one plays even if it fails.
func (s *scene) story(name string, play func(s *scene)) {
	s.T.Run(name, func(t *testing.T) { play(&scene{T: t, w: s.w, ctx: t.Context()}) })
}

// must ends the story if something could not be done.
func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// until waits until the world is as look wants it. How long that takes is nobody's promise
// on a machine that plays two stories at a time, and works on other packages beside them.
func (s *scene) until(what string, look func() error) {
	s.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := look()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("not within %s: %s: %v", patience, what, err)
		}
		select {
		case <-s.ctx.Done():
			s.Fatalf("%s: %v", what, s.ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *scene) as(login string) *githubsim.Person { return s.w.GitHub.As(login) }

// release has CI build a version, and gives its digest.
func (s *scene) release(app, version string) string {
	s.Helper()
	digest, err := s.w.release(s.ctx, app, version)
	s.must(err)
	return digest
}

// merged waits until an environment's pull request for a version is merged.
func (s *scene) merged(env, app, version string) (p githubsim.PullView) {
	s.Helper()
	s.until(fmt.Sprintf("%s %s is merged into %s", app, version, env), func() (err error) {
		p, err = s.w.isMerged(env, app, version)
		return err
	})
	return p
}

// opened waits until an environment's pull request for a version is open.
func (s *scene) opened(env, app, version string) (p githubsim.PullView) {
	s.Helper()
	s.until(fmt.Sprintf("the pull request for %s %s in %s is open", app, version, env), func() (err error) {
		p, err = s.w.isOpen(env, app, version)
		return err
	})
	return p
}

// runs waits until an environment's cluster runs a version.
func (s *scene) runs(env, app, tag, digest string) {
	s.Helper()
	s.until(fmt.Sprintf("%s runs %s %s", env, app, tag), func() error {
		return s.w.runs(s.ctx, env, app, Version{Tag: tag, Digest: digest})
	})
}

// done waits until a version is merged, runs, and is reported on its pull request,
// each of it once.
func (s *scene) done(env, app, tag, digest string) githubsim.PullView {
	s.Helper()
	p := s.merged(env, app, tag)
	s.runs(env, app, tag, digest)
	s.until("it is reported", func() error {
		return errors.Join(s.w.deployed(p.Number, env), s.w.said(p.Number, tag, "healthy"))
	})
	once(s.T, s.w, p.Number)
	return p
}

// checkSays waits until the check run on a pull request says all parts.
func (s *scene) checkSays(number int, parts ...string) {
	s.Helper()
	s.until("the check explains itself", func() error { return s.w.checkSays(number, parts...) })
}

// boardSays waits until the board says all parts.
func (s *scene) boardSays(parts ...string) {
	s.Helper()
	s.until("the board explains itself", func() error {
		var errs []error
		for _, part := range parts {
			errs = append(errs, s.w.boardSays(s.ctx, part))
		}
		return errors.Join(errs...)
	})
}

// asked opens prod's pull request as alice, who asks for it.
func (s *scene) asked(env, app, version string) githubsim.PullView {
	s.Helper()
	s.says("alice", s.issue(), fmt.Sprintf("/promote %s %s %s", env, app, version), "rocket")
	return s.opened(env, app, version)
}

// approve has people approve a pull request.
func (s *scene) approve(number int, logins ...string) {
	s.Helper()
	for _, login := range logins {
		_, err := s.as(login).Review(envRepo, number, "APPROVE", "")
		s.must(err)
	}
}

// tickAll ticks what a person has to tick in prod, when it stands there.
func (s *scene) tickAll(number int) {
	s.Helper()
	for _, item := range []string{"Release notes read", "On-call informed"} {
		s.must(s.as("bob").Tick(envRepo, number, item))
	}
}

// issue opens a new issue to talk in.
func (s *scene) issue() int {
	s.Helper()
	number, err := s.as("alice").OpenIssue(envRepo, "Talk", "")
	s.must(err)
	return number
}

// says comments as a person, and waits for the reaction and for an answer with
// all parts; without parts there must be no answer.
func (s *scene) says(login string, number int, body, reaction string, parts ...string) {
	s.Helper()
	s.saysIn(envRepo, login, number, body, reaction, parts...)
}

// saysIn is says in another repository than the env repo.
func (s *scene) saysIn(repo, login string, number int, body, reaction string, parts ...string) {
	s.Helper()
	id, err := s.as(login).Comment(repo, number, body)
	s.must(err)
	s.until(fmt.Sprintf("“%.60s” gets its answer", body), func() error {
		return s.w.answeredIn(repo, number, id, reaction, parts...)
	})
}

// toldAgain has GitHub tell once more, under another delivery id, of the newest event
// whose payload is as the condition wants it.
func (s *scene) toldAgain(event, condition string) {
	s.Helper()
	conn, err := pgx.Connect(s.ctx, s.w.DatabaseURL())
	s.must(err)
	defer conn.Close(s.ctx) //nolint:errcheck // nothing is left to lose
	var body []byte
	s.must(conn.QueryRow(s.ctx, `SELECT body FROM (SELECT id, body, convert_from(body, 'UTF8')::json AS payload FROM delivery WHERE source = 'github' AND event = $1) d
		WHERE `+condition+` ORDER BY id DESC LIMIT 1`, event).Scan(&body))
	s.tell(event, rand.Text(), body)
}

// tell sends Tagboat a webhook of GitHub's.
func (s *scene) tell(event, delivery string, body []byte) {
	s.Helper()
	mac := hmac.New(sha256.New, []byte(s.w.secrets.github))
	mac.Write(body)
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.w.Tagboat.URL()+"/hooks/github", bytes.NewReader(body))
	s.must(err)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": delivery,
		"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	s.must(err)
	s.must(resp.Body.Close())
	if resp.StatusCode != http.StatusAccepted {
		s.Fatalf("the delivery was answered with %s", resp.Status)
	}
}

// answered wants eyes and one more reaction on a comment, and exactly one answer
// that contains all parts, or none if there are no parts.
func (w *World) answered(number int, comment int64, reaction string, parts ...string) error {
	return w.answeredIn(envRepo, number, comment, reaction, parts...)
}

func (w *World) answeredIn(repo string, number int, comment int64, reaction string, parts ...string) error {
	all, err := w.commentsIn(repo, number)
	if err != nil {
		return err
	}
	var reactions, answers []string
	for _, c := range all {
		if c.ID == comment {
			for _, r := range c.Reactions {
				reactions = append(reactions, r.Content)
			}
		}
		if strings.Contains(c.Body, fmt.Sprintf("<!-- tagboat:reply %d -->", comment)) {
			answers = append(answers, c.Body)
		}
	}
	if !slices.Equal(reactions, []string{"eyes", reaction}) {
		return fmt.Errorf("the reactions are %v, not eyes and %s; the answers: %q", reactions, reaction, answers)
	}
	if want := min(1, len(parts)); len(answers) != want {
		return fmt.Errorf("there are %d answers, not %d: %q", len(answers), want, answers)
	}
	for _, part := range parts {
		if !strings.Contains(answers[0], part) {
			return fmt.Errorf("the answer does not say “%s”: %s", part, answers[0])
		}
	}
	return nil
}

// untouched wants no reaction on a comment, and no answer to it.
func (w *World) untouched(number int, comment int64) error {
	all, err := w.comments(number)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.ID == comment && len(c.Reactions) > 0 {
			return fmt.Errorf("“%.60s” has reactions", c.Body)
		}
		if strings.Contains(c.Body, fmt.Sprintf("<!-- tagboat:reply %d -->", comment)) {
			return fmt.Errorf("there is an answer: %s", c.Body)
		}
	}
	return nil
}

// edit changes files on main as a maintainer with the key to the protection
// would, and returns what undoes it; a story that ends early undoes it, too.
func (s *scene) edit(message string, change map[string]func(string) string) (undo func()) {
	s.Helper()
	before, after := map[string]string{}, map[string]string{}
	for path, f := range change {
		data, err := s.w.GitHub.File(envRepo, "main", path)
		s.must(err)
		before[path], after[path] = string(data), f(string(data))
		if before[path] == after[path] {
			s.Fatalf("the edit “%s” changes nothing in %s", message, path)
		}
	}
	s.pushMain(message, after)
	undone := false
	undo = func() {
		if !undone {
			undone = true
			s.pushMain("Revert: "+message, before)
		}
	}
	s.Cleanup(undo)
	return undo
}

func (s *scene) pushMain(message string, files map[string]string) {
	s.Helper()
	s.must(s.w.GitHub.Protect(envRepo, "main", githubsim.Protection{}))
	_, err := s.as("alice").Push(envRepo, "main", message, files)
	s.must(errors.Join(err, s.w.GitHub.Protect(envRepo, "main", s.w.ci.protection)))
}

// idle waits until every webhook is delivered and handled, and no job but those
// that wait for a later time is left.
func (s *scene) idle() {
	s.Helper()
	s.must(s.w.GitHub.WaitDeliveries(s.ctx))
	s.until("Tagboat has nothing left to do", func() error {
		return s.w.none(s.ctx, `SELECT (SELECT count(*) FROM delivery WHERE handled_at IS NULL)
			+ (SELECT count(*) FROM river.river_job WHERE state IN ('available', 'running', 'retryable'))`)
	})
}

// none wants a count in Tagboat's database to be zero.
func (w *World) none(ctx context.Context, query string, args ...any) error {
	n, err := w.count(ctx, query, args...)
	if err == nil && n != 0 {
		err = fmt.Errorf("%d are left", n)
	}
	return err
}

func (w *World) count(ctx context.Context, query string, args ...any) (n int, err error) {
	conn, err := pgx.Connect(ctx, w.DatabaseURL())
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	return n, conn.QueryRow(ctx, query, args...).Scan(&n)
}

// allHealthy wants Tagboat to know every overlay healthy.
func (w *World) allHealthy(ctx context.Context) error {
	n, err := w.count(ctx, `SELECT count(*) FROM target WHERE state = 'healthy' AND got = want`)
	if want := len(apps) * len(environments); err == nil && n != want {
		err = fmt.Errorf("%d of %d are healthy", n, want)
	}
	return err
}

// stateOf is the state of the newest promotion of a version.
func (w *World) stateOf(ctx context.Context, env, app, tag string) (state string, err error) {
	err = w.database(ctx, func(db *store.Store) error {
		latest, err := db.LatestPromotions(ctx)
		if err != nil {
			return err
		}
		for _, p := range latest {
			if p.Env != env || p.App != app {
				continue
			}
			a, err := db.Artifact(ctx, p.ArtifactID)
			if err == nil && a.Tag == tag {
				state = p.State
			}
			return err
		}
		return nil
	})
	return state, err
}

// read asks GitHub's API as a person.
func (s *scene) read(login, path string, out any) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.w.GitHub.APIURL()+"repos/"+envRepo+"/"+path, nil)
	s.must(err)
	req.Header.Set("Authorization", "Bearer "+s.w.GitHub.AddUser(login, login)) // gives the token that they have
	resp, err := http.DefaultClient.Do(req)
	s.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		s.Fatalf("GET %s: %s", path, resp.Status)
	}
	s.must(json.NewDecoder(resp.Body).Decode(out))
}
