-- +goose Up

-- What arrived from outside, exactly as it arrived. A redelivery has the same
-- delivery_id and changes nothing.
CREATE TABLE delivery (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text        NOT NULL CHECK (source IN ('github', 'distribution', 'ci')),
    delivery_id text        NOT NULL,
    event       text        NOT NULL,
    body        bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    handled_at  timestamptz,
    outcome     text        NOT NULL DEFAULT '',
    UNIQUE (source, delivery_id)
);

CREATE TABLE env_repo (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner           text        NOT NULL,
    name            text        NOT NULL,
    installation_id bigint      NOT NULL,
    default_branch  text        NOT NULL,
    config_error    text        NOT NULL DEFAULT '',
    seen_at         timestamptz NOT NULL,
    surveyed        text        NOT NULL DEFAULT '', -- the branches and commits that targets were last wanted for
    UNIQUE (owner, name)
);

-- The tag ledger: the first verified digest of a tag is the only one that the
-- tag may ever have.
CREATE TABLE artifact (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image         text        NOT NULL,
    tag           text        NOT NULL,
    digest        text        NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    media_type    text        NOT NULL,
    platforms     text[]      NOT NULL,
    source_repo   text        NOT NULL DEFAULT '',
    source_commit text        NOT NULL DEFAULT '',
    run_url       text        NOT NULL DEFAULT '',
    verified_at   timestamptz NOT NULL,
    UNIQUE (image, tag)
);
CREATE INDEX artifact_digest ON artifact (image, digest);
CREATE INDEX artifact_source ON artifact (source_repo, source_commit) WHERE source_commit <> '';

-- Pushes that Tagboat will not promote, and why. One row per (image, tag,
-- digest), however often it is pushed.
CREATE TABLE refusal (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image       text        NOT NULL,
    tag         text        NOT NULL,
    digest      text        NOT NULL,
    reason      text        NOT NULL,
    delivery_id bigint REFERENCES delivery (id),
    refused_at  timestamptz NOT NULL,
    UNIQUE (image, tag, digest)
);

CREATE TABLE promotion (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo_id           bigint      NOT NULL REFERENCES env_repo (id),
    app               text        NOT NULL,
    env               text        NOT NULL,
    artifact_id       bigint      NOT NULL REFERENCES artifact (id),
    state             text        NOT NULL CHECK (state IN ('proposed', 'open', 'merged', 'deployed', 'superseded', 'closed')),
    message           text        NOT NULL DEFAULT '', -- why it stands where it stands, for people
    requester_id      bigint      NOT NULL DEFAULT 0,  -- 0: Tagboat by itself
    requester         text        NOT NULL DEFAULT '',
    reason            text        NOT NULL DEFAULT '', -- why it was proposed
    branch            text        NOT NULL DEFAULT '',
    base_branch       text        NOT NULL DEFAULT '',
    pull_number       integer     NOT NULL DEFAULT 0,
    pull_url          text        NOT NULL DEFAULT '',
    pull_state        text        NOT NULL DEFAULT '' CHECK (pull_state IN ('', 'open', 'closed', 'merged')),
    pull_body         text        NOT NULL DEFAULT '', -- as last seen on GitHub
    seen_head_sha     text        NOT NULL DEFAULT '', -- the head that GitHub last reported
    head_sha          text        NOT NULL DEFAULT '', -- the head that we put there
    base_sha          text        NOT NULL DEFAULT '', -- the base commit head_sha was made on
    edit_hash         text        NOT NULL DEFAULT '', -- of the managed edit in head_sha
    old_tag           text        NOT NULL DEFAULT '', -- what the overlay pinned on base_sha
    old_digest        text        NOT NULL DEFAULT '',
    diff              text        NOT NULL DEFAULT '', -- of the managed edit, for people
    behind            boolean     NOT NULL DEFAULT false,
    labelled          boolean     NOT NULL DEFAULT false,
    registry_digest   text        NOT NULL DEFAULT '', -- what the tag was when last asked
    registry_error    text        NOT NULL DEFAULT '',
    registry_at       timestamptz,
    check_run_id      bigint      NOT NULL DEFAULT 0,
    check_sha         text        NOT NULL DEFAULT '', -- the head that check_run_id is on
    check_hash        text        NOT NULL DEFAULT '', -- of what the check run shows
    body_hash         text        NOT NULL DEFAULT '', -- of the title and body that the pull request shows
    body_edits        bigint      NOT NULL DEFAULT 0,  -- how often people changed them
    comment_id        bigint      NOT NULL DEFAULT 0,  -- the one status comment
    comment_hash      text        NOT NULL DEFAULT '',
    deployment_id     bigint      NOT NULL DEFAULT 0,
    deployment_state  text        NOT NULL DEFAULT '',
    branch_deleted    boolean     NOT NULL DEFAULT false,
    merge_sha         text        NOT NULL DEFAULT '',
    merged_at         timestamptz,
    deployed_at       timestamptz,
    next_check        timestamptz,
    want              bigint      NOT NULL DEFAULT 0,  -- raised by whatever may change the decision
    got               bigint      NOT NULL DEFAULT 0,  -- the want that the last finished look had seen
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);
-- I2: at most one promotion of an (app, environment) waits to be merged.
CREATE UNIQUE INDEX promotion_active ON promotion (repo_id, app, env) WHERE state IN ('proposed', 'open');
CREATE INDEX promotion_pull ON promotion (repo_id, pull_number) WHERE pull_number > 0;
CREATE INDEX promotion_latest ON promotion (repo_id, app, env, id DESC);

