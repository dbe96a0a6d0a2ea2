package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// SeeRepo keeps what GitHub says about an env repo.
func (s *Store) SeeRepo(ctx context.Context, owner, name string, installation int64, defaultBranch string) (_ Repo, err error) {
	defer wrap(&err, "keep env repo %s/%s", owner, name)
	return s.query.UpsertRepo(ctx, query.UpsertRepoParams{
		Owner: owner, Name: name, InstallationID: installation, DefaultBranch: defaultBranch, SeenAt: s.now(),
	})
}

// Repo is one env repo.
func (s *Store) Repo(ctx context.Context, id int64) (_ Repo, err error) {
	defer wrap(&err, "read env repo %d", id)
	return s.query.Repo(ctx, id)
}

// RepoByName is an env repo by its GitHub name; ErrNotFound if it is not one of
// ours.
func (s *Store) RepoByName(ctx context.Context, owner, name string) (_ Repo, err error) {
	defer wrap(&err, "read env repo %s/%s", owner, name)
	return s.query.RepoByName(ctx, query.RepoByNameParams{Owner: owner, Name: name})
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
