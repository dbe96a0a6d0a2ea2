-- name: OpenDrift :one
SELECT * FROM drift WHERE target_id = @target_id AND ended_at IS NULL;

-- name: InsertDrift :one
INSERT INTO drift (target_id, found, seen_at, ended_at, healed) VALUES (@target_id, @found, @seen_at, @ended_at, @healed) RETURNING *;

-- name: SetDrift :exec
UPDATE drift SET found = @found, ended_at = @ended_at, healed = @healed WHERE id = @id;

-- name: EndLeftDrifts :many
UPDATE drift d SET ended_at = @at FROM target t WHERE t.id = d.target_id AND t.repo_id = @repo_id AND t.gone AND d.ended_at IS NULL RETURNING d.id;

-- name: Drift :one
SELECT * FROM drift WHERE id = @id;

-- name: AnnounceDrift :execrows
UPDATE drift SET announced_at = @at WHERE id = @id AND announced_at IS NULL;

-- name: SetDriftPlace :exec
UPDATE drift SET number = @number WHERE id = @id;

-- name: SetDriftTold :exec
UPDATE drift SET comment_id = @comment_id, told = @told WHERE id = @id;

-- name: MergedLast :one
-- The pull request that was merged last for an (app, environment).
SELECT * FROM promotion WHERE repo_id = @repo_id AND app = @app AND env = @env AND merged_at IS NOT NULL AND pull_number <> 0
ORDER BY merged_at DESC, id DESC LIMIT 1;
