-- name: SwapSpending :one
-- One statement, so that the row is locked for no longer than it takes. What it
-- writes may be lost in a crash of the database, a few tenths of a second of it:
-- waiting for the disk would cost each write to GitHub more than that is worth.
WITH quick AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true) AS setting
), swapped AS (
    INSERT INTO github_budget AS b (installation_id, version, spent)
    SELECT @installation_id::bigint, 1, @spent::jsonb FROM quick
    ON CONFLICT (installation_id) DO UPDATE SET version = b.version + 1, spent = excluded.spent
    WHERE b.version = @seen::bigint
    RETURNING b.version, b.spent
)
SELECT version, spent, true AS swapped FROM swapped
UNION ALL
SELECT g.version, g.spent, false FROM github_budget g
WHERE g.installation_id = @installation_id AND NOT EXISTS (SELECT FROM swapped);