-- Everybody who asked for a promotion, append-only: none of them counts as its
-- approver. (promotion.requester is the first.)
CREATE TABLE request (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    actor_id     bigint      NOT NULL CHECK (actor_id > 0),
    actor        text        NOT NULL,
    at           timestamptz NOT NULL,
    delivery_id  bigint REFERENCES delivery (id)
);
CREATE INDEX request_promotion ON request (promotion_id);

-- Every commit that we ever made for a promotion, so that an approval can be
-- related to the edit that its author saw.
CREATE TABLE promotion_head (
    head_sha     text        NOT NULL,
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    base_sha     text        NOT NULL,
    edit_hash    text        NOT NULL,
    digest       text        NOT NULL,
    made_at      timestamptz NOT NULL,
    PRIMARY KEY (head_sha, promotion_id)
);

-- An external effect is announced here before it is done. A row that is found
-- again means: the answer was lost, look before doing it again.
CREATE TABLE intent (
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    effect       text        NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (promotion_id, effect)
);

-- Newest known result of each check run and commit status on a commit.
CREATE TABLE check_result (
    repo_id     bigint      NOT NULL REFERENCES env_repo (id),
    head_sha    text        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('check_run', 'status')),
    app_id      bigint      NOT NULL,
    name        text        NOT NULL,
    status      text        NOT NULL,
    conclusion  text        NOT NULL,
    url         text        NOT NULL,
    observed_at timestamptz NOT NULL,
    PRIMARY KEY (repo_id, head_sha, kind, app_id, name)
);

-- Reviews as they arrived, append-only. head_sha is the head of the pull request
-- when the review was submitted: GitHub itself moves a review's commit_id.
CREATE TABLE review (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    review_id    bigint      NOT NULL,
    reviewer_id  bigint      NOT NULL,
    reviewer     text        NOT NULL,
    bot          boolean     NOT NULL,
    state        text        NOT NULL CHECK (state IN ('APPROVED', 'CHANGES_REQUESTED', 'COMMENTED', 'DISMISSED')),
    head_sha     text        NOT NULL,
    digest       text        NOT NULL,
    submitted_at timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    delivery_id  bigint REFERENCES delivery (id),
    UNIQUE (promotion_id, review_id, state, head_sha)
);

-- Who ticked or unticked which item of a checklist, append-only.
CREATE TABLE tick (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    item         text        NOT NULL,
    checked      boolean     NOT NULL,
    actor_id     bigint      NOT NULL,
    actor        text        NOT NULL,
    at           timestamptz NOT NULL,
    delivery_id  bigint REFERENCES delivery (id),
    UNIQUE (promotion_id, delivery_id, item)
);
CREATE INDEX tick_promotion ON tick (promotion_id, item, at DESC, id DESC);

