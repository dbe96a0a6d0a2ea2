-- name: Deployments :many
SELECT * FROM deployment WHERE promotion_id = @promotion_id ORDER BY cluster;

-- name: SetDeployment :exec
INSERT INTO deployment (promotion_id, cluster, github_id, state) VALUES (@promotion_id, @cluster, @github_id, @state)
ON CONFLICT (promotion_id, cluster) DO UPDATE SET github_id = excluded.github_id, state = excluded.state;

-- name: SetCommitStatus :exec
UPDATE promotion SET commit_status = @commit_status WHERE id = @id;
