package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// The presence of an env repo: what the App may do there now.
const (
	PresenceInstalled = "installed"
	PresenceArchived  = "archived"  // it can be read, and nothing there can be changed
	PresenceSuspended = "suspended" // the owner has suspended the App's installation
	PresenceRemoved   = "removed"   // the App is not installed there
)

// SeenRepo is an env repo as GitHub shows it.
type SeenRepo struct {
	GitHubID      int64
	Owner, Name   string
	Installation  int64
	DefaultBranch string
	Archived      bool
}

// SeeRepo keeps what GitHub says about an env repo. It is known by its number: under
// another name it stays what it was, with all that hangs on it, and another
// repository that takes over its name is another env repo. Promotions that are on
// their way are looked at when it comes back.
func (s *Store) SeeRepo(ctx context.Context, seen SeenRepo, wake func(promotion int64) river.JobArgs) (r Repo, err error) {
	defer wrap(&err, "keep env repo %s/%s", seen.Owner, seen.Name)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.LockRepos(ctx); err != nil {
			return err
		}
		if err := s.displace(ctx, tx, q, seen, wake); err != nil {
			return err
		}
		known, err := q.RepoToSee(ctx, query.RepoToSeeParams{GithubID: &seen.GitHubID, Owner: seen.Owner, Name: seen.Name})
		if errors.Is(err, pgx.ErrNoRows) {
			r, err = s.insertRepo(ctx, q, seen)
			return err
		}
		if err != nil {
			return err
		}
		r, err = s.seeKnown(ctx, tx, q, known, seen, wake)
		return err
	})
	return r, err
}

func (s *Store) insertRepo(ctx context.Context, q *query.Queries, seen SeenRepo) (r Repo, err error) {
	full := seen.Owner + "/" + seen.Name
	in := query.InsertRepoParams{
		GithubID: reference(seen.GitHubID), Owner: seen.Owner, Name: seen.Name, Names: []string{}, InstallationID: seen.Installation,
		DefaultBranch: seen.DefaultBranch, Presence: seen.presence(), At: s.now(),
	}
	taken, err := q.NameTaken(ctx, strings.ToLower(full))
	if err != nil {
		return r, err
	}
	if in.Mark = full; taken {
		in.Mark = fmt.Sprintf("%s#%d", full, seen.GitHubID)
		in.Note = fmt.Sprintf("Another repository was called %s before, and configuration that says %s means that one; this is %s.", full, full, in.Mark)
	} else {
		in.Names = append(in.Names, strings.ToLower(full))
	}
	return q.InsertRepo(ctx, in)
}

// seeKnown brings a known env repo up to date.
func (s *Store) seeKnown(ctx context.Context, tx pgx.Tx, q *query.Queries, known Repo, seen SeenRepo, wake func(promotion int64) river.JobArgs) (r Repo, err error) {
	names := known.Names
	if full := strings.ToLower(seen.Owner + "/" + seen.Name); !slices.Contains(names, full) {
		taken, err := q.NameTaken(ctx, full)
		if err != nil {
			return r, err
		}
		if !taken {
			names = append(slices.Clone(names), full)
		}
	}
	if known.Presence != seen.presence() {
		if err := s.wakeRepo(ctx, tx, q, known.ID, wake); err != nil {
			return r, err
		}
	}
	if r, err = q.SetSeen(ctx, query.SetSeenParams{
		ID: known.ID, GithubID: &seen.GitHubID, Owner: seen.Owner, Name: seen.Name, Names: names, InstallationID: seen.Installation,
		DefaultBranch: seen.DefaultBranch, Presence: seen.presence(), At: s.now(),
	}); err != nil {
		return r, err
	}
	if !strings.EqualFold(known.Owner, r.Owner) {
		now := s.now()
		if err := q.KeepOwnersStop(ctx, query.KeepOwnersStopParams{RepoID: &r.ID, Owner: known.Owner, Now: &now}); err != nil {
			return r, err
		}
	}
	return r, s.auditRepo(ctx, q, known, r)
}

// displace takes a name from the env repos that are still written down under it. One
// that only has another name now is seen under that next.
func (s *Store) displace(ctx context.Context, tx pgx.Tx, q *query.Queries, seen SeenRepo, wake func(promotion int64) river.JobArgs) error {
	others, err := q.OthersCalled(ctx, query.OthersCalledParams{GithubID: &seen.GitHubID, Owner: seen.Owner, Name: seen.Name})
	if err != nil {
		return err
	}
	for _, r := range others {
		if r.GithubID == nil {
			continue // it is this one, before GitHub was asked
		}
		note := fmt.Sprintf("%s/%s is another repository now, number %d. To have that one looked after instead, name it %s/%s#%d where Tagboat runs.",
			r.Owner, r.Name, seen.GitHubID, seen.Owner, seen.Name, seen.GitHubID)
		if err := s.setAway(ctx, tx, q, r, PresenceRemoved, note, wake); err != nil {
			return err
		}
	}
	return nil
}

// RepoAway keeps that nothing can be done in an env repo, and why. Nothing of it is
// deleted.
func (s *Store) RepoAway(ctx context.Context, id int64, presence, note string, wake func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "keep that env repo %d is away", id)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.LockRepos(ctx); err != nil {
			return err
		}
		known, err := q.Repo(ctx, id)
		if err != nil || known.Presence == presence {
			return err
		}
		return s.setAway(ctx, tx, q, known, presence, note, wake)
	})
}