-- One row per observation of a gate, append-only: what was true of exactly this
-- digest and this head.
CREATE TABLE evidence (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    promotion_id bigint      NOT NULL REFERENCES promotion (id),
    app          text        NOT NULL,
    env          text        NOT NULL,
    digest       text        NOT NULL,
    head_sha     text        NOT NULL,
    gate         text        NOT NULL,
    verdict      text        NOT NULL CHECK (verdict IN ('pass', 'wait', 'fail')),
    reason       text        NOT NULL,
    source       text        NOT NULL,
    url          text        NOT NULL DEFAULT '',
    observed_at  timestamptz NOT NULL,
    expires_at   timestamptz
);
CREATE INDEX evidence_gate ON evidence (promotion_id, gate, id DESC);

-- A comment command, once per line of a comment.
CREATE TABLE command (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner        text        NOT NULL,
    repo         text        NOT NULL,
    number       integer     NOT NULL,
    is_pull      boolean     NOT NULL,
    comment_id   bigint      NOT NULL,
    installation_id bigint   NOT NULL,
    body         text        NOT NULL,
    author_id    bigint      NOT NULL,
    author       text        NOT NULL,
    delivery_id  bigint REFERENCES delivery (id),
    received_at  timestamptz NOT NULL,
    outcome      text        NOT NULL DEFAULT '', -- '' until it was worked on
    reply        text        NOT NULL DEFAULT '',
    reply_id     bigint      NOT NULL DEFAULT 0,
    replying     boolean     NOT NULL DEFAULT false, -- announced before the reply is posted
    UNIQUE (owner, repo, comment_id)
);

-- One overlay in one cluster, and what is known to run there.
CREATE TABLE target (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repo_id       bigint      NOT NULL REFERENCES env_repo (id),
    app           text        NOT NULL,
    env           text        NOT NULL,
    cluster       text        NOT NULL,
    branch        text        NOT NULL,
    position      integer     NOT NULL DEFAULT 0,     -- of the environment in tagboat.yaml
    gone          boolean     NOT NULL DEFAULT false, -- no longer in tagboat.yaml
    want          bigint      NOT NULL DEFAULT 0,     -- raised when the base moved
    got           bigint      NOT NULL DEFAULT 0,
    commit_sha    text        NOT NULL DEFAULT '',    -- the last commit that was brought to the cluster
    rendered_hash text        NOT NULL DEFAULT '',    -- of the manifests of commit_sha
    image         text        NOT NULL DEFAULT '',
    tag           text        NOT NULL DEFAULT '',
    digest        text        NOT NULL DEFAULT '',
    state         text        NOT NULL DEFAULT 'unknown' CHECK (state IN ('unknown', 'applying', 'waiting', 'healthy', 'failed', 'unreachable')),
    message       text        NOT NULL DEFAULT '',
    healthy_since timestamptz, -- contiguous, of this very digest
    updated_at    timestamptz NOT NULL,
    UNIQUE (repo_id, app, env, cluster)
);

-- Each attempt to bring a target to a commit.
CREATE TABLE sync (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_id   bigint      NOT NULL REFERENCES target (id),
    commit_sha  text        NOT NULL,
    tag         text        NOT NULL,
    digest      text        NOT NULL,
    state       text        NOT NULL CHECK (state IN ('running', 'healthy', 'failed', 'interrupted')),
    message     text        NOT NULL DEFAULT '',
    changed     integer     NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE INDEX sync_target ON sync (target_id, id DESC);

-- Every effect and who caused it, append-only and hash-chained: hash covers the
-- row and prev_hash, so that a changed or missing row shows.
CREATE TABLE audit (
    id           bigint PRIMARY KEY,
    at           timestamptz NOT NULL,
    actor_id     bigint      NOT NULL, -- 0: Tagboat by itself
    actor        text        NOT NULL,
    action       text        NOT NULL,
    promotion_id bigint,
    delivery_id  bigint,
    sha          text        NOT NULL,
    inputs       text        NOT NULL, -- JSON
    prev_hash    text        NOT NULL,
    hash         text        NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER review_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON review FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER request_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON request FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER tick_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tick FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
