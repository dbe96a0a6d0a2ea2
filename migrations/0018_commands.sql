-- +goose Up

-- The verbs that an answer said were probably meant: people are told so once.
ALTER TABLE command ADD COLUMN slips text[] NOT NULL DEFAULT '{}';
CREATE INDEX command_slips ON command (owner, repo, number, author_id) WHERE slips <> '{}';

-- Which delivery asked for a stop, and which for its end: what was begun before a crash
-- is not done again.
ALTER TABLE stop ADD COLUMN delivery_id bigint REFERENCES delivery (id);
ALTER TABLE stop ADD COLUMN lifted_delivery_id bigint REFERENCES delivery (id);
