-- +goose Up

-- What an auditor asks for is the log of one promotion.
CREATE INDEX audit_promotion ON audit (promotion_id, action);

-- How far the audit log goes. Rows that are cut off at the end of a chain leave a
-- chain that holds; this tells that there were more. Only the trigger writes it.
CREATE TABLE audit_head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id     bigint NOT NULL,
    hash   text   NOT NULL
);
INSERT INTO audit_head (id, hash)
SELECT coalesce(max(id), 0), coalesce((SELECT hash FROM audit ORDER BY id DESC LIMIT 1), '') FROM audit;

-- A row that does not continue the log is refused, whoever inserts it. The
-- function runs as its owner, so that who may append to the log need not be able
-- to write its head; it names its table in full, so that nobody can put another
-- one in its place.
-- +goose StatementBegin
CREATE FUNCTION continue_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    continued integer;
BEGIN
    EXECUTE format('UPDATE %I.audit_head SET id = $1, hash = $2 WHERE id = $1 - 1 AND hash = $3', TG_TABLE_SCHEMA)
        USING NEW.id, NEW.hash, NEW.prev_hash;
    GET DIAGNOSTICS continued = ROW_COUNT;
    IF continued <> 1 THEN
        RAISE EXCEPTION 'audit row % does not continue the log', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_continues BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION continue_audit();

-- River makes its tables here, after our migrations.
-- +goose StatementBegin
DO $$
BEGIN
    IF to_regnamespace('river') IS NULL THEN
        CREATE SCHEMA river;
    END IF;
END $$;
-- +goose StatementEnd

-- The role that may do Tagboat's work, and not change what was written down.
-- Roles belong to the whole server: another database's migration may have made
-- it, or be making it now. Not every owner of a database may make one.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tagboat_writer') THEN
        CREATE ROLE tagboat_writer NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'This user may not make roles. An administrator can: CREATE ROLE tagboat_writer NOLOGIN; then run tagboat migrate.';
END $$;
-- +goose StatementEnd

-- grant_writer gives the role what it needs, and takes away what it must not
-- have; it answers whether there is such a role. Every table counts that its
-- caller owns; a table that refuses changes is one to append to. Tables that come
-- later can be read and appended to, until this is called again, which the server
-- does after every migration.
-- +goose StatementBegin
CREATE FUNCTION grant_writer() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    home   text := current_schema();
    spot   text;
    thing  record;
    rights text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tagboat_writer') THEN
        RETURN false;
    END IF;
    FOREACH spot IN ARRAY ARRAY[home, 'river'] LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO tagboat_writer', spot);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT ON TABLES TO tagboat_writer', spot);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO tagboat_writer', spot);
    END LOOP;
    FOR thing IN
        SELECT c.oid, c.relname, c.relkind, format('%I.%I', n.nspname, c.relname) AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN (home, 'river') AND c.relkind IN ('r', 'p', 'S') AND pg_has_role(c.relowner, 'USAGE')
    LOOP
        rights := CASE
            WHEN thing.relkind = 'S' THEN 'USAGE, SELECT'
            WHEN thing.relname IN ('audit_head', 'goose_db_version', 'river_migration') THEN 'SELECT'
            WHEN EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid WHERE t.tgrelid = thing.oid AND f.proname = 'refuse_change')
                THEN 'SELECT, INSERT'
            ELSE 'SELECT, INSERT, UPDATE, DELETE'
        END;
        EXECUTE format('REVOKE ALL ON %s FROM tagboat_writer', thing.name);
        EXECUTE format('GRANT %s ON %s %s TO tagboat_writer', rights, CASE thing.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, thing.name);
    END LOOP;
    RETURN true;
END $$;
-- +goose StatementEnd

SELECT grant_writer();
