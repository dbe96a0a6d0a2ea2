-- name: UpsertRepo :one
INSERT INTO env_repo (owner, name, installation_id, default_branch, seen_at)
VALUES (@owner, @name, @installation_id, @default_branch, @seen_at)
ON CONFLICT (owner, name) DO UPDATE
SET installation_id = excluded.installation_id, default_branch = excluded.default_branch, seen_at = excluded.seen_at
RETURNING *;

-- name: Repo :one
SELECT * FROM env_repo WHERE id = @id;

-- name: RepoByName :one
SELECT * FROM env_repo WHERE lower(owner) = lower(@owner) AND lower(name) = lower(@name);

-- name: Repos :many
SELECT * FROM env_repo ORDER BY owner, name;

-- name: SetSurveyed :exec
UPDATE env_repo SET surveyed = @surveyed, config_error = '', seen_at = @seen_at WHERE id = @id;

-- name: SetConfigError :exec
UPDATE env_repo SET config_error = @config_error, seen_at = @seen_at WHERE id = @id;
