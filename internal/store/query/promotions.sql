-- name: InsertPromotion :one
INSERT INTO promotion (repo_id, app, env, artifact_id, kind, state, requester_id, requester, reason, branch, base_branch, want, created_at, updated_at)
VALUES (@repo_id, @app, @env, @artifact_id, @kind, 'proposed', @requester_id, @requester, @reason, @branch, @base_branch, 1, @at, @at)
RETURNING *;

-- name: InheritPull :one
-- A newer promotion takes over the pull request of the one that it supersedes. Where both
-- have the same artifact the commit is made anew all the same: it is the older one's, and
-- its merge would be taken for the older one's.
UPDATE promotion p SET
    state = 'open', pull_number = o.pull_number, pull_url = o.pull_url, pull_state = o.pull_state, pull_body = o.pull_body,
    seen_head_sha = o.seen_head_sha, head_sha = o.head_sha, base_sha = o.base_sha,
    edit_hash = CASE WHEN o.artifact_id = p.artifact_id THEN '' ELSE o.edit_hash END,
    old_tag = o.old_tag, old_digest = o.old_digest, branch = o.branch, base_branch = o.base_branch, labelled = o.labelled
FROM promotion o
WHERE p.id = @id AND o.id = @older_id
RETURNING p.*;

-- name: Promotion :one
SELECT * FROM promotion WHERE id = @id;

-- name: LockPromotion :one
SELECT * FROM promotion WHERE id = @id FOR UPDATE;

-- name: ActivePromotionsOfRepo :many
SELECT * FROM promotion WHERE repo_id = @repo_id AND state IN ('proposed', 'open') ORDER BY id;

-- name: ActivePromotion :one
SELECT * FROM promotion WHERE repo_id = @repo_id AND app = @app AND env = @env AND state IN ('proposed', 'open');

-- name: ActivePromotions :many
SELECT * FROM promotion WHERE state IN ('proposed', 'open') ORDER BY id;

-- name: UnreportedPromotions :many
-- Merged, but the clusters' state has not been reported to the end.
SELECT p.* FROM promotion p JOIN env_repo r ON r.id = p.repo_id WHERE p.state = 'merged' AND r.presence = 'installed' ORDER BY p.id;

-- name: PromotionByPull :one
-- Of a set, the one that acts for all.
SELECT * FROM promotion WHERE repo_id = @repo_id AND pull_number = @pull_number AND led_by IS NULL ORDER BY id DESC LIMIT 1;

-- name: PromotionsByHead :many
SELECT * FROM promotion WHERE repo_id = @repo_id AND state = 'open' AND (head_sha = @head_sha::text OR seen_head_sha = @head_sha::text);

-- name: LatestPromotions :many
SELECT DISTINCT ON (repo_id, app, env) * FROM promotion ORDER BY repo_id, app, env, id DESC;

-- name: RaiseWant :exec
UPDATE promotion SET want = want + 1 WHERE id = @id;

-- name: SettlePromotion :one
UPDATE promotion SET got = greatest(got, @got), next_check = @next_check, updated_at = @at WHERE id = @id RETURNING want;

-- name: DuePromotions :many
SELECT * FROM promotion WHERE state IN ('proposed', 'open') AND (next_check <= @now OR got < want) ORDER BY id;

-- name: SetOpened :execrows
UPDATE promotion SET
    state = 'open', message = '', pull_number = @pull_number, pull_url = @pull_url, pull_state = 'open', pull_body = @pull_body,
    seen_head_sha = @head_sha, head_sha = @head_sha, base_sha = @base_sha, edit_hash = @edit_hash, body_hash = @body_hash,
    old_tag = @old_tag, old_digest = @old_digest, diff = @diff, behind = false, updated_at = @at
WHERE id = @id AND state IN ('proposed', 'open');

-- name: MoveBase :execrows
-- The environment has moved to another branch.
UPDATE promotion SET base_branch = @branch, updated_at = @at
WHERE repo_id = @repo_id AND app = @app AND env = @env AND state IN ('proposed', 'open') AND base_branch <> @branch;

-- name: SetLabelled :exec
UPDATE promotion SET labelled = true WHERE id = @id;

-- name: SetRegenerated :execrows
UPDATE promotion SET
    seen_head_sha = @head_sha, head_sha = @head_sha, base_sha = @base_sha, edit_hash = @edit_hash,
    old_tag = @old_tag, old_digest = @old_digest, diff = @diff, behind = false, updated_at = @at
WHERE id = @id AND state IN ('proposed', 'open');

