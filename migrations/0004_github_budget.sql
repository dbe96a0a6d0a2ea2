-- +goose Up

-- What each installation of the App has spent of GitHub's limits, which are the
-- installation's and not a replica's. spent is internal/github's own: slots by
-- window. A replica replaces it if the version is still the one that it has seen.
CREATE TABLE github_budget (
    installation_id bigint PRIMARY KEY,
    version         bigint NOT NULL,
    spent           jsonb  NOT NULL
);
