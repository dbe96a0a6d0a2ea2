-- name: InsertVoice :execrows
INSERT INTO voice (promotion_id, gate, actor_id, actor, reason, digest, head_sha, edit_hash, comment_id, at, delivery_id)
VALUES (@promotion_id, @gate, @actor_id, @actor, @reason, @digest, @head_sha, @edit_hash, @comment_id, @at, @delivery_id)
ON CONFLICT (promotion_id, gate, comment_id) DO NOTHING;

-- name: Voices :many
SELECT * FROM voice WHERE promotion_id = @promotion_id ORDER BY id;

-- name: InsertFollowUp :execrows
INSERT INTO follow_up (promotion_id, gate, head_sha, number, url, at)
VALUES (@promotion_id, @gate, @head_sha, @number, @url, @at)
ON CONFLICT DO NOTHING;

-- name: FollowUps :many
SELECT * FROM follow_up WHERE promotion_id = @promotion_id ORDER BY at, gate;
