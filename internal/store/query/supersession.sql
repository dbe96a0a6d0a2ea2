-- name: SupersedePromotion :exec
UPDATE promotion SET state = 'superseded', message = @message, updated_at = @at WHERE id = @id;

-- name: Superseded :many
-- Whose place a promotion took, the newest first: one after the other, back to the
-- last that came to another end. Of each, the newest commit that carried it, who asked
-- for it first, in which comment, and when it was replaced.
SELECT p.id, a.tag, a.digest, a.run_url, p.requester, p.created_at,
    coalesce((SELECT h.head_sha FROM promotion_head h WHERE h.promotion_id = p.id ORDER BY h.made_at DESC LIMIT 1), '')::text AS head_sha,
    (SELECT min(n.created_at) FROM promotion n WHERE n.repo_id = p.repo_id AND n.app = p.app AND n.env = p.env AND n.id > p.id)::timestamptz AS replaced_at,
    coalesce(c.owner, '')::text AS owner, coalesce(c.repo, '')::text AS repo,
    coalesce(c.number, 0)::integer AS number, coalesce(c.comment_id, 0)::bigint AS comment_id
FROM promotion p JOIN artifact a ON a.id = p.artifact_id
LEFT JOIN command c ON c.id = (
    SELECT said.id FROM request r JOIN command said ON said.delivery_id = r.delivery_id WHERE r.promotion_id = p.id ORDER BY r.id LIMIT 1
)
WHERE p.repo_id = @repo_id AND p.app = @app AND p.env = @env AND p.id < @id AND p.state = 'superseded' AND p.merge_sha = ''
  AND p.id > coalesce((
    SELECT max(o.id) FROM promotion o
    WHERE o.repo_id = @repo_id AND o.app = @app AND o.env = @env AND o.id < @id AND (o.state <> 'superseded' OR o.merge_sha <> '')
  ), 0)
ORDER BY p.id DESC;

-- name: NextPromotion :one
-- The one that came after it in its (app, environment).
SELECT * FROM promotion WHERE repo_id = @repo_id AND app = @app AND env = @env AND id > @id ORDER BY id LIMIT 1;

-- name: Asked :many
-- The comments that asked for a promotion, in the order in which they did.
SELECT r.actor_id, r.actor, r.at, sqlc.embed(command)
FROM request r JOIN command ON command.delivery_id = r.delivery_id
WHERE r.promotion_id = @promotion_id ORDER BY r.id;
