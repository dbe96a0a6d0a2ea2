-- name: InsertStop :one
INSERT INTO stop (owner, repo_id, env, app, reason, actor_id, actor, url, since, until, delivery_id, closed_pull)
VALUES (@owner, @repo_id, @env, @app, @reason, @actor_id, @actor, @url, @since, @until, @delivery_id, @closed_pull)
RETURNING *;

-- name: StoppedBy :one
-- Whether a delivery made a stop already, whatever became of it since.
SELECT EXISTS (
    SELECT FROM stop
    WHERE owner = @owner AND repo_id IS NOT DISTINCT FROM @repo_id AND env = @env AND app = @app
      AND reason = @reason AND delivery_id = @delivery_id
);

-- name: LiftStop :many
UPDATE stop SET lifted_at = @at, lifted_by = @by, lifted_delivery_id = @delivery_id
WHERE owner = @owner AND repo_id IS NOT DISTINCT FROM @repo_id AND env = @env AND app = @app AND lifted_at IS NULL
RETURNING *;

-- name: LiftedBy :many
-- What a delivery lifted already.
SELECT * FROM stop
WHERE owner = @owner AND repo_id IS NOT DISTINCT FROM @repo_id AND env = @env AND app = @app AND lifted_delivery_id = @delivery_id
ORDER BY id DESC LIMIT 1;

-- name: ReplaceStop :exec
-- What people say takes the place of what people said; a hold that came of closing a
-- pull request stands beside it.
UPDATE stop SET lifted_at = @at, lifted_by = @by, lifted_delivery_id = @delivery_id
WHERE owner = @owner AND repo_id IS NOT DISTINCT FROM @repo_id AND env = @env AND app = @app AND lifted_at IS NULL AND closed_pull = 0;

-- name: ClosedHold :one
-- The hold that came of closing a pull request of an (app, environment).
SELECT * FROM stop WHERE repo_id = @repo_id AND env = @env AND app = @app AND lifted_at IS NULL AND closed_pull > 0;

-- name: EndClosedHold :exec
-- A promotion was asked for again.
UPDATE stop SET lifted_at = @at, lifted_by = @by, lifted_for = @promotion_id WHERE id = @id;

-- name: StopsOf :many
-- Everything that stops one app in one environment, the widest first.
SELECT * FROM stop
WHERE owner = @owner AND (repo_id IS NULL OR repo_id = @repo_id) AND (env = '' OR env = @env) AND (app = '' OR app = @app)
  AND lifted_at IS NULL AND (until IS NULL OR until > @now)
ORDER BY repo_id NULLS FIRST, env, app, closed_pull;

-- name: ActivePromotionsOfOwner :many
SELECT p.* FROM promotion p JOIN env_repo r ON r.id = p.repo_id WHERE r.owner = @owner AND p.state IN ('proposed', 'open') ORDER BY p.id;
