-- name: LockMerge :exec
-- One merge at a time into an environment of an env repo, and no proposal
-- meanwhile.
SELECT pg_advisory_xact_lock(hashtextextended('tagboat merge ' || @repo_id::bigint || ' ' || @env::text, 0));

-- name: LockDrift :exec
-- One at a time tells of a drift.
SELECT pg_advisory_xact_lock(hashtextextended('tagboat drift ' || @id::bigint, 0));
