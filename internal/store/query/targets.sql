-- name: UpsertTarget :one
-- What tagboat.yaml says exists. A target that was gone and is back starts anew.
INSERT INTO target (repo_id, app, env, cluster, branch, position, wave, updated_at)
VALUES (@repo_id, @app, @env, @cluster, @branch, @position, @wave, @at)
ON CONFLICT (repo_id, app, env, cluster) DO UPDATE SET branch = excluded.branch, position = excluded.position, wave = excluded.wave, gone = false,
    state = CASE WHEN target.gone THEN 'unknown' ELSE target.state END,
    rendered_hash = CASE WHEN target.gone THEN '' ELSE target.rendered_hash END,
    healthy_since = CASE WHEN target.gone THEN NULL ELSE target.healthy_since END,
    steady_since = CASE WHEN target.gone THEN NULL ELSE target.steady_since END,
    held = CASE WHEN target.gone THEN '' ELSE target.held END,
    held_until = CASE WHEN target.gone THEN NULL ELSE target.held_until END
RETURNING *;

-- name: MarkTargetsGone :execrows
-- What somebody has changed there is nobody's business any more.
UPDATE target SET gone = true, updated_at = @at, drift = '{}', drift_code = '', drift_since = NULL, notes = '{}',
    adoption = '{}', adoption_code = '' WHERE repo_id = @repo_id AND NOT gone AND NOT (id = ANY (@keep::bigint[]));

-- name: RaiseTarget :exec
UPDATE target SET want = want + 1 WHERE id = @id;

-- name: TargetsOfPair :many
SELECT * FROM target WHERE repo_id = @repo_id AND app = @app AND env = @env AND NOT gone ORDER BY wave, cluster;

-- name: LockTargetsOfPair :many
-- In the order in which everybody takes several targets.
SELECT * FROM target WHERE repo_id = @repo_id AND app = @app AND env = @env AND NOT gone ORDER BY cluster COLLATE "C" FOR UPDATE;

-- name: TargetsOfRepo :many
SELECT * FROM target WHERE repo_id = @repo_id AND NOT gone ORDER BY app, env, cluster;

-- name: Targets :many
SELECT * FROM target WHERE NOT gone ORDER BY repo_id, app, env, cluster;

-- name: TargetsOfCluster :many
SELECT * FROM target WHERE cluster = @cluster AND NOT gone ORDER BY repo_id, app, env;

-- name: Target :one
SELECT * FROM target WHERE id = @id;

-- name: StartTarget :execrows
-- From here on something of the manifests may have been written. What was measured was of
-- those before, and nobody may take it for these when the attempt ends without a word.
UPDATE target SET state = @state, message = @message, rendered_hash = @rendered_hash, steady_since = NULL,
    violations = CASE WHEN rendered_hash = @rendered_hash::text THEN violations ELSE '{}' END,
    held = '', held_until = NULL, updated_at = @at
WHERE id = @id AND fence = @fence;

-- name: AilTarget :execrows
-- What was healthy is not ready just now. Since when it was healthy stays: it may have been
-- a moment.
UPDATE target SET state = @state, message = @message, updated_at = @at WHERE id = @id AND fence = @fence;

-- name: SetTargetDrift :execrows
UPDATE target SET notes = @notes, drift = @drift, drift_code = @drift_code, drift_since = coalesce(drift_since, @at), heals = @heals
WHERE id = @id AND fence = @fence;

-- name: SetTarget :execrows
-- By the attempt that holds the fence, and by no older one. What was healthy counts on,
-- unless nobody has seen it so since @unbroken, and is remembered where nobody serves its
-- cluster.
UPDATE target SET commit_sha = @commit_sha, rendered_hash = @rendered_hash, image = @image, tag = @tag, digest = @digest,
    state = @state, message = @message, updated_at = CASE WHEN @unseen::boolean THEN updated_at ELSE @at END,
    healthy_since = CASE
        WHEN @remembers::boolean THEN healthy_since
        WHEN @state::text <> 'healthy' THEN NULL
        WHEN healthy_since IS NOT NULL AND digest = @digest::text AND healthy_seen >= @unbroken::timestamptz THEN healthy_since
        ELSE @at END,
    steady_since = CASE
        WHEN @remembers THEN steady_since
        WHEN @state::text <> 'healthy' THEN NULL
        WHEN steady_since IS NOT NULL AND rendered_hash = @rendered_hash::text AND healthy_seen >= @unbroken::timestamptz THEN steady_since
        ELSE @at END,
    healthy_seen = CASE WHEN @state::text = 'healthy' AND NOT @unseen THEN @at ELSE healthy_seen END,
    violations = @violations,
    held = @held, held_until = @held_until, ill = @ill,
    surplus = @surplus, surplus_code = @surplus_code, adoption = @adoption, adoption_code = @adoption_code,
    examined = CASE WHEN @unseen THEN examined ELSE greatest(examined, @examined) END,
    notes = @notes, drift = @drift, drift_code = @drift_code, heals = @heals,
    drift_since = CASE WHEN @drift_code::text = '' THEN NULL ELSE coalesce(drift_since, @at) END
