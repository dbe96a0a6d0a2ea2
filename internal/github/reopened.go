package github

import (
	"context"
)

// reopening is GraphQL, because REST has a pull request's whole past for it. The newest
// event decides: what was closed since is not open again.
const reopening = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    timelineItems(last: 1, itemTypes: [CLOSED_EVENT, REOPENED_EVENT]) { nodes { __typename ... on ReopenedEvent { actor { __typename login ... on User { databaseId } ... on Bot { databaseId } } } } }
  } }
}`

// ReopenedBy is who opened a pull request again that was closed; known is false where
// it was not opened again, or GitHub does not say by whom (the account is gone).
func (r *Repo) ReopenedBy(ctx context.Context, n int) (by User, known bool, err error) {
	defer r.fail(&err, "find out who reopened #%d", n)
	var got struct {
		Repository struct {
			PullRequest struct {
				TimelineItems struct {
					Nodes []struct {
						Typename string `json:"__typename"`
						Actor    *struct {
							Typename   string `json:"__typename"`
							Login      string
							DatabaseID int64 `json:"databaseId"`
						}
					}
				} `json:"timelineItems"`
			} `json:"pullRequest"`
		}
	}
	if err := r.client.query(ctx, &got, reopening, map[string]any{"owner": r.Owner, "name": r.Name, "number": n}); err != nil {
		return User{}, false, err
	}
	for _, event := range got.Repository.PullRequest.TimelineItems.Nodes {
		if a := event.Actor; event.Typename == "ReopenedEvent" && a != nil {
			return User{ID: a.DatabaseID, Login: a.Login, Bot: a.Typename != "User"}, true, nil
		}
	}
	return User{}, false, nil
}
