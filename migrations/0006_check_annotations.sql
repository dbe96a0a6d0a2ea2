-- +goose Up

-- The annotations that our check run carries, as a hash. GitHub adds annotations to a
-- run and takes none away, so other annotations want another run.
ALTER TABLE promotion ADD COLUMN check_annotations text NOT NULL DEFAULT '';
