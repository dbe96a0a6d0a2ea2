-- +goose Up

-- Which command took a version off the denylist, as it is with stops: a comment that was
-- looked for, because nobody told of it, has no delivery.
ALTER TABLE denial ADD COLUMN lifted_command_id bigint REFERENCES command (id);
ALTER TABLE denial DROP COLUMN lifted_delivery_id;
