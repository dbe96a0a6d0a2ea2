-- name: UpsertCheckResult :exec
INSERT INTO check_result (repo_id, head_sha, kind, app_id, name, status, conclusion, url, observed_at)
VALUES (@repo_id, @head_sha, @kind, @app_id, @name, @status, @conclusion, @url, @observed_at)
ON CONFLICT (repo_id, head_sha, kind, app_id, name) DO UPDATE
SET status = excluded.status, conclusion = excluded.conclusion, url = excluded.url, observed_at = excluded.observed_at
WHERE check_result.observed_at <= excluded.observed_at;

-- name: CheckResults :many
SELECT * FROM check_result WHERE repo_id = @repo_id AND head_sha = @head_sha ORDER BY name, observed_at;

-- name: InsertReview :execrows
INSERT INTO review (promotion_id, review_id, reviewer_id, reviewer, bot, state, head_sha, digest, submitted_at, recorded_at, delivery_id)
VALUES (@promotion_id, @review_id, @reviewer_id, @reviewer, @bot, @state, @head_sha, @digest, @submitted_at, @recorded_at, @delivery_id)
ON CONFLICT (promotion_id, review_id, state, head_sha) DO NOTHING;

-- name: Reviews :many
SELECT r.*, coalesce(h.edit_hash, '')::text AS edit_hash FROM review r
LEFT JOIN promotion_head h ON h.head_sha = r.head_sha AND h.promotion_id = r.promotion_id
WHERE r.promotion_id = @promotion_id ORDER BY r.id;

-- name: EarlierReviews :many
-- Those of the promotions that had a promotion's pull request before it.
SELECT r.*, coalesce(h.edit_hash, '')::text AS edit_hash FROM review r
JOIN promotion e ON e.id = r.promotion_id
JOIN promotion p ON p.repo_id = e.repo_id AND p.pull_number = e.pull_number AND p.id > e.id AND (p.set_id IS NULL OR e.set_id IS DISTINCT FROM p.set_id)
LEFT JOIN promotion_head h ON h.head_sha = r.head_sha AND h.promotion_id = r.promotion_id
WHERE p.id = @promotion_id AND p.pull_number > 0 ORDER BY r.id;

-- name: AnnounceDismissal :execrows
INSERT INTO dismissal (promotion_id, review_id, announced_at) VALUES (@promotion_id, @review_id, @at)
ON CONFLICT (promotion_id, review_id) DO NOTHING;

-- name: SetDismissal :execrows
UPDATE dismissal SET outcome = @outcome, done_at = @at WHERE promotion_id = @promotion_id AND review_id = @review_id AND outcome = '';

-- name: Dismissals :many
-- On a promotion's pull request, whichever promotion had it then.
SELECT d.* FROM dismissal d
JOIN promotion e ON e.id = d.promotion_id
JOIN promotion p ON p.id = @promotion_id AND p.repo_id = e.repo_id AND (p.id = e.id OR p.pull_number > 0 AND p.pull_number = e.pull_number)
ORDER BY d.announced_at, d.review_id;

-- name: InsertTick :exec
INSERT INTO tick (promotion_id, item, checked, actor_id, actor, at, delivery_id)
VALUES (@promotion_id, @item, @checked, @actor_id, @actor, @at, @delivery_id)
ON CONFLICT (promotion_id, delivery_id, item) DO NOTHING;

-- name: Ticks :many
SELECT DISTINCT ON (item) * FROM tick WHERE promotion_id = @promotion_id ORDER BY item, at DESC, id DESC;

-- name: LatestEvidence :many
SELECT DISTINCT ON (gate) * FROM evidence
WHERE promotion_id = @promotion_id AND digest = @digest AND head_sha = @head_sha ORDER BY gate, id DESC;

-- name: InsertEvidence :one
INSERT INTO evidence (promotion_id, app, env, digest, head_sha, gate, verdict, reason, detail, source, url, observed_at, expires_at, owner, missing, next_check)
VALUES (@promotion_id, @app, @env, @digest, @head_sha, @gate, @verdict, @reason, @detail, @source, @url, @observed_at, @expires_at, @owner, @missing, @next_check)
RETURNING id;

-- name: Evidence :many
SELECT * FROM evidence WHERE promotion_id = @promotion_id ORDER BY id;

-- name: Standing :many
-- Since when each gate says what it says: the oldest evidence after which no other
-- verdict came, whatever the head was.
SELECT e.gate, e.verdict, min(e.observed_at)::timestamptz AS since FROM evidence e
WHERE e.promotion_id = @promotion_id AND NOT EXISTS (
    SELECT FROM evidence later
    WHERE later.promotion_id = e.promotion_id AND later.gate = e.gate AND later.id > e.id AND later.verdict <> e.verdict)
GROUP BY e.gate, e.verdict;
