-- name: InsertRollback :exec
INSERT INTO rollback (promotion_id, takes_back, bad_tag, bad_digest, reason, automatic, further, reverts, subject, at)
VALUES (@promotion_id, @takes_back, @bad_tag, @bad_digest, @reason, @automatic, @further, @reverts, @subject, @at);

-- name: Rollback :one
SELECT * FROM rollback WHERE promotion_id = @promotion_id;

-- name: TakenBack :one
-- Was it ever proposed to take back what a promotion brought, or found impossible?
SELECT EXISTS (SELECT 1 FROM rollback r WHERE r.takes_back = @promotion_id::bigint)
    OR EXISTS (SELECT 1 FROM intent i WHERE i.promotion_id = @promotion_id::bigint AND i.effect = @stays);

-- name: MergedHistory :many
-- What was merged into an (app, environment), the newest first.
SELECT sqlc.embed(p), sqlc.embed(a) FROM promotion p JOIN artifact a ON a.id = p.artifact_id
WHERE p.repo_id = @repo_id AND p.app = @app AND p.env = @env AND p.merge_sha <> '' AND p.merged_at IS NOT NULL
ORDER BY p.merged_at DESC, p.id DESC LIMIT @most;

-- name: InsertDenial :execrows
INSERT INTO denial (repo_id, app, env, image, tag, digest, reason, actor_id, actor, commit_sha, since)
VALUES (@repo_id, @app, @env, @image, @tag, @digest, @reason, @actor_id, @actor, @commit_sha, @since)
ON CONFLICT DO NOTHING;

-- name: Denials :many
-- What an (app, environment) may not get, the newest first.
SELECT * FROM denial WHERE repo_id = @repo_id AND app = @app AND env = @env AND lifted_at IS NULL ORDER BY id DESC;

-- name: Takings :many
-- The commits that took something back from an (app, environment), the newest first.
SELECT * FROM taking WHERE repo_id = @repo_id AND app = @app AND env = @env ORDER BY id DESC;

-- name: InsertTaking :execrows
INSERT INTO taking (repo_id, app, env, image, commit_sha, at)
VALUES (@repo_id, @app, @env, @image, @commit_sha, @at)
ON CONFLICT DO NOTHING;

-- name: DenialsInForce :many
-- Everything that is denied anywhere, the newest first.
SELECT * FROM denial WHERE lifted_at IS NULL ORDER BY id DESC;

-- name: DenialOf :one
SELECT * FROM denial
WHERE repo_id = @repo_id AND app = @app AND env = @env AND image = @image AND digest = @digest AND lifted_at IS NULL;

-- name: LiftDenial :many
-- What has no tag is meant by the beginning of its digest.
UPDATE denial SET lifted_at = @at, lifted_by = @by, lifted_command_id = @command_id
WHERE repo_id = @repo_id AND app = @app AND env = @env AND lifted_at IS NULL
  AND (tag = @tag AND tag <> '' OR tag = '' AND @digest::text <> '' AND starts_with(digest, @digest::text))
RETURNING *;

-- name: AllowedBy :many
-- What a command took off the denylist already.
SELECT * FROM denial
WHERE repo_id = @repo_id AND app = @app AND env = @env AND lifted_command_id = @command_id
  AND (tag = @tag AND tag <> '' OR tag = '' AND @digest::text <> '' AND starts_with(digest, @digest::text))
ORDER BY id DESC;

-- name: HeldPair :one
-- Is exactly this app on hold in this environment?
SELECT EXISTS (SELECT 1 FROM stop WHERE repo_id = @repo_id AND env = @env AND app = @app AND closed_pull = 0 AND lifted_at IS NULL AND (until IS NULL OR until > @now));

-- name: MergedBy :one
-- Did a promotion of ours make this commit by being merged?
SELECT EXISTS (SELECT 1 FROM promotion WHERE repo_id = @repo_id AND merge_sha = @commit_sha);
