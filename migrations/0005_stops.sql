-- +goose Up

-- What people stopped: one app in an environment (a hold), or an environment, a
-- repository or an organisation (a freeze). A stop ends when it is lifted or its
-- time is over; its row stays.
CREATE TABLE stop (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner      text        NOT NULL, -- of the env repo
    repo_id    bigint REFERENCES env_repo (id), -- null: every env repo of the owner
    env        text        NOT NULL, -- '': every environment
    app        text        NOT NULL, -- '': every app
    reason     text        NOT NULL,
    actor_id   bigint      NOT NULL,
    actor      text        NOT NULL,
    url        text        NOT NULL, -- where it was said
    since      timestamptz NOT NULL,
    until      timestamptz,          -- null: until it is lifted
    lifted_at  timestamptz,
    lifted_by  text        NOT NULL DEFAULT '',
    CHECK (repo_id IS NOT NULL OR env = '' AND app = ''),
    CHECK (app = '' OR env <> '')
);

-- One of a kind at a time: a newer one takes the place of the older.
CREATE UNIQUE INDEX stop_in_force ON stop (owner, coalesce(repo_id, 0), env, app) WHERE lifted_at IS NULL;
