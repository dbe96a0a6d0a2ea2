-- +goose Up

-- Promotions of several apps into one environment that share one pull request: they were
-- proven together, are merged together, and are taken back together.
CREATE TABLE promotion_set (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo_id     bigint      NOT NULL REFERENCES env_repo (id),
    env         text        NOT NULL,
    origin      text        NOT NULL, -- what made them one, for people: "staging", or a commit
    branch      text        NOT NULL,
    created_at  timestamptz NOT NULL
);

-- Null: by itself. led_by is the one of the set that does everything for the pull request
-- of the others; null for that one.
ALTER TABLE promotion ADD COLUMN set_id bigint REFERENCES promotion_set (id);
ALTER TABLE promotion ADD COLUMN led_by bigint REFERENCES promotion (id);
ALTER TABLE promotion ADD CONSTRAINT promotion_led_in_set CHECK (led_by IS NULL OR set_id IS NOT NULL);
CREATE INDEX promotion_set_members ON promotion (set_id, id) WHERE set_id IS NOT NULL;
CREATE INDEX promotion_branch ON promotion (repo_id, branch) WHERE state IN ('proposed', 'open');
