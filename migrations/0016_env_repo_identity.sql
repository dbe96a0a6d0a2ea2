-- +goose Up

-- A repository is GitHub's number. Names are given up, and taken by other
-- repositories; what was promised to the first one does not pass to the second.
ALTER TABLE env_repo
    ADD COLUMN github_id          bigint UNIQUE, -- null until GitHub was asked
    -- The names that it had before any other env repo, in lower case. Configuration
    -- that names a repository means the one that has the name here.
    ADD COLUMN names              text[] NOT NULL DEFAULT '{}',
    -- What its objects in clusters are marked with. It stays when the name changes.
    ADD COLUMN mark               text NOT NULL DEFAULT '',
    ADD COLUMN presence           text NOT NULL DEFAULT 'installed' CHECK (presence IN ('installed', 'archived', 'suspended', 'removed')),
    ADD COLUMN presence_since     timestamptz,
    ADD COLUMN presence_note      text NOT NULL DEFAULT '', -- for people: why it is so, where that is known
    ADD COLUMN config_error_since timestamptz,
    ADD COLUMN config_told        text NOT NULL DEFAULT ''; -- the commit on which GitHub was told of config_error
UPDATE env_repo SET names = ARRAY [lower(owner || '/' || name)], mark = owner || '/' || name, presence_since = seen_at,
    config_error_since = CASE WHEN config_error <> '' THEN seen_at END;
ALTER TABLE env_repo
    ALTER COLUMN presence_since SET NOT NULL,
    ALTER COLUMN mark DROP DEFAULT,
    ADD CONSTRAINT env_repo_mark UNIQUE (mark),
    DROP CONSTRAINT env_repo_owner_name_key;
-- One that is gone may have left its name to another.
CREATE UNIQUE INDEX env_repo_name ON env_repo (lower(owner), lower(name)) WHERE presence <> 'removed';

-- A comment's repository by number, too: who may command is asked there.
ALTER TABLE command ADD COLUMN github_repo_id bigint NOT NULL DEFAULT 0;
-- It is one comment under whichever name it becomes known. (0: from before.)
CREATE UNIQUE INDEX command_comment ON command (github_repo_id, comment_id) WHERE github_repo_id <> 0;
