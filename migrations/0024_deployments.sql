-- +goose Up

-- The GitHub deployment of a merged promotion in one cluster.
CREATE TABLE deployment (
    promotion_id bigint NOT NULL REFERENCES promotion (id),
    cluster      text   NOT NULL,
    github_id    bigint NOT NULL,            -- -1 where the App may not make any
    state        text   NOT NULL DEFAULT '', -- the last status that it was given
    PRIMARY KEY (promotion_id, cluster)
);

-- Before, a promotion had one for all clusters. Where it still goes on, that is now the
-- first cluster's: it gets its status like the others.
INSERT INTO deployment (promotion_id, cluster, github_id, state)
SELECT p.id, t.cluster, p.deployment_id, CASE WHEN p.deployment_id < 0 THEN '' ELSE p.deployment_state END
FROM promotion p JOIN target t ON t.id = (
    SELECT f.id FROM target f WHERE f.repo_id = p.repo_id AND f.app = p.app AND f.env = p.env AND NOT f.gone ORDER BY f.wave, f.cluster LIMIT 1
)
WHERE p.state = 'merged' AND p.deployment_id <> 0;
ALTER TABLE promotion DROP COLUMN deployment_id, DROP COLUMN deployment_state;

-- What the status of the merge commit says: '' while there is none, 'unavailable' where
-- the App may not set any.
ALTER TABLE promotion ADD COLUMN commit_status text NOT NULL DEFAULT '';