-- name: InsertHead :exec
INSERT INTO promotion_head (head_sha, promotion_id, base_sha, edit_hash, digest, made_at)
VALUES (@head_sha, @promotion_id, @base_sha, @edit_hash, @digest, @made_at)
ON CONFLICT DO NOTHING;

-- name: HeadOfEdit :one
-- The newest commit made for a promotion that makes this edit.
SELECT * FROM promotion_head
WHERE promotion_id = @promotion_id AND edit_hash = @edit_hash AND digest = @digest
ORDER BY made_at DESC LIMIT 1;

-- name: Head :one
SELECT * FROM promotion_head WHERE head_sha = @head_sha AND promotion_id = @promotion_id;

-- name: KnownHead :one
SELECT EXISTS (SELECT 1 FROM promotion_head WHERE head_sha = @head_sha);

-- name: PromotionsOfApp :many
-- Those that a change in one of the app's clusters may move.
SELECT * FROM promotion WHERE repo_id = @repo_id AND app = @app AND state IN ('proposed', 'open', 'merged') ORDER BY id;

-- name: MergedPromotionsOfApp :many
-- Those that wait for the app's clusters.
SELECT * FROM promotion WHERE repo_id = @repo_id AND app = @app AND state = 'merged' ORDER BY id;

-- name: InsertRequest :exec
INSERT INTO request (promotion_id, actor_id, actor, at, delivery_id) VALUES (@promotion_id, @actor_id, @actor, @at, @delivery_id);

-- name: Requesters :many
SELECT DISTINCT actor_id FROM request WHERE promotion_id = @promotion_id;

-- name: OwnerOfHead :one
-- The other promotion of the same pull request that a head was made for.
SELECT p.* FROM promotion_head h JOIN promotion p ON p.id = h.promotion_id
WHERE h.head_sha = @head_sha AND p.repo_id = @repo_id AND p.pull_number = @pull_number AND p.id <> @id
  AND NOT EXISTS (SELECT 1 FROM promotion_head own WHERE own.head_sha = @head_sha AND own.promotion_id = @id)
ORDER BY p.id DESC LIMIT 1;

-- name: DetachPull :exec
-- Back to having no pull request: that one was merged with an older artifact. What has
-- ended meanwhile does not begin anew.
UPDATE promotion SET state = CASE WHEN state = 'closed' THEN state ELSE 'proposed' END, pull_number = 0, pull_url = '', pull_state = '', pull_body = '', seen_head_sha = '', head_sha = '',
    base_sha = '', edit_hash = '', body_hash = '', check_run_id = 0, check_sha = '', check_hash = '', check_annotations = '', merge_sha = '', behind = false, labelled = false
WHERE id = @id;

-- name: HasPromotion :one
-- Not counting those that people closed, and lifted the hold that came of it.
SELECT EXISTS (
    SELECT 1 FROM promotion p WHERE p.repo_id = @repo_id AND p.app = @app AND p.env = @env AND p.artifact_id = @artifact_id AND NOT (
        p.closed_by <> '' AND EXISTS (
            SELECT 1 FROM stop s WHERE s.repo_id = p.repo_id AND s.closed_pull = p.pull_number AND s.env = p.env AND s.app = p.app AND s.lifted_at IS NOT NULL AND s.lifted_for IS NULL)));

-- name: Overtaken :one
-- Was a newer promotion of the same (app, environment) merged?
SELECT EXISTS (SELECT 1 FROM promotion WHERE repo_id = @repo_id AND app = @app AND env = @env AND id > @id AND state IN ('merged', 'deployed'));

-- name: SetOvertaken :execrows
UPDATE promotion SET state = 'superseded', message = @message, updated_at = @at WHERE id = @id AND state = 'merged';

-- name: Heads :many
SELECT h.* FROM promotion_head h JOIN promotion p ON p.id = h.promotion_id
WHERE p.repo_id = @repo_id AND p.pull_number = @pull_number;

-- name: SawPull :exec
-- For all that it carries. A webhook that comes late must not take back what a merge wrote
-- down, and one that tells nothing of the state must not take back what another told
-- meanwhile.
UPDATE promotion p SET pull_state = coalesce(nullif(@pull_state::text, ''), p.pull_state), pull_body = @pull_body, seen_head_sha = @seen_head_sha,
    behind = @behind, merge_sha = @merge_sha, updated_at = @at
FROM (
    SELECT m.id FROM promotion m WHERE m.id = @id OR m.set_id = (SELECT o.set_id FROM promotion o WHERE o.id = @id) ORDER BY m.id FOR UPDATE
) carried
WHERE p.id = carried.id AND p.state IN ('proposed', 'open');

-- name: SetRegistry :exec
UPDATE promotion SET registry_digest = @digest, registry_error = @error, registry_at = @at WHERE id = @id;

