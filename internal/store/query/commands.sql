-- name: InsertCommand :one
INSERT INTO command (owner, repo, github_repo_id, number, is_pull, comment_id, installation_id, body, author_id, author, delivery_id, received_at)
VALUES (@owner, @repo, @github_repo_id, @number, @is_pull, @comment_id, @installation_id, @body, @author_id, @author, @delivery_id, @received_at)
ON CONFLICT (owner, repo, comment_id) DO NOTHING
RETURNING id;

-- name: Command :one
SELECT * FROM command WHERE id = @id;

-- name: AnswerCommand :exec
UPDATE command SET outcome = @outcome, reply = @reply WHERE id = @id;

-- name: AnnounceReply :exec
UPDATE command SET replying = true WHERE id = @id;

-- name: SetReply :exec
UPDATE command SET reply_id = @reply_id WHERE id = @id;
