-- name: Running :many
-- What every cluster has, and the pull request that merged it.
SELECT sqlc.embed(t), m.merged_at, coalesce(m.pull_number, 0)::integer AS pull_number
FROM target t
LEFT JOIN promotion m ON m.id = (
    SELECT p.id FROM promotion p JOIN artifact a ON a.id = p.artifact_id
    WHERE p.repo_id = t.repo_id AND p.app = t.app AND p.env = t.env AND a.digest = t.digest AND p.merged_at IS NOT NULL
    ORDER BY p.id DESC LIMIT 1
)
WHERE t.repo_id = @repo_id AND NOT t.gone
ORDER BY t.position, t.env, t.app, t.cluster;

-- name: Coming :many
-- What is on its way, the oldest first.
SELECT p.app, p.env, p.state, p.pull_number, a.tag
FROM promotion p JOIN artifact a ON a.id = p.artifact_id
WHERE p.repo_id = @repo_id AND p.state IN ('proposed', 'open', 'merged')
ORDER BY p.id;

-- name: PromotionsOfPair :many
-- Those of one app in one environment that have not ended.
SELECT * FROM promotion WHERE repo_id = @repo_id AND app = @app AND env = @env AND state IN ('proposed', 'open', 'merged') ORDER BY id;

-- name: AgeDryRuns :exec
-- As if the clusters had been asked an hour ago: then they are asked again now.
UPDATE dry_run SET tried_at = tried_at - interval '1 hour' WHERE promotion_id = @promotion_id;
