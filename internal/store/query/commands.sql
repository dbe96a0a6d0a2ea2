-- name: InsertCommand :one
-- A comment is one, by its repository's number and by its name.
INSERT INTO command (owner, repo, github_repo_id, number, is_pull, comment_id, installation_id, body, author_id, author, delivery_id, said_at, received_at)
VALUES (@owner, @repo, @github_repo_id, @number, @is_pull, @comment_id, @installation_id, @body, @author_id, @author, @delivery_id, @said_at, @received_at)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: Command :one
SELECT * FROM command WHERE id = @id;

-- name: AnswerCommand :exec
UPDATE command SET outcome = @outcome, reply = @reply, slips = @slips WHERE id = @id;

-- name: ToldBefore :one
-- Whether a person was told before, on the same issue, which verb they probably meant.
SELECT EXISTS (
    SELECT FROM command c
    WHERE c.owner = @owner AND c.repo = @repo AND c.number = @number AND c.author_id = @author_id AND c.id < @id AND @verb::text = ANY (c.slips)
);

-- name: AnnounceReply :exec
UPDATE command SET replying = true WHERE id = @id;

-- name: SetReply :exec
UPDATE command SET reply_id = @reply_id WHERE id = @id;
