-- name: Reach :exec
INSERT INTO reach (cluster, replica, seen_at) SELECT unnest(@clusters::text[]), @replica, clock_timestamp()
ON CONFLICT (cluster, replica) DO UPDATE SET seen_at = excluded.seen_at;

-- name: ForgetReach :exec
-- What a replica does not reach any more, and what those that are gone did. Of a cluster
-- that nobody brings it stays known who did last.
DELETE FROM reach r WHERE r.replica = @replica AND NOT (r.cluster = ANY (@clusters::text[]))
    OR r.seen_at < clock_timestamp() - make_interval(secs => @seconds::float8) AND EXISTS (SELECT FROM reach n WHERE n.cluster = r.cluster AND n.seen_at > r.seen_at);

-- name: Reached :many
-- Those of the clusters that somebody brings.
SELECT DISTINCT cluster FROM reach WHERE cluster = ANY (@clusters::text[]) AND seen_at > clock_timestamp() - make_interval(secs => @seconds::float8);

-- name: Unreached :many
-- The targets of clusters that nobody brings, and when somebody did last; the epoch where
-- nobody ever has.
SELECT sqlc.embed(t), coalesce(h.seen_at, 'epoch')::timestamptz AS since
FROM target t LEFT JOIN (SELECT r.cluster, max(r.seen_at) AS seen_at FROM reach r GROUP BY r.cluster) h ON h.cluster = t.cluster
WHERE NOT t.gone AND (h.seen_at IS NULL OR h.seen_at < clock_timestamp() - make_interval(secs => @seconds::float8))
ORDER BY t.repo_id, t.app COLLATE "C", t.env COLLATE "C", t.cluster COLLATE "C";

-- name: LastReached :one
-- When somebody brought a cluster last, the epoch where nobody ever has, and whether
-- somebody does now.
SELECT coalesce(max(seen_at), 'epoch')::timestamptz AS since, coalesce(max(seen_at) > clock_timestamp() - make_interval(secs => @seconds::float8), false)::boolean AS now
FROM reach WHERE cluster = @cluster;
