-- +goose Up

-- Which Tagboat this is: what it applies bears this name, so that two of them never
-- take one object in turns. A restored database is the same Tagboat.
CREATE TABLE installation (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    name   text    NOT NULL,
    salt   bytea   NOT NULL -- keys the hashes of what is applied: another one has everything applied, and hooks run, anew
);
INSERT INTO installation (name, salt) VALUES (gen_random_uuid()::text, sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

-- Everything that was ever written to a cluster for a target, and not deleted again. A
-- row is here before the object is there, and until it is certainly gone.
CREATE TABLE inventory (
    target_id   bigint NOT NULL REFERENCES target (id),
    api_group   text   NOT NULL, -- '' is the core group
    kind        text   NOT NULL,
    namespace   text   NOT NULL, -- '' for a cluster-wide object
    name        text   NOT NULL,
    version     text   NOT NULL, -- of the API, when it was written last
    uid         text   NOT NULL, -- '' as long as it is only intended
    hash        text   NOT NULL, -- keyed, of what was applied; '' where that is not known
    fingerprint text   NOT NULL, -- of what Tagboat owned of it after that; '' where that is not known
    state       text   NOT NULL CHECK (state IN ('intended', 'written', 'pruning', 'kept')),
    reason      text   NOT NULL, -- of kept
    PRIMARY KEY (target_id, api_group, kind, namespace, name)
);

-- Who brings a target, until when at the latest; the fence is the number of the
-- attempt, and what an older one still wants to write down is refused.
ALTER TABLE target ADD COLUMN fence bigint NOT NULL DEFAULT 0;
ALTER TABLE target ADD COLUMN leased_by text NOT NULL DEFAULT '';
ALTER TABLE target ADD COLUMN leased_until timestamptz;
-- When the inventory was last compared with the labels in the cluster.
ALTER TABLE target ADD COLUMN counted_at timestamptz;
-- How often somebody may have changed what was applied, and up to which of these it was
-- examined: while the two differ, the next look is a close one.
ALTER TABLE target ADD COLUMN suspected bigint NOT NULL DEFAULT 0;
ALTER TABLE target ADD COLUMN examined bigint NOT NULL DEFAULT 0;
-- What is not in Git any more and waits for a person's yes, and a short name of exactly
-- that list; '' where nothing does.
ALTER TABLE target ADD COLUMN surplus jsonb NOT NULL DEFAULT '{}';
ALTER TABLE target ADD COLUMN surplus_code text NOT NULL DEFAULT '';
-- What differs from what was applied, since when, and a short name of exactly that; ''
-- where nothing does.
ALTER TABLE target ADD COLUMN drift jsonb NOT NULL DEFAULT '{}';
ALTER TABLE target ADD COLUMN drift_code text NOT NULL DEFAULT '';
ALTER TABLE target ADD COLUMN drift_since timestamptz;
-- What people should know besides state and message: sentences.
ALTER TABLE target ADD COLUMN notes text[] NOT NULL DEFAULT '{}';
-- What was taken back lately, so that two who take it from each other are noticed.
ALTER TABLE target ADD COLUMN heals jsonb NOT NULL DEFAULT '[]';

-- Yes, this list may be deleted.
CREATE TABLE prune_yes (
    target_id  bigint      NOT NULL REFERENCES target (id),
    code       text        NOT NULL, -- of target.surplus_code
    actor_id   bigint      NOT NULL,
    actor      text        NOT NULL,
    url        text        NOT NULL, -- of the comment
    command_id bigint      REFERENCES command (id),
    said_at    timestamptz NOT NULL,
    PRIMARY KEY (target_id, code)
);

-- A change that somebody made past Git, from when it was seen until it is gone, and the
-- comment that tells of it.
CREATE TABLE drift (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_id    bigint      NOT NULL REFERENCES target (id),
    found        jsonb       NOT NULL, -- what differs, and who has changed it
    seen_at      timestamptz NOT NULL,
    ended_at     timestamptz,
    healed       boolean     NOT NULL DEFAULT false, -- Tagboat has taken it back
    number       bigint      NOT NULL DEFAULT 0,     -- of the pull request or issue where it is told; 0: not yet
    comment_id   bigint      NOT NULL DEFAULT 0,
    told         text        NOT NULL DEFAULT '',    -- hash of what the comment says
    announced_at timestamptz
);
CREATE UNIQUE INDEX drift_open ON drift (target_id) WHERE ended_at IS NULL;

-- Which process brings which cluster, and when it last said so.
CREATE TABLE reach (
    cluster text        NOT NULL,
    replica text        NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (cluster, replica)
);
