-- name: BoardPromotions :many
-- The newest promotion of every (app, environment) that has a cluster or waits
-- to be merged. Pair by pair through the index, because the table only grows.
SELECT p.id, p.repo_id, p.app, p.env, p.state, p.message, p.requester, p.reason, p.pull_number, p.pull_url, p.seen_head_sha,
    p.created_at, p.merged_at, p.deployed_at, p.updated_at, a.image, a.tag, a.digest
FROM (
    SELECT t.repo_id, t.app, t.env FROM target t WHERE NOT t.gone
    UNION
    SELECT w.repo_id, w.app, w.env FROM promotion w WHERE w.state IN ('proposed', 'open')
) pair
JOIN promotion p ON p.id = (
    SELECT n.id FROM promotion n WHERE n.repo_id = pair.repo_id AND n.app = pair.app AND n.env = pair.env ORDER BY n.id DESC LIMIT 1
)
JOIN artifact a ON a.id = p.artifact_id
ORDER BY p.repo_id, p.app, p.env;

-- name: BoardEvidence :many
-- The newest evidence of each gate for the digest and the head that a promotion
-- has now; what was observed for others says nothing about it.
SELECT DISTINCT ON (e.promotion_id, e.gate) e.*
FROM evidence e
JOIN promotion p ON p.id = e.promotion_id
JOIN artifact a ON a.id = p.artifact_id
WHERE p.id = ANY (@promotions::bigint[]) AND e.digest = a.digest AND e.head_sha = p.seen_head_sha
ORDER BY e.promotion_id, e.gate, e.id DESC;

-- name: NewestEvidence :many
SELECT * FROM evidence WHERE promotion_id = @promotion_id ORDER BY id DESC LIMIT @most;

-- name: TickLog :many
SELECT * FROM tick WHERE promotion_id = @promotion_id ORDER BY id DESC LIMIT @most;

-- name: SyncsOfDigest :many
-- The attempts to bring a digest to the clusters of an (app, environment).
SELECT sqlc.embed(s), t.cluster FROM sync s JOIN target t ON t.id = s.target_id
WHERE t.repo_id = @repo_id AND t.app = @app AND t.env = @env AND s.digest = @digest AND s.started_at >= @since
ORDER BY s.id DESC LIMIT @most;

-- name: CountPromotions :many
SELECT repo_id, state, count(*) AS count FROM promotion GROUP BY repo_id, state;

-- name: CountTargets :many
SELECT repo_id, state, count(*) AS count FROM target WHERE NOT gone GROUP BY repo_id, state;

-- name: CountRefusals :one
SELECT count(*) FROM refusal;

-- name: CountDeliveries :many
SELECT source, count(*) AS count FROM delivery GROUP BY source;

-- name: CountByCluster :many
-- What of a cluster somebody may have to be called for.
SELECT t.cluster, count(*) AS targets,
    count(*) FILTER (WHERE t.state = 'unreachable') AS unreachable,
    count(*) FILTER (WHERE t.drift_code <> '') AS drifted,
    coalesce(sum(jsonb_array_length(t.surplus -> 'objects')) FILTER (WHERE t.surplus_code <> ''), 0)::bigint AS surplus,
    (SELECT count(*) FROM inventory i JOIN target o ON o.id = i.target_id WHERE o.cluster = t.cluster AND NOT o.gone)::bigint AS objects,
    EXISTS (SELECT FROM reach r WHERE r.cluster = t.cluster AND r.seen_at > clock_timestamp() - make_interval(secs => @seconds::float8))::boolean AS reached
FROM target t WHERE NOT t.gone GROUP BY t.cluster ORDER BY t.cluster;

-- name: SeenHealthy :many
-- When targets were last seen healthy, those first that were not for the longest.
SELECT repo_id, app, env, cluster, healthy_seen FROM target WHERE NOT gone AND healthy_seen IS NOT NULL ORDER BY healthy_seen LIMIT @most;

-- name: LeftBehind :many
-- What was brought to clusters by targets that are gone, and is there still as far as
-- anybody knows.
SELECT t.id, t.repo_id, t.app, t.env, t.cluster, t.position, t.updated_at AS since, count(*) AS objects,
    ((array_agg(i.kind || ' ' || CASE WHEN i.namespace = '' THEN '' ELSE i.namespace || '/' END || i.name
        ORDER BY i.kind COLLATE "C", i.namespace COLLATE "C", i.name COLLATE "C"))[1:@most::int])::text[] AS named
FROM target t JOIN inventory i ON i.target_id = t.id
WHERE t.gone AND NOT (i.state = 'intended' AND i.uid = '')
GROUP BY t.id ORDER BY t.repo_id, t.app COLLATE "C", t.env COLLATE "C", t.cluster COLLATE "C";
