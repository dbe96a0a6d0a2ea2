-- name: Reach :exec
INSERT INTO reach (cluster, replica, seen_at) SELECT unnest(@clusters::text[]), @replica, clock_timestamp()
ON CONFLICT (cluster, replica) DO UPDATE SET seen_at = excluded.seen_at;

-- name: ForgetReach :exec
-- What a replica does not reach any more, and what those that are gone did.
DELETE FROM reach WHERE replica = @replica AND NOT (cluster = ANY (@clusters::text[])) OR seen_at < clock_timestamp() - make_interval(secs => @seconds::float8);

-- name: Reached :many
-- Those of the clusters that somebody brings.
SELECT DISTINCT cluster FROM reach WHERE cluster = ANY (@clusters::text[]) AND seen_at > clock_timestamp() - make_interval(secs => @seconds::float8);

-- name: Unreached :many
-- The targets of clusters that nobody brings.
SELECT t.* FROM target t WHERE NOT t.gone AND NOT EXISTS (SELECT FROM reach r WHERE r.cluster = t.cluster)
ORDER BY t.repo_id, t.app COLLATE "C", t.env COLLATE "C", t.cluster COLLATE "C";
