-- +goose Up

-- The verbs that an answer said were probably meant: people are told so once.
ALTER TABLE command ADD COLUMN slips text[] NOT NULL DEFAULT '{}';
CREATE INDEX command_slips ON command (owner, repo, number, author_id) WHERE slips <> '{}';

-- When the comment was written. It may have become known much later.
ALTER TABLE command ADD COLUMN said_at timestamptz;
UPDATE command SET said_at = received_at;
ALTER TABLE command ALTER COLUMN said_at SET NOT NULL;

-- Which command asked for a stop, and which for its end: what was begun before a crash
-- is not done again. (Not which delivery: a comment that was looked for has none.)
ALTER TABLE stop ADD COLUMN command_id bigint REFERENCES command (id);
ALTER TABLE stop ADD COLUMN lifted_command_id bigint REFERENCES command (id);
