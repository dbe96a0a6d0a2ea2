-- +goose Up

-- What GitHub said lies between two commits of a source repository. Commits do not
-- change, so it is asked once.
CREATE TABLE source_comparison (
    repo     text        NOT NULL, -- "owner/name", in lower case
    base     text        NOT NULL, -- the commit that runs
    head     text        NOT NULL, -- the commit that is to run
    found    text        NOT NULL, -- JSON
    found_at timestamptz NOT NULL,
    PRIMARY KEY (repo, base, head)
);
