-- +goose Up

-- When a look last found it healthy. What nobody has looked at for long is not known to
-- have stayed so: healthy_since and steady_since begin anew then.
ALTER TABLE target ADD COLUMN healthy_seen timestamptz;
UPDATE target SET healthy_seen = updated_at WHERE state = 'healthy';

-- The metrics that are out of their bounds, since when each has been, and when it was last
-- measured so: {"errors": {"since": "2026-01-02T03:04:05Z", "seen": "2026-01-02T03:05:05Z"}}.
ALTER TABLE target ADD COLUMN violations jsonb NOT NULL DEFAULT '{}';
