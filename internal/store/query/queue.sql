-- name: Queued :one
SELECT * FROM queued WHERE promotion_id = @promotion_id;

-- name: SetQueueEntered :exec
INSERT INTO queued (promotion_id, head_sha, entered_at, asked_at) VALUES (@promotion_id, @head_sha, @at, @at)
ON CONFLICT (promotion_id) DO UPDATE SET head_sha = excluded.head_sha, asked_at = excluded.asked_at, left_at = NULL,
    entered_at = CASE WHEN queued.head_sha = excluded.head_sha THEN queued.entered_at ELSE excluded.entered_at END;

-- name: SetQueueLeft :exec
-- That an older head left says nothing of the one that was entered since. What
-- becomes of the group is told by itself.
UPDATE queued SET head_sha = '', left_at = @at WHERE promotion_id = @promotion_id AND head_sha = @head_sha;

-- name: SetQueueGroup :exec
INSERT INTO queued (promotion_id, group_sha, group_base) VALUES (@promotion_id, @group_sha, @group_base)
ON CONFLICT (promotion_id) DO UPDATE SET group_sha = excluded.group_sha, group_base = excluded.group_base;

-- name: DropQueueGroup :exec
UPDATE queued SET group_sha = '', group_base = '' WHERE promotion_id = @promotion_id AND group_sha = @group_sha;

-- name: InheritQueued :exec
-- A newer artifact takes over the pull request, and with it a group that holds the
-- older one: what our check says there is the newer one's to say.
UPDATE queued SET promotion_id = @promotion_id, check_hash = '' WHERE promotion_id = @older_id;

-- name: ForgetQueued :exec
DELETE FROM queued WHERE promotion_id = @promotion_id;

-- name: SetQueueCheck :exec
UPDATE queued SET check_run_id = @check_run_id, check_sha = @check_sha, check_hash = @check_hash WHERE promotion_id = @promotion_id;
