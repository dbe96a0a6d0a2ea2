-- name: Installation :one
SELECT name, salt FROM installation;

-- name: Inventory :many
SELECT * FROM inventory WHERE target_id = @target_id ORDER BY api_group, kind, namespace, name;

-- name: InventoryPlaces :many
-- Of which kinds there is something in which namespaces of a cluster.
SELECT DISTINCT i.api_group, i.kind, i.version, i.namespace FROM inventory i JOIN target t ON t.id = i.target_id WHERE t.cluster = @cluster AND NOT t.gone;

-- name: KeepEntries :exec
INSERT INTO inventory (target_id, api_group, kind, namespace, name, version, uid, hash, fingerprint, state, reason)
SELECT @target_id::bigint, unnest(@api_groups::text[]), unnest(@kinds::text[]), unnest(@namespaces::text[]), unnest(@names::text[]),
    unnest(@versions::text[]), unnest(@uids::text[]), unnest(@hashes::text[]), unnest(@fingerprints::text[]), unnest(@states::text[]), unnest(@reasons::text[])
ON CONFLICT (target_id, api_group, kind, namespace, name) DO UPDATE SET version = excluded.version, uid = excluded.uid,
    hash = excluded.hash, fingerprint = excluded.fingerprint, state = excluded.state, reason = excluded.reason;

-- name: ForgetEntries :exec
DELETE FROM inventory i USING (
    SELECT unnest(@api_groups::text[]) AS api_group, unnest(@kinds::text[]) AS kind, unnest(@namespaces::text[]) AS namespace, unnest(@names::text[]) AS name
) gone
WHERE i.target_id = @target_id AND i.api_group = gone.api_group AND i.kind = gone.kind AND i.namespace = gone.namespace AND i.name = gone.name;

-- name: ForgetMoved :exec
-- What targets that are gone had, and others have taken over.
DELETE FROM inventory i USING target g, inventory m
WHERE g.id = i.target_id AND g.gone AND i.uid <> '' AND m.target_id = ANY (@targets::bigint[]) AND m.state = 'written' AND m.uid = i.uid;

-- name: HoldsFence :one
-- Nobody takes the target over before the transaction ends.
SELECT fence FROM target WHERE id = @id FOR SHARE;

-- name: TakeLease :one
-- By the database's clock: those of the replicas may differ. It tells whose it was that
-- did not give it back.
UPDATE target t SET fence = t.fence + 1, leased_by = @holder, leased_until = clock_timestamp() + make_interval(secs => @seconds::float8)
FROM (SELECT o.id, o.leased_by FROM target o WHERE o.id = @id FOR UPDATE) was
WHERE t.id = was.id AND (t.leased_until IS NULL OR t.leased_until < clock_timestamp() OR t.leased_by = @holder)
RETURNING was.leased_by;

-- name: RenewLease :one
UPDATE target SET leased_until = clock_timestamp() + make_interval(secs => @seconds::float8) WHERE id = @id AND fence = @fence
RETURNING want;

-- name: LeaseLeft :one
-- In seconds; what is left of nobody's lease is nothing.
SELECT greatest(0, coalesce(extract(epoch FROM leased_until - clock_timestamp()), 0))::float8 AS seconds FROM target WHERE id = @id;

-- name: DropLease :exec
UPDATE target SET leased_by = '', leased_until = NULL WHERE id = @id AND fence = @fence;

-- name: SetCounted :exec
UPDATE target SET counted_at = @at WHERE id = @id AND fence = @fence;

-- name: SuspectTarget :exec
UPDATE target SET suspected = suspected + 1, want = want + 1 WHERE id = @id;

-- name: InsertPruneYes :exec
INSERT INTO prune_yes (target_id, code, actor_id, actor, url, command_id, said_at)
VALUES (@target_id, @code, @actor_id, @actor, @url, @command_id, @said_at) ON CONFLICT DO NOTHING;

-- name: EndPruneYes :exec
-- A yes is to a list that waits; when that has gone, or is another one, it is over.
DELETE FROM prune_yes WHERE target_id = @target_id AND code <> @code;

-- name: PruneYes :one
SELECT * FROM prune_yes WHERE target_id = @target_id AND code = @code;

-- name: InsertAdoptYes :exec
-- To every object of the list that waits.
INSERT INTO adopt_yes (target_id, uid, code, actor_id, actor, url, command_id, said_at)
SELECT t.id, jsonb_array_elements(t.adoption -> 'objects') ->> 'uid', @code::text, @actor_id::bigint, @actor::text, @url::text, sqlc.narg(command_id)::bigint, @said_at::timestamptz
FROM target t WHERE t.id = @target_id
ON CONFLICT DO NOTHING;

-- name: AdoptYes :many
SELECT uid FROM adopt_yes WHERE target_id = @target_id;
