-- +goose Up

-- Everybody who had CI build an artifact, append-only: none of them counts as the
-- approver of its promotions.
CREATE TABLE builder (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    artifact_id bigint      NOT NULL REFERENCES artifact (id),
    actor_id    bigint      NOT NULL, -- 0: CI told only the login
    actor       text        NOT NULL,
    at          timestamptz NOT NULL,
    delivery_id bigint REFERENCES delivery (id),
    UNIQUE (artifact_id, actor_id, actor)
);
CREATE TRIGGER builder_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON builder FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Reviews that Tagboat dismisses on GitHub, because they approved something else than
-- would be merged. A row is announced before it is done, and ends with an outcome:
-- each is tried once.
CREATE TABLE dismissal (
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    review_id    bigint      NOT NULL,
    announced_at timestamptz NOT NULL,
    outcome      text        NOT NULL DEFAULT '' CHECK (outcome IN ('', 'dismissed', 'refused')),
    done_at      timestamptz,
    PRIMARY KEY (promotion_id, review_id)
);

-- What a gate's verdict was made from, as JSON, where that is more than its reason
-- tells: of approvals, who counted for which rule, as a member of which team, and
-- when GitHub said so.
ALTER TABLE evidence ADD COLUMN detail text NOT NULL DEFAULT '';