func (s *Store) setAway(ctx context.Context, tx pgx.Tx, q *query.Queries, known Repo, presence, note string, wake func(promotion int64) river.JobArgs) error {
	if err := s.wakeRepo(ctx, tx, q, known.ID, wake); err != nil {
		return err
	}
	r, err := q.SetAway(ctx, query.SetAwayParams{ID: known.ID, Presence: presence, At: s.now(), Note: note})
	if err != nil {
		return err
	}
	return s.auditRepo(ctx, q, known, r)
}

// MissRepo keeps an env repo that the configuration names and the App is not
// installed on, so that people see it. It answers false where it was known already.
func (s *Store) MissRepo(ctx context.Context, owner, name string) (missed bool, err error) {
	defer wrap(&err, "keep that the App is not installed on %s/%s", owner, name)
	err = s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := q.LockRepos(ctx); err != nil {
			return err
		}
		full := owner + "/" + name
		taken, err := q.NameTaken(ctx, strings.ToLower(full))
		if err != nil || taken {
			return err
		}
		missed = true
		_, err = q.InsertRepo(ctx, query.InsertRepoParams{
			Owner: owner, Name: name, Names: []string{strings.ToLower(full)}, Mark: full, Presence: PresenceRemoved, At: s.now(),
		})
		return err
	})
	return missed && err == nil, err
}

func (seen SeenRepo) presence() string {
	if seen.Archived {
		return PresenceArchived
	}
	return PresenceInstalled
}

// auditRepo appends what has changed about an env repo, if anything has.
func (s *Store) auditRepo(ctx context.Context, q *query.Queries, was, is Repo) error {
	before, now := was.Owner+"/"+was.Name, is.Owner+"/"+is.Name
	if before == now && was.Presence == is.Presence && was.InstallationID == is.InstallationID && was.DefaultBranch == is.DefaultBranch {
		return nil
	}
	inputs := map[string]any{
		"repo": now, "number": is.GithubID, "presence": is.Presence, "installation": is.InstallationID, "defaultBranch": is.DefaultBranch,
	}
	if before != now {
		inputs["was"] = before
	}
	return s.audit(ctx, q, Entry{Action: ActionRepo, Inputs: inputs})
}

// Readable reports whether an env repo's files can be read.
func Readable(r Repo) bool { return r.Presence == PresenceInstalled || r.Presence == PresenceArchived }

// UsedAway reports whether an env repo that is away had an image: what is pushed
// meanwhile is for it, too.
func (s *Store) UsedAway(ctx context.Context, image string) (_ bool, err error) {
	defer wrap(&err, "look who had %s", image)
	return s.query.UsedAway(ctx, image)
}

// Repo is one env repo.
func (s *Store) Repo(ctx context.Context, id int64) (_ Repo, err error) {
	defer wrap(&err, "read env repo %d", id)
	return s.query.Repo(ctx, id)
}

// RepoByName is the env repo that has a name on GitHub; ErrNotFound if there is none.
func (s *Store) RepoByName(ctx context.Context, owner, name string) (_ Repo, err error) {
	defer wrap(&err, "read env repo %s/%s", owner, name)
	return s.query.RepoByName(ctx, query.RepoByNameParams{Owner: owner, Name: name})
}

// RepoByGitHubID is the env repo that GitHub has under a number; ErrNotFound if there
// is none.
func (s *Store) RepoByGitHubID(ctx context.Context, id int64) (_ Repo, err error) {
	defer wrap(&err, "read env repo with number %d", id)
	return s.query.RepoByGitHubID(ctx, &id)
}

// Repos are all env repos.
func (s *Store) Repos(ctx context.Context) (_ []Repo, err error) {
	defer wrap(&err, "read env repos")
	return s.query.Repos(ctx)
}

// RecordStranger writes down our check on a commit that is not ours.
func (s *Store) RecordStranger(ctx context.Context, repo Repo, checkRun int64, head, conclusion string) (err error) {
	defer wrap(&err, "record the check on %s", head)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		return s.audit(ctx, q, Entry{Action: ActionStranger, SHA: head, Inputs: map[string]any{
			"repo": repo.Owner + "/" + repo.Name, "checkRun": checkRun, "conclusion": conclusion,
		}})
	})
}

// SetConfigError keeps why a repo's tagboat.yaml cannot be used; "" when it can.
func (s *Store) SetConfigError(ctx context.Context, id int64, message string) (err error) {
	defer wrap(&err, "keep configuration state of env repo %d", id)
	return s.query.SetConfigError(ctx, query.SetConfigErrorParams{ID: id, ConfigError: message, SeenAt: s.now()})
}

// RecordConfigTold writes down that GitHub was told, on the commit that has it, why a
// repo's tagboat.yaml cannot be used.
func (s *Store) RecordConfigTold(ctx context.Context, repo Repo, checkRun int64, commit string) (err error) {
	defer wrap(&err, "record the check of tagboat.yaml on %s", commit)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := q.SetConfigTold(ctx, query.SetConfigToldParams{ID: repo.ID, Commit: commit}); err != nil {
			return err
		}
		return s.audit(ctx, q, Entry{Action: ActionConfigTold, SHA: commit, Inputs: map[string]any{
			"repo": repo.Owner + "/" + repo.Name, "checkRun": checkRun,
		}})
	})
}
