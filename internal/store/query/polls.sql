-- name: Poll :one
SELECT * FROM poll WHERE kind = @kind AND subject = @subject;

-- name: Polls :many
-- Those of the given subjects, whether they are due or not.
SELECT * FROM poll WHERE kind = @kind AND subject = ANY(@subjects::text[]);

-- name: SetPoll :exec
INSERT INTO poll (kind, subject, due, until, tag) VALUES (@kind, @subject, @due, @until, @tag)
ON CONFLICT (kind, subject) DO UPDATE SET due = excluded.due, until = excluded.until, tag = excluded.tag;

-- name: PostponePolls :exec
UPDATE poll SET due = @due WHERE kind = @kind AND starts_with(subject, @prefix::text) AND due < @due;

-- name: DropPolls :exec
-- Of promotions that have ended.
DELETE FROM poll WHERE kind = 'checks' AND NOT EXISTS (
    SELECT FROM promotion p WHERE p.id::text = poll.subject AND p.state = 'open');

-- name: KnownDeliveries :many
SELECT delivery_id FROM delivery WHERE source = @source AND delivery_id = ANY(@ids::text[]);

-- name: FirstDelivery :one
SELECT received_at FROM delivery WHERE source = @source ORDER BY id LIMIT 1;

-- name: WaitingFor :many
-- Open promotions whose newest evidence of a gate, on the head as it was last seen, keeps them.
SELECT * FROM promotion p WHERE p.repo_id = @repo_id AND p.state = 'open' AND p.pull_number > 0 AND p.led_by IS NULL AND (
    SELECT e.verdict FROM evidence e WHERE e.promotion_id = p.id AND e.gate = @gate AND e.head_sha = p.seen_head_sha
    ORDER BY e.id DESC LIMIT 1) IN ('wait', 'fail')
ORDER BY p.id;

-- name: InQueue :many
-- Open promotions whose pull request GitHub's merge queue has as it is.
SELECT p.id, p.pull_number, q.group_sha FROM queued q JOIN promotion p ON p.id = q.promotion_id
WHERE p.repo_id = @repo_id AND p.state = 'open' AND q.head_sha <> '' AND q.head_sha = p.seen_head_sha ORDER BY p.id;

-- name: SourceRepos :many
-- What artifacts that were verified since then are built from.
SELECT DISTINCT source_repo FROM artifact WHERE source_repo <> '' AND verified_at > @since ORDER BY source_repo;

-- name: TagsOf :many
-- What the tag ledger has of an image.
SELECT tag, digest FROM artifact WHERE image = @image AND tag = ANY(@tags::text[]);