WHERE id = @id AND fence = @fence;

-- name: SettleTarget :one
UPDATE target SET got = greatest(got, @got) WHERE id = @id RETURNING want;

-- name: InsertSync :one
INSERT INTO sync (target_id, commit_sha, tag, digest, state, started_at)
VALUES (@target_id, @commit_sha, @tag, @digest, 'running', @started_at) RETURNING id;

-- name: FinishSync :exec
UPDATE sync SET state = @state, message = @message, changed = @changed, finished_at = @finished_at WHERE id = @id;

-- name: InterruptSyncs :exec
UPDATE sync SET state = 'interrupted', message = 'Tagboat stopped while this ran; the next attempt takes over.', finished_at = @at
WHERE target_id = @target_id AND state = 'running';

-- name: InterruptSync :exec
UPDATE sync SET state = 'interrupted', message = @message, finished_at = @at WHERE id = @id AND state = 'running';

-- name: RecentSyncs :many
SELECT * FROM sync WHERE target_id = @target_id ORDER BY id DESC LIMIT @most;

-- name: StaleTargets :many
-- Nobody has looked at them since, or it is time for what they wait for; and their env
-- repo can be read.
SELECT t.* FROM target t JOIN env_repo r ON r.id = t.repo_id
WHERE NOT t.gone AND (t.updated_at < @since OR t.held_until <= @at::timestamptz) AND r.presence IN ('installed', 'archived')
ORDER BY t.repo_id, t.app COLLATE "C", t.env COLLATE "C", t.cluster COLLATE "C";

-- name: LeftTargets :many
-- Targets that are gone and have left something behind that nobody has looked for since, in
-- a cluster that somebody brings.
SELECT t.* FROM target t JOIN env_repo r ON r.id = t.repo_id
WHERE t.gone AND (t.counted_at IS NULL OR t.counted_at < @since::timestamptz) AND r.presence IN ('installed', 'archived')
    AND EXISTS (SELECT FROM inventory i WHERE i.target_id = t.id)
    AND EXISTS (SELECT FROM reach h WHERE h.cluster = t.cluster AND h.seen_at > clock_timestamp() - make_interval(secs => @seconds::float8))
ORDER BY t.repo_id, t.app COLLATE "C", t.env COLLATE "C", t.cluster COLLATE "C";

-- name: MergedWithDigest :one
-- The promotion that brought a digest to an (app, environment).
SELECT p.id FROM promotion p JOIN artifact a ON a.id = p.artifact_id
WHERE p.repo_id = @repo_id AND p.app = @app AND p.env = @env AND a.digest = @digest AND p.merged_at IS NOT NULL
ORDER BY p.id DESC LIMIT 1;

-- name: BroughtWhole :one
-- The commit of the last sync that succeeded, unless a later one may have written something.
SELECT coalesce((
    SELECT CASE WHEN s.state = 'healthy' THEN s.commit_sha ELSE '' END FROM sync s
    WHERE s.target_id = @target_id AND s.state <> 'running' AND NOT (s.state = 'failed' AND s.changed = 0)
    ORDER BY s.id DESC LIMIT 1
), '')::text AS commit_sha;

-- name: SyncedTo :one
-- The commit of the last sync that succeeded, and how the last one ended that came to
-- an end; empty where there is none.
SELECT
    coalesce((SELECT s.commit_sha FROM sync s WHERE s.target_id = @target_id AND s.state = 'healthy' ORDER BY s.id DESC LIMIT 1), '')::text AS commit_sha,
    coalesce((SELECT s.state FROM sync s WHERE s.target_id = @target_id AND s.state IN ('healthy', 'failed') ORDER BY s.id DESC LIMIT 1), '')::text AS ended;
