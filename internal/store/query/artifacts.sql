-- name: LedgerArtifact :one
-- The first digest of a tag stays; what a later event adds about its origin is kept.
INSERT INTO artifact (image, tag, digest, media_type, platforms, source_repo, source_commit, run_url, verified_at)
VALUES (@image, @tag, @digest, @media_type, @platforms, @source_repo, @source_commit, @run_url, @verified_at)
ON CONFLICT (image, tag) DO UPDATE SET
    source_repo   = CASE WHEN artifact.digest = excluded.digest AND artifact.source_repo   = '' THEN excluded.source_repo   ELSE artifact.source_repo   END,
    source_commit = CASE WHEN artifact.digest = excluded.digest AND artifact.source_commit = '' THEN excluded.source_commit ELSE artifact.source_commit END,
    run_url       = CASE WHEN artifact.digest = excluded.digest AND artifact.run_url       = '' THEN excluded.run_url       ELSE artifact.run_url       END
RETURNING *;

-- name: Artifact :one
SELECT * FROM artifact WHERE id = @id;

-- name: ArtifactByTag :one
SELECT * FROM artifact WHERE image = @image AND tag = @tag;

-- name: ArtifactByDigest :one
SELECT * FROM artifact WHERE image = @image AND digest = @digest ORDER BY id LIMIT 1;

-- name: ArtifactBySource :one
SELECT * FROM artifact WHERE lower(source_repo) = lower(@source_repo) AND source_commit = @source_commit ORDER BY id DESC LIMIT 1;

-- name: ArtifactsBySource :many
SELECT * FROM artifact WHERE lower(source_repo) = lower(@source_repo) AND source_commit = @source_commit ORDER BY id;

-- name: InsertBuilder :execrows
INSERT INTO builder (artifact_id, actor_id, actor, at, delivery_id) VALUES (@artifact_id, @actor_id, @actor, @at, @delivery_id)
ON CONFLICT (artifact_id, actor_id, actor) DO NOTHING;

-- name: Builders :many
SELECT * FROM builder WHERE artifact_id = @artifact_id ORDER BY id;

-- name: ActivePromotionsOfArtifact :many
SELECT * FROM promotion WHERE artifact_id = @artifact_id AND state IN ('proposed', 'open') ORDER BY id;

-- name: InsertRefusal :one
INSERT INTO refusal (image, tag, digest, reason, delivery_id, refused_at)
VALUES (@image, @tag, @digest, @reason, @delivery_id, @refused_at)
ON CONFLICT (image, tag, digest) DO NOTHING
RETURNING id;

-- name: RecentRefusals :many
SELECT * FROM refusal ORDER BY id DESC LIMIT @most;

-- name: PromotionsOfTag :many
-- Where people saw this (image, tag): newest first.
SELECT p.* FROM promotion p JOIN artifact a ON a.id = p.artifact_id
WHERE a.image = @image AND a.tag = @tag AND p.pull_number > 0
ORDER BY p.id DESC;

-- name: NewestArtifact :one
SELECT * FROM artifact WHERE image = @image ORDER BY id DESC LIMIT 1;

-- name: RecentArtifacts :many
SELECT * FROM artifact WHERE image = @image ORDER BY id DESC LIMIT @most;

-- name: LatestRefusal :one
SELECT * FROM refusal WHERE image = @image ORDER BY id DESC LIMIT 1;
