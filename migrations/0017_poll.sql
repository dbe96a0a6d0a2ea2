-- +goose Up

-- Where Tagboat has got to in looking for what nobody told it: one row for each list
-- that is read again and again.
CREATE TABLE poll (
    kind    text        NOT NULL CHECK (kind IN ('pulls', 'comments', 'checks', 'tags')),
    subject text        NOT NULL, -- owner/name of a repository, a promotion's number, an image's name
    due     timestamptz NOT NULL, -- not to be read before
    until   timestamptz NOT NULL, -- what changed before was read
    tag     text        NOT NULL DEFAULT '', -- how the last answer was called, or what it came to
    PRIMARY KEY (kind, subject)
);
