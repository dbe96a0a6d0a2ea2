-- name: SourceComparison :one
SELECT found FROM source_comparison WHERE repo = lower(@repo::text) AND base = @base AND head = @head;

-- name: KeepSourceComparison :exec
-- Two replicas may have asked at once: the first answer stays, so that both show the same.
INSERT INTO source_comparison (repo, base, head, found, found_at)
VALUES (lower(@repo::text), @base, @head, @found, @found_at)
ON CONFLICT DO NOTHING;
