-- +goose Up

-- What is in the cluster already, is nobody's, and would be changed by what is in Git: it
-- waits for a person's yes. A short name of exactly these objects; '' where nothing does.
ALTER TABLE target ADD COLUMN adoption jsonb NOT NULL DEFAULT '{}';
ALTER TABLE target ADD COLUMN adoption_code text NOT NULL DEFAULT '';

-- Yes, this object may be taken over. It is the very object, by its uid, that this is about,
-- whatever Git says of it by then.
CREATE TABLE adopt_yes (
    target_id  bigint      NOT NULL REFERENCES target (id),
    uid        text        NOT NULL,
    code       text        NOT NULL, -- of target.adoption_code
    actor_id   bigint      NOT NULL,
    actor      text        NOT NULL,
    url        text        NOT NULL, -- of the comment
    command_id bigint      REFERENCES command (id),
    said_at    timestamptz NOT NULL,
    PRIMARY KEY (target_id, uid)
);
