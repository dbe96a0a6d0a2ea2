-- +goose Up

-- The wave of a target's cluster in its environment, from 1; 0 where tagboat.yaml
-- has none. Whoever belongs to a later one is looked at when something changes here.
ALTER TABLE target ADD COLUMN wave integer NOT NULL DEFAULT 0;

-- Why a target does not get the newest commit yet: it waits for an earlier wave. What
-- it has goes on running, and state and message tell of that. '' while it waits for
-- nothing.
ALTER TABLE target ADD COLUMN held text NOT NULL DEFAULT '';
ALTER TABLE target ADD COLUMN held_until timestamptz; -- when its turn comes if nothing happens; NULL: something has to

-- Since when it is healthy with exactly the manifests of rendered_hash, without a
-- break. (healthy_since is that of the digest, whatever else changes.)
ALTER TABLE target ADD COLUMN steady_since timestamptz;
