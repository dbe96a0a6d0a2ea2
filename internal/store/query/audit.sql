-- name: LockAudit :exec
SELECT pg_advisory_xact_lock(hashtextextended('tagboat audit', 0));

-- name: LastAudit :one
SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1;

-- name: InsertAudit :exec
INSERT INTO audit (id, at, actor_id, actor, action, promotion_id, delivery_id, sha, inputs, prev_hash, hash)
VALUES (@id, @at, @actor_id, @actor, @action, @promotion_id, @delivery_id, @sha, @inputs, @prev_hash, @hash);

-- name: AuditRows :many
SELECT * FROM audit WHERE id > @after ORDER BY id LIMIT @most;
