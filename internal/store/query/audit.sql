-- name: LockAudit :exec
SELECT pg_advisory_xact_lock(hashtextextended('tagboat audit', 0));

-- name: LastAudit :one
SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1;

-- name: AuditHead :one
-- How far the log goes, by its own account.
SELECT id, hash FROM audit_head;

-- name: InsertAudit :exec
INSERT INTO audit (id, at, actor_id, actor, action, promotion_id, delivery_id, sha, inputs, prev_hash, hash)
VALUES (@id, @at, @actor_id, @actor, @action, @promotion_id, @delivery_id, @sha, @inputs, @prev_hash, @hash);

-- name: AuditRows :many
SELECT * FROM audit WHERE id > @after ORDER BY id LIMIT @most;

-- name: AuditOfPromotion :many
SELECT * FROM audit WHERE promotion_id = @promotion_id::bigint ORDER BY id;

-- name: AuditByHash :one
-- Where a row stands that somebody may have moved. It reads the whole log.
SELECT id FROM audit WHERE hash = @hash ORDER BY id LIMIT 1;

-- name: SelectAudit :many
-- A selection of the log, oldest first. Rows that are about no promotion have no
-- env repo, app and environment.
SELECT a.* FROM audit a LEFT JOIN promotion p ON p.id = a.promotion_id LEFT JOIN env_repo r ON r.id = p.repo_id
WHERE a.id > @after
  AND (@promotion::bigint = 0 OR a.promotion_id = @promotion::bigint)
  AND (@app::text = '' OR p.app = @app::text) AND (@env::text = '' OR p.env = @env::text)
  AND (@repo::text = '' OR lower(r.owner || '/' || r.name) = lower(@repo::text) OR lower(@repo::text) = ANY (r.names))
  AND (@action::text = '' OR a.action = @action::text) AND (@actor::text = '' OR lower(a.actor) = lower(@actor::text))
  AND (sqlc.narg('since')::timestamptz IS NULL OR a.at >= sqlc.narg('since')::timestamptz)
  AND (sqlc.narg('until')::timestamptz IS NULL OR a.at < sqlc.narg('until')::timestamptz)
ORDER BY a.id LIMIT @most;

-- name: NewestAudit :one
-- The row that a selection's newest rows begin with; as SelectAudit.
SELECT coalesce(min(id), 0)::bigint FROM (
    SELECT a.id FROM audit a LEFT JOIN promotion p ON p.id = a.promotion_id LEFT JOIN env_repo r ON r.id = p.repo_id
    WHERE (@promotion::bigint = 0 OR a.promotion_id = @promotion::bigint)
      AND (@app::text = '' OR p.app = @app::text) AND (@env::text = '' OR p.env = @env::text)
      AND (@repo::text = '' OR lower(r.owner || '/' || r.name) = lower(@repo::text) OR lower(@repo::text) = ANY (r.names))
      AND (@action::text = '' OR a.action = @action::text) AND (@actor::text = '' OR lower(a.actor) = lower(@actor::text))
      AND (sqlc.narg('since')::timestamptz IS NULL OR a.at >= sqlc.narg('since')::timestamptz)
      AND (sqlc.narg('until')::timestamptz IS NULL OR a.at < sqlc.narg('until')::timestamptz)
    ORDER BY a.id DESC LIMIT @most
) newest;

-- name: AuditedMerges :many
-- The merges into an (app, environment), newest first.
SELECT sqlc.embed(a), sqlc.embed(p), sqlc.embed(f), sqlc.embed(r)
FROM audit a JOIN promotion p ON p.id = a.promotion_id JOIN artifact f ON f.id = p.artifact_id JOIN env_repo r ON r.id = p.repo_id
WHERE a.action = 'merged'
  AND (@promotion::bigint = 0 OR a.promotion_id = @promotion::bigint)
  AND (@app::text = '' OR p.app = @app::text) AND (@env::text = '' OR p.env = @env::text)
  AND (@repo::text = '' OR lower(r.owner || '/' || r.name) = lower(@repo::text) OR lower(@repo::text) = ANY (r.names))
  AND (sqlc.narg('since')::timestamptz IS NULL OR a.at >= sqlc.narg('since')::timestamptz)
  AND (sqlc.narg('until')::timestamptz IS NULL OR a.at < sqlc.narg('until')::timestamptz)
