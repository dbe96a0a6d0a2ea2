-- +goose Up

-- Whether an artifact carries a signature that an environment asks for, as its registry
-- said last. Promotions of the same artifact share it.
CREATE TABLE signature (
    artifact_id bigint      NOT NULL REFERENCES artifact (id),
    signer      text        NOT NULL CHECK (signer <> ''), -- who is asked for, key and all; for comparing
    outcome     text        NOT NULL CHECK (outcome IN ('signed', 'unsigned', 'foreign', 'unread')),
    signed_by   text        NOT NULL, -- who has signed, in words; '' where the signer has not
    reason      text        NOT NULL, -- what is there instead, or why it could not be read
    since       timestamptz NOT NULL, -- since when it has this outcome
    asked_at    timestamptz NOT NULL,
    PRIMARY KEY (artifact_id, signer),
    CHECK ((outcome = 'signed') = (signed_by <> ''))
);
