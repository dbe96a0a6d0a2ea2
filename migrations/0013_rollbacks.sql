-- +goose Up

-- Where a promotion leads: to a newer artifact, or back to one that was there before.
ALTER TABLE promotion ADD COLUMN kind text NOT NULL DEFAULT 'forward' CHECK (kind IN ('forward', 'rollback'));

-- What a rollback takes back, and why. Written with its promotion, and never changed.
CREATE TABLE rollback (
    promotion_id bigint      PRIMARY KEY REFERENCES promotion (id),
    takes_back   bigint      REFERENCES promotion (id), -- that brought it; null where nobody knows
    bad_tag      text        NOT NULL,
    bad_digest   text        NOT NULL,                  -- '' where the overlay pinned none that is known
    reason       text        NOT NULL,                  -- in the person's words, or what a cluster said
    automatic    boolean     NOT NULL,
    further      boolean     NOT NULL,                  -- more than the one change that came last is taken back
    reverts      text[]      NOT NULL,                  -- the commits that it takes back, the newest first
    subject      text        NOT NULL,                  -- of the first of them
    at           timestamptz NOT NULL
);
CREATE INDEX rollback_takes_back ON rollback (takes_back);
CREATE TRIGGER rollback_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON rollback FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The denylist: a digest that one app of an environment may not get again, because it
-- was taken back there. A row ends when a person lifts it; it stays.
CREATE TABLE denial (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo_id    bigint      NOT NULL REFERENCES env_repo (id),
    app        text        NOT NULL,
    env        text        NOT NULL,
    image      text        NOT NULL,
    tag        text        NOT NULL,
    digest     text        NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    reason     text        NOT NULL,
    actor_id   bigint      NOT NULL, -- 0: Tagboat by itself, or nobody whom GitHub knows
    actor      text        NOT NULL,
    commit_sha text        NOT NULL, -- the commit that took it back
    since      timestamptz NOT NULL,
    lifted_at  timestamptz,
    lifted_by  text        NOT NULL DEFAULT '',
    lifted_delivery_id bigint REFERENCES delivery (id)
);
CREATE UNIQUE INDEX denial_in_force ON denial (repo_id, app, env, image, digest) WHERE lifted_at IS NULL;

-- The commits that took something back. A commit is taken notice of once, whether it
-- denied anything or not, and whatever becomes of what it denied.
CREATE TABLE taking (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo_id    bigint      NOT NULL REFERENCES env_repo (id),
    app        text        NOT NULL,
    env        text        NOT NULL,
    image      text        NOT NULL,
    commit_sha text        NOT NULL,
    at         timestamptz NOT NULL,
    UNIQUE (repo_id, app, env, image, commit_sha)
);
CREATE TRIGGER taking_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON taking FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Whether the target is failed because a rollout ended ill: anything else that keeps a
-- sync from its end says nothing about the version.
ALTER TABLE target ADD COLUMN ill boolean NOT NULL DEFAULT false;