ORDER BY a.id DESC LIMIT @most;

-- name: Unaudited :one
-- The first thing that is written down elsewhere and whose row in the log is
-- missing. Each of these is written in one transaction with its row.
SELECT what::text AS what, id::bigint AS id FROM (
    SELECT 'promotion' AS what, p.id FROM promotion p
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = p.id AND a.action = 'promotion proposed')
    UNION ALL
    SELECT 'merge of promotion', p.id FROM promotion p
    WHERE p.merged_at IS NOT NULL AND NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = p.id AND a.action = 'merged' AND a.sha = p.merge_sha)
    UNION ALL
    SELECT 'deployment of promotion', p.id FROM promotion p
    WHERE p.deployed_at IS NOT NULL AND NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = p.id AND a.action = 'deployed')
    UNION ALL
    SELECT 'end of promotion', p.id FROM promotion p
    WHERE p.state = 'closed' AND NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = p.id AND a.action = 'promotion closed')
    UNION ALL
    SELECT 'request', q.id FROM request q
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = q.promotion_id AND a.actor_id = q.actor_id
        AND a.action IN ('promotion proposed', 'promotion asked for again'))
    UNION ALL
    SELECT 'review', v.id FROM review v
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = v.promotion_id AND a.action = 'review recorded'
        AND a.actor_id = v.reviewer_id AND a.sha = v.head_sha
        AND a.inputs::jsonb ->> 'review' = v.review_id::text AND a.inputs::jsonb ->> 'state' = v.state AND a.inputs::jsonb ->> 'digest' = v.digest)
    UNION ALL
    SELECT 'dismissal of review', d.review_id FROM dismissal d
    WHERE d.outcome <> '' AND NOT EXISTS (SELECT FROM audit a
        WHERE a.action = CASE d.outcome WHEN 'dismissed' THEN 'review dismissed' ELSE 'dismissal refused' END
        AND a.inputs::jsonb ->> 'review' = d.review_id::text)
    UNION ALL
    SELECT 'builder', b.id FROM builder b
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.action = 'builder recorded' AND a.actor_id = b.actor_id AND a.actor = b.actor
        AND a.inputs::jsonb ->> 'artifact' = b.artifact_id::text)
    UNION ALL
    SELECT 'override', o.id FROM voice o
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = o.promotion_id AND a.action = 'override asked for'
        AND a.actor_id = o.actor_id AND a.sha = o.head_sha AND a.inputs::jsonb ->> 'gate' = o.gate AND a.inputs::jsonb ->> 'comment' = o.comment_id::text)
    UNION ALL
    SELECT 'tick', k.id FROM tick k
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.promotion_id = k.promotion_id AND a.action = 'checklist changed' AND a.actor_id = k.actor_id)
    UNION ALL
    SELECT 'artifact', f.id FROM artifact f
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.action = 'artifact verified' AND a.sha = f.digest)
    UNION ALL
    SELECT 'refusal', x.id FROM refusal x
    WHERE NOT EXISTS (SELECT FROM audit a WHERE a.action = 'artifact refused' AND a.sha = x.digest)
    UNION ALL
    SELECT 'command', c.id FROM command c
    WHERE c.outcome <> '' AND NOT EXISTS (SELECT FROM audit a WHERE a.action = 'command answered' AND a.actor_id = c.author_id
        AND a.delivery_id IS NOT DISTINCT FROM c.delivery_id)
) missing ORDER BY what, id LIMIT 1;
