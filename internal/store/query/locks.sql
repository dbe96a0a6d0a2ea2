-- name: LockMerge :exec
-- One merge at a time into an environment of an env repo.
SELECT pg_advisory_xact_lock(hashtextextended('tagboat merge ' || @repo_id::bigint || ' ' || @env::text, 0));

-- name: LockPair :exec
-- Proposals for one (app, environment) are made one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('tagboat propose ' || @repo_id::bigint || ' ' || @app::text || ' ' || @env::text, 0));
