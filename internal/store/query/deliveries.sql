-- name: InsertDelivery :one
INSERT INTO delivery (source, delivery_id, event, body, received_at)
VALUES (@source, @delivery_id, @event, @body, @received_at)
ON CONFLICT (source, delivery_id) DO NOTHING
RETURNING id;

-- name: Delivery :one
SELECT * FROM delivery WHERE id = @id;

-- name: FinishDelivery :exec
UPDATE delivery SET handled_at = @at, outcome = @outcome WHERE id = @id;

-- name: RecentDeliveries :many
SELECT id, source, delivery_id, event, received_at, handled_at, outcome
FROM delivery ORDER BY id DESC LIMIT @most;
