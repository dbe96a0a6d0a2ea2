-- name: Queued :one
SELECT * FROM queued WHERE promotion_id = @promotion_id;

-- name: SetQueueEntered :exec
INSERT INTO queued (promotion_id, head_sha, entered_at) VALUES (@promotion_id, @head_sha, @at)
ON CONFLICT (promotion_id) DO UPDATE SET head_sha = excluded.head_sha, entered_at = excluded.entered_at, left_at = NULL;

-- name: SetQueueLeft :exec
-- Taken out without having been entered by us, it does not matter.
UPDATE queued SET head_sha = '', left_at = @at, group_sha = '', group_base = '' WHERE promotion_id = @promotion_id AND head_sha <> '';

-- name: SetQueueGroup :exec
INSERT INTO queued (promotion_id, group_sha, group_base) VALUES (@promotion_id, @group_sha, @group_base)
ON CONFLICT (promotion_id) DO UPDATE SET group_sha = excluded.group_sha, group_base = excluded.group_base;

-- name: DropQueueGroup :exec
UPDATE queued SET group_sha = '', group_base = '' WHERE promotion_id = @promotion_id AND group_sha = @group_sha;

-- name: SetQueueCheck :exec
UPDATE queued SET check_run_id = @check_run_id, check_sha = @check_sha, check_hash = @check_hash WHERE promotion_id = @promotion_id;
