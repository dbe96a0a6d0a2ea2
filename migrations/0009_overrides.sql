-- +goose Up

-- Who can move a gate that does not pass, how much is missing, and when it is looked
-- at next: whoever explains a promotion from the database says so, too.
ALTER TABLE evidence ADD COLUMN owner text NOT NULL DEFAULT '';
ALTER TABLE evidence ADD COLUMN missing integer NOT NULL DEFAULT 0;
ALTER TABLE evidence ADD COLUMN next_check timestamptz;
