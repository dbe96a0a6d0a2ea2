-- name: LockRepos :exec
-- One at a time says what env repos there are and how they are called.
SELECT pg_advisory_xact_lock(hashtextextended('tagboat env repos', 0));

-- name: RepoToSee :one
-- The env repo that has a number, or that was named before GitHub was asked.
SELECT * FROM env_repo
WHERE github_id = @github_id OR github_id IS NULL AND lower(owner) = lower(@owner) AND lower(name) = lower(@name)
ORDER BY github_id NULLS LAST LIMIT 1;

-- name: InsertRepo :one
INSERT INTO env_repo (github_id, owner, name, names, mark, installation_id, default_branch, presence, presence_since, presence_note, seen_at)
VALUES (@github_id, @owner, @name, @names, @mark, @installation_id, @default_branch, @presence, @at, @note, @at)
RETURNING *;

-- name: SetSeen :one
-- What was away is surveyed anew: nobody knows what has happened meanwhile. So is what
-- has another default branch: environments live on it.
UPDATE env_repo SET
    github_id = @github_id, owner = @owner, name = @name, names = @names, installation_id = @installation_id, default_branch = @default_branch,
    surveyed = CASE WHEN presence IN ('suspended', 'removed') OR default_branch <> @default_branch THEN '' ELSE surveyed END,
    presence_since = CASE WHEN presence = @presence THEN presence_since ELSE @at END,
    presence_note = CASE WHEN presence = @presence THEN presence_note ELSE '' END,
    presence = @presence, seen_at = @at
WHERE id = @id
RETURNING *;

-- name: SetAway :one
UPDATE env_repo SET presence = @presence, presence_since = @at, presence_note = @note WHERE id = @id RETURNING *;

-- name: NameTaken :one
-- Whether some env repo had a name before, or marks its objects with it.
SELECT EXISTS (SELECT FROM env_repo WHERE @name::text = ANY (names) OR lower(mark) = @name::text)::boolean;

-- name: OthersCalled :many
-- Env repos that are still written down under a name that another has now.
SELECT * FROM env_repo
WHERE github_id IS DISTINCT FROM @github_id AND lower(owner) = lower(@owner) AND lower(name) = lower(@name) AND presence <> 'removed';

-- name: Repo :one
SELECT * FROM env_repo WHERE id = @id;

-- name: RepoByName :one
-- One that is gone may have left its name to another.
SELECT * FROM env_repo WHERE lower(owner) = lower(@owner) AND lower(name) = lower(@name) ORDER BY (presence = 'removed'), id DESC LIMIT 1;

-- name: RepoByGitHubID :one
SELECT * FROM env_repo WHERE github_id = @github_id;

-- name: Repos :many
SELECT * FROM env_repo ORDER BY owner, name, id;

-- name: SetSurveyed :exec
UPDATE env_repo SET surveyed = @surveyed, config_error = '', config_error_since = NULL, config_told = '', seen_at = @seen_at WHERE id = @id;

-- name: SetConfigError :exec
UPDATE env_repo SET
    config_error_since = CASE WHEN @config_error = '' THEN NULL ELSE coalesce(config_error_since, @seen_at) END,
    config_error = @config_error, seen_at = @seen_at
WHERE id = @id;

-- name: SetConfigTold :exec
UPDATE env_repo SET config_told = @commit WHERE id = @id;

-- name: UsedAway :one
-- Whether an env repo that cannot be read now had an image.
SELECT EXISTS (
    SELECT FROM env_repo r
    WHERE r.presence IN ('suspended', 'removed') AND (
        EXISTS (SELECT FROM target t WHERE t.repo_id = r.id AND t.image = @image::text)
        OR EXISTS (SELECT FROM promotion p JOIN artifact a ON a.id = p.artifact_id WHERE p.repo_id = r.id AND a.image = @image::text)
    )
)::boolean;
