-- +goose Up

-- Who can move a gate that does not pass, how much is missing, and when it is looked
-- at next: whoever explains a promotion from the database says so, too.
ALTER TABLE evidence ADD COLUMN owner text NOT NULL DEFAULT '';
ALTER TABLE evidence ADD COLUMN missing integer NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN next_check timestamptz;

-- A gate that people override neither passes nor blocks.
ALTER TABLE evidence DROP CONSTRAINT evidence_verdict_check;
ALTER TABLE evidence ADD CONSTRAINT evidence_verdict_check CHECK (verdict IN ('pass', 'wait', 'fail', 'overridden'));

-- Who wants which gate overridden, append-only: for exactly this digest and this
-- head. It takes two people; what their words come to is decided anew at every look.
CREATE TABLE voice (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    gate         text        NOT NULL,
    actor_id     bigint      NOT NULL CHECK (actor_id > 0),
    actor        text        NOT NULL,
    reason       text        NOT NULL CHECK (reason <> ''),
    digest       text        NOT NULL,
    head_sha     text        NOT NULL CHECK (head_sha <> ''),
    edit_hash    text        NOT NULL,
    comment_id   bigint      NOT NULL,
    at           timestamptz NOT NULL,
    delivery_id  bigint REFERENCES delivery (id),
    UNIQUE (promotion_id, gate, comment_id)
);
CREATE TRIGGER voice_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON voice FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The issue that follows an override up; number 0 where none could be opened.
CREATE TABLE follow_up (
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    gate         text        NOT NULL,
    head_sha     text        NOT NULL,
    number       integer     NOT NULL,
    url          text        NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (promotion_id, gate, head_sha)
);
