-- +goose Up

-- Where a promotion's pull request stands in the merge queue of its base branch, where
-- GitHub has one. What a promotion hands on to a newer one is not in here: its head is
-- another, and GitHub takes a pull request whose head moves out of the queue.
CREATE TABLE queued (
    promotion_id bigint      PRIMARY KEY REFERENCES promotion (id),
    head_sha     text        NOT NULL DEFAULT '', -- with which it was entered; '' while it is out
    entered_at   timestamptz,
    asked_at     timestamptz,                     -- when GitHub said last that it has it
    left_at      timestamptz,                     -- when GitHub took it out last without a merge
    group_sha    text        NOT NULL DEFAULT '', -- the commit that the queue wants tested
    group_base   text        NOT NULL DEFAULT '', -- the commit that it is built on
    check_run_id bigint      NOT NULL DEFAULT 0,  -- ours, on check_sha
    check_sha    text        NOT NULL DEFAULT '',
    check_hash   text        NOT NULL DEFAULT ''  -- of what it shows
);
