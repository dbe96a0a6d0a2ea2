-- +goose Up

-- The comments that asked for a promotion are found by the delivery of the request.
CREATE INDEX command_delivery ON command (delivery_id);

-- Who closed a promotion's pull request: '' where nobody did, or where it was not
-- written down yet. The number is 0 where GitHub does not say who it was.
ALTER TABLE promotion ADD COLUMN closed_by_id bigint NOT NULL DEFAULT 0;
ALTER TABLE promotion ADD COLUMN closed_by text NOT NULL DEFAULT '';

-- Those that something is left to be done for: the branch is there, or who closed it
-- was not told what that means.
CREATE INDEX promotion_leftover ON promotion (id) WHERE state = 'closed' AND (NOT branch_deleted OR closed_by <> '' AND comment_id = 0);

-- A hold that comes of closing a pull request keeps Tagboat from proposing anything by
-- itself. It stands beside what people hold by /hold, and ends when somebody asks again.
ALTER TABLE stop ADD COLUMN closed_pull integer NOT NULL DEFAULT 0; -- the pull request; 0: none
-- The promotion that somebody asked for, which ended the hold; null where it was lifted
-- in another way. Only then may what was closed be proposed again by Tagboat itself.
ALTER TABLE stop ADD COLUMN lifted_for bigint REFERENCES promotion (id);
DROP INDEX stop_in_force;
CREATE UNIQUE INDEX stop_in_force ON stop (owner, coalesce(repo_id, 0), env, app, (closed_pull > 0)) WHERE lifted_at IS NULL;
