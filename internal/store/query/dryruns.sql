-- name: DryRun :one
SELECT * FROM dry_run WHERE promotion_id = @promotion_id AND cluster = @cluster;

-- name: DryRuns :many
SELECT * FROM dry_run WHERE promotion_id = @promotion_id ORDER BY cluster;

-- name: UpsertDryRun :exec
INSERT INTO dry_run (promotion_id, cluster, rendered, outcome, objects, message, since, tried_at)
VALUES (@promotion_id, @cluster, @rendered, @outcome, @objects, @message, @tried_at, @tried_at)
ON CONFLICT (promotion_id, cluster) DO UPDATE SET
    rendered = excluded.rendered, outcome = excluded.outcome, objects = excluded.objects, message = excluded.message,
    tried_at = excluded.tried_at,
    since = CASE WHEN dry_run.rendered = excluded.rendered AND dry_run.outcome = excluded.outcome THEN dry_run.since ELSE excluded.since END;