-- name: SetCheckRun :exec
UPDATE promotion SET check_run_id = @check_run_id, check_sha = @check_sha, check_hash = @check_hash, check_annotations = @check_annotations WHERE id = @id;

-- name: SetBody :exec
-- Not when somebody has edited it since it was looked at: then it is shown again.
UPDATE promotion SET body_hash = @body_hash, pull_body = @pull_body WHERE id = @id AND body_edits = @body_edits;

-- name: ForgetBody :exec
UPDATE promotion SET body_hash = '', body_edits = body_edits + 1, pull_body = @pull_body WHERE id = @id;

-- name: SetMerged :execrows
-- Also one that was superseded: see Merging.MergedOlder.
-- And one that a rollback went before, when its pull request had been merged already.
UPDATE promotion SET state = 'merged', pull_state = 'merged', message = '', merge_sha = @merge_sha, merged_at = @at, updated_at = @at
WHERE id = @id AND (state IN ('proposed', 'open', 'superseded') OR state = 'closed' AND pull_state = 'open');

-- name: SetClosed :execrows
UPDATE promotion SET state = 'closed', pull_state = CASE WHEN pull_number > 0 THEN 'closed' ELSE '' END, message = @message, updated_at = @at
WHERE id = @id AND state IN ('proposed', 'open');

-- name: SetClosedBy :execrows
-- What it means is told once, for the promotion that acts for all of a set.
UPDATE promotion SET state = 'closed', pull_state = 'closed', message = @message, closed_by_id = @closed_by_id, closed_by = @closed_by,
    comment_id = CASE WHEN led_by IS NULL THEN comment_id ELSE -1 END, updated_at = @at
WHERE id = @id AND state IN ('proposed', 'open');

-- name: Leftovers :many
-- Closed, and something is left to be done: see the index promotion_leftover.
SELECT p.* FROM promotion p JOIN env_repo r ON r.id = p.repo_id
WHERE p.state = 'closed' AND (NOT p.branch_deleted OR p.closed_by <> '' AND p.comment_id = 0) AND r.presence = 'installed' ORDER BY p.id;

-- name: SetDeployed :execrows
UPDATE promotion SET state = 'deployed', message = '', deployed_at = @at, updated_at = @at WHERE id = @id AND state = 'merged';

-- name: SetMessage :exec
UPDATE promotion SET message = @message WHERE id = @id;

-- name: SetBranchDeleted :exec
UPDATE promotion SET branch_deleted = true WHERE id = @id;

-- name: SetComment :exec
UPDATE promotion SET comment_id = @comment_id, comment_hash = @comment_hash WHERE id = @id;

-- name: AnnounceIntent :execrows
INSERT INTO intent (promotion_id, effect, at) VALUES (@promotion_id, @effect, @at) ON CONFLICT DO NOTHING;

-- name: ClearIntent :exec
DELETE FROM intent WHERE promotion_id = @promotion_id AND effect = @effect;

-- name: WasThere :one
-- Did this (app, environment) ever have a version, by what was merged or replaced,
-- or by what its clusters were brought to?
SELECT EXISTS (
    SELECT 1 FROM promotion p JOIN artifact a ON a.id = p.artifact_id
    WHERE p.repo_id = @repo_id AND p.app = @app AND p.env = @env AND p.merge_sha <> '' AND (
        @digest::text <> '' AND @digest::text IN (a.digest, p.old_digest) OR
        @digest::text = '' AND @tag::text IN (a.tag, p.old_tag))
    UNION ALL
    SELECT 1 FROM target t LEFT JOIN sync s ON s.target_id = t.id
    WHERE t.repo_id = @repo_id AND t.app = @app AND t.env = @env AND (
        @digest::text <> '' AND @digest::text IN (t.digest, s.digest) OR
        @digest::text = '' AND @tag::text IN (t.tag, s.tag)));

-- name: ImagesThere :many
-- What this (app, environment) is known to have had, by name, even if tagboat.yaml
-- names it no more: by what was merged, or by what its clusters were brought to.
SELECT a.image FROM promotion p JOIN artifact a ON a.id = p.artifact_id
WHERE p.repo_id = @repo_id AND p.app = @app AND p.env = @env AND p.merge_sha <> ''
UNION
SELECT t.image FROM target t
WHERE t.repo_id = @repo_id AND t.app = @app AND t.env = @env AND t.image <> ''
ORDER BY image;

-- name: LatestPromotion :one
-- The newest of an (app, environment), whatever became of it.
SELECT * FROM promotion WHERE repo_id = @repo_id AND app = @app AND env = @env ORDER BY id DESC LIMIT 1;
