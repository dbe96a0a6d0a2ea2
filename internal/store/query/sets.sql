-- name: InsertSet :one
INSERT INTO promotion_set (repo_id, env, origin, branch, created_at) VALUES (@repo_id, @env, @origin, @branch, @at) RETURNING *;

-- name: JoinSet :one
UPDATE promotion SET set_id = @set_id, led_by = @led_by WHERE id = @id RETURNING *;

-- name: SetOf :one
-- The set that a promotion is of.
SELECT s.* FROM promotion_set s JOIN promotion p ON p.set_id = s.id WHERE p.id = @id;

-- name: SetMembers :many
-- The one that leads comes first.
SELECT * FROM promotion WHERE set_id = @set_id ORDER BY id;

-- name: LockTogether :many
-- A promotion, and those that share its pull request with it; the one that leads first.
SELECT p.* FROM promotion p WHERE p.id = @id OR p.set_id = (SELECT o.set_id FROM promotion o WHERE o.id = @id) ORDER BY p.id FOR UPDATE;

-- name: Leaders :many
-- Who acts for those of the promotions that wait to be merged and do not act themselves.
SELECT DISTINCT led_by::bigint FROM promotion WHERE id = ANY (@ids::bigint[]) AND led_by IS NOT NULL AND state IN ('proposed', 'open');

-- name: BranchWanted :one
-- Does a promotion that waits to be merged use this branch?
SELECT EXISTS (SELECT 1 FROM promotion WHERE repo_id = @repo_id AND branch = @branch AND state IN ('proposed', 'open'));

-- name: SetOnBranch :one
-- The newest set on a branch of which anything waits to be merged.
SELECT g.* FROM promotion_set g WHERE g.repo_id = @repo_id AND g.branch = @branch
  AND EXISTS (SELECT 1 FROM promotion p WHERE p.set_id = g.id AND p.state IN ('proposed', 'open'))
ORDER BY g.id DESC LIMIT 1;

-- name: BreakUp :execrows
-- A rollback goes first. The pull request stays open in the row until it is closed on GitHub.
UPDATE promotion SET state = 'closed', message = @message, updated_at = @at WHERE id = @id AND state IN ('proposed', 'open');

-- name: SetPullClosed :execrows
UPDATE promotion SET pull_state = 'closed' WHERE id = @id AND pull_state = 'open';

-- name: LeftOpen :one
-- The pull request on a branch whose promotion a rollback went before, while nobody has
-- read on GitHub that it is closed.
SELECT pull_number FROM promotion WHERE repo_id = @repo_id AND branch = @branch AND state = 'closed' AND pull_state = 'open' ORDER BY id DESC LIMIT 1;
