-- +goose Up

-- What a cluster answered last when a promotion's objects were dry-run there.
CREATE TABLE dry_run (
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    cluster      text        NOT NULL,
    rendered     text        NOT NULL, -- hash of what was tried, and of what was rendered before
    outcome      text        NOT NULL CHECK (outcome IN ('accepted', 'refused', 'unclear')),
    objects      json        NOT NULL, -- what it came to for each of them, without their values
    message      text        NOT NULL, -- why nothing is known of the objects; '' where it is
    since        timestamptz NOT NULL, -- since when this very content has this outcome
    tried_at     timestamptz NOT NULL,
    PRIMARY KEY (promotion_id, cluster)
);
