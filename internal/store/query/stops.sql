-- name: InsertStop :one
INSERT INTO stop (owner, repo_id, env, app, reason, actor_id, actor, url, since, until, command_id, closed_pull)
VALUES (@owner, @repo_id, @env, @app, @reason, @actor_id, @actor, @url, @since, @until, @command_id, @closed_pull)
RETURNING *;

-- name: StoppedBy :one
-- Whether a command made a stop already, whatever became of it since.
SELECT EXISTS (
    SELECT FROM stop
    WHERE (repo_id = @repo_id OR repo_id IS NULL AND @repo_id::bigint IS NULL AND lower(owner) = lower(@owner)) AND env = @env AND app = @app
      AND reason = @reason AND command_id = @command_id
);

-- name: LiftStop :many
UPDATE stop SET lifted_at = @at, lifted_by = @by, lifted_command_id = @command_id
WHERE (repo_id = @repo_id OR repo_id IS NULL AND @repo_id::bigint IS NULL AND lower(owner) = lower(@owner))
  AND env = @env AND app = @app AND lifted_at IS NULL
RETURNING *;

-- name: LiftedBy :many
-- What a command lifted already.
SELECT * FROM stop
WHERE (repo_id = @repo_id OR repo_id IS NULL AND @repo_id::bigint IS NULL AND lower(owner) = lower(@owner)) AND env = @env AND app = @app AND lifted_command_id = @command_id
ORDER BY id DESC LIMIT 1;

-- name: ReplaceStop :exec
-- What people say takes the place of what people said; a hold that came of closing a
-- pull request stands beside it.
UPDATE stop SET lifted_at = @at, lifted_by = @by
WHERE (repo_id = @repo_id OR repo_id IS NULL AND @repo_id::bigint IS NULL AND lower(owner) = lower(@owner)) AND env = @env AND app = @app AND lifted_at IS NULL AND closed_pull = 0;

-- name: ClosedHold :one
-- The hold that came of closing a pull request of an (app, environment).
SELECT * FROM stop WHERE repo_id = @repo_id AND env = @env AND app = @app AND lifted_at IS NULL AND closed_pull > 0;

-- name: EndClosedHold :exec
-- A promotion was asked for again.
UPDATE stop SET lifted_at = @at, lifted_by = @by, lifted_for = @promotion_id WHERE id = @id;

-- name: StopsOf :many
-- Everything that stops one app in one environment, the widest first. What was
-- stopped in an env repo stays so when that goes to another owner.
SELECT * FROM stop
WHERE (repo_id = @repo_id OR repo_id IS NULL AND lower(owner) = lower(@owner)) AND (env = '' OR env = @env) AND (app = '' OR app = @app)
  AND lifted_at IS NULL AND (until IS NULL OR until > @now)
ORDER BY repo_id NULLS FIRST, env, app, closed_pull;

-- name: ActivePromotionsOfOwner :many
SELECT p.* FROM promotion p JOIN env_repo r ON r.id = p.repo_id WHERE lower(r.owner) = lower(@owner) AND p.state IN ('proposed', 'open') ORDER BY p.id;

-- name: WideStops :many
-- What stops more than one app, now.
SELECT * FROM stop
WHERE app = '' AND lifted_at IS NULL AND (until IS NULL OR until > @now)
ORDER BY repo_id NULLS FIRST, env, id;

-- name: KeepOwnersStop :exec
-- An env repo that goes to another owner, or whose owner is called otherwise now,
-- stays stopped if everything of its owner was.
INSERT INTO stop (owner, repo_id, env, app, reason, actor_id, actor, url, since, until)
SELECT s.owner, @repo_id, '', '', s.reason, s.actor_id, s.actor, s.url, s.since, s.until FROM stop s
WHERE lower(s.owner) = lower(@owner) AND s.repo_id IS NULL AND s.lifted_at IS NULL AND (s.until IS NULL OR s.until > @now)
  AND NOT EXISTS (SELECT FROM stop n WHERE n.repo_id = @repo_id AND n.env = '' AND n.app = '' AND n.lifted_at IS NULL)
LIMIT 1;
