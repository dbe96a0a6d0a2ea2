-- name: Signature :one
SELECT * FROM signature WHERE artifact_id = @artifact_id AND signer = @signer;

-- name: Signatures :many
SELECT * FROM signature WHERE artifact_id = @artifact_id ORDER BY signer;

-- name: UpsertSignature :exec
INSERT INTO signature (artifact_id, signer, outcome, signed_by, reason, since, asked_at)
VALUES (@artifact_id, @signer, @outcome, @signed_by, @reason, @asked_at, @asked_at)
ON CONFLICT (artifact_id, signer) DO UPDATE SET
    outcome = excluded.outcome, signed_by = excluded.signed_by, reason = excluded.reason, asked_at = excluded.asked_at,
    since = CASE WHEN signature.outcome = excluded.outcome THEN signature.since ELSE excluded.since END;

-- name: DoubtSignatures :many
-- What is missing has to be looked for again at once.
UPDATE signature s SET asked_at = 'epoch' FROM artifact a
WHERE a.id = s.artifact_id AND a.image = @image AND a.digest = @digest AND s.outcome <> 'signed'
RETURNING s.artifact_id;
