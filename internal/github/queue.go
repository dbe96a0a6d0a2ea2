package github

import (
	"context"
	"net/http"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// enqueue is GraphQL, because REST cannot put a pull request into a merge queue
// (https://docs.github.com/graphql/reference/mutations#enqueuepullrequest).
const enqueue = `mutation($pull: ID!, $head: GitObjectID!) {
  enqueuePullRequest(input: {pullRequestId: $pull, expectedHeadOid: $head}) { mergeQueueEntry { id } }
}`

// Enqueue puts a pull request into the merge queue of its base branch, with exactly
// the head that was evaluated; one that is in it stays. Denied: GitHub says no, in
// its own words.
func (r *Repo) Enqueue(ctx context.Context, p Pull, head string) (err error) {
	defer r.fail(&err, "put #%d into the merge queue at %s", p.Number, head)
	if head == "" || p.NodeID == "" { // GitHub would take whatever head is there
		return fault.Errorf(fault.Broken, "entering a merge queue needs the pull request's node id and the head SHA that was evaluated")
	}
	body := map[string]any{"query": enqueue, "variables": map[string]string{"pull": p.NodeID, "head": head}}
	req, err := r.client.NewRequest(http.MethodPost, graphqlPath(r.client.BaseURL.Path), body)
	if err != nil {
		return err
	}
	var answer struct {
		Errors []struct{ Type, Message string }
	}
	if _, err := r.client.Do(ctx, req, &answer); err != nil {
		return err
	}
	if len(answer.Errors) == 0 || strings.Contains(answer.Errors[0].Message, "already in the queue") {
		return nil
	}
	if answer.Errors[0].Type == "RATE_LIMITED" {
		return fault.Errorf(fault.Transient, "GitHub's GraphQL limit is used up; Tagboat tries again.")
	}
	return fault.Errorf(fault.Denied, "GitHub did not take it into the merge queue: %s", answer.Errors[0].Message)
}

const group = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { mergeQueueEntry { headCommit { oid } baseCommit { oid } } } }
}`

// Group is the commit that the merge queue tests for a pull request, and what it is
// built on; "" where there is none.
func (r *Repo) Group(ctx context.Context, n int) (sha, base string, err error) {
	defer r.fail(&err, "read where #%d stands in the merge queue", n)
	var got struct {
		Repository struct {
			PullRequest struct {
				Entry struct {
					HeadCommit *commitID `json:"headCommit"`
					BaseCommit *commitID `json:"baseCommit"`
				} `json:"mergeQueueEntry"`
			} `json:"pullRequest"`
		}
	}
	err = r.client.query(ctx, &got, group, map[string]any{"owner": r.Owner, "name": r.Name, "number": n})
	e := got.Repository.PullRequest.Entry
	return e.HeadCommit.oid(), e.BaseCommit.oid(), err
}

// graphqlPath is where a server that has REST at base has GraphQL: beside v3 on
// GitHub Enterprise Server, below the root on github.com.
func graphqlPath(base string) string {
	if prefix, ok := strings.CutSuffix(base, "/v3/"); ok {
		return prefix + "/graphql"
	}
	return base + "graphql"
}
