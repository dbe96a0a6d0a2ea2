package github

import (
	"context"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// History is what has become of a pull request's description and of its head.
type History struct {
	Body    string
	HeadSHA string
	// Edits are the newest versions of the description, oldest first; once there was an
	// edit, the original is one of them.
	Edits []Edit
	// Moves are the newest moves of the head to a commit that does not follow the one
	// before, oldest first. All of them, unless there are MostMoves.
	Moves []Move
}

// MostMoves is how many moves of a head are read.
const MostMoves = 100

// Move is a push that was not forward.
type Move struct {
	At   time.Time
	From string
}

// Edit is one version of a description.
type Edit struct {
	By   User // nobody where the account is gone
	At   time.Time
	Body string
}

// history is GraphQL, because REST tells neither who wrote what nor when a head was
// moved. “diff” is the text as it stood after the edit.
const history = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) {
    body headRefOid
    userContentEdits(first: 100) { nodes { editedAt diff editor { __typename login ... on User { databaseId } ... on Bot { databaseId } } } }
    timelineItems(last: 100, itemTypes: [HEAD_REF_FORCE_PUSHED_EVENT]) { nodes { ... on HeadRefForcePushedEvent { createdAt beforeCommit { oid } } } }
  } }
}`

// History reads that of a pull request.
func (r *Repo) History(ctx context.Context, n int) (_ History, err error) {
	defer r.fail(&err, "read the history of #%d", n)
	var got struct {
		Repository struct {
			PullRequest *pullHistory `json:"pullRequest"`
		}
	}
	if err := r.client.query(ctx, &got, history, map[string]any{"owner": r.Owner, "name": r.Name, "number": n}); err != nil {
		return History{}, err
	}
	p := got.Repository.PullRequest
	if p == nil {
		return History{}, fault.Errorf(fault.NotFound, "GitHub knows no pull request #%d", n)
	}
	return p.told(), nil
}

type pullHistory struct {
	Body             string `json:"body"`
	HeadRefOid       string `json:"headRefOid"`
	UserContentEdits struct {
		Nodes []struct {
			EditedAt time.Time
			Diff     string
			Editor   *struct {
				Typename   string `json:"__typename"`
				Login      string
				DatabaseID int64 `json:"databaseId"`
			}
		}
	} `json:"userContentEdits"`
	TimelineItems struct {
		Nodes []struct {
			CreatedAt    time.Time
			BeforeCommit *commitID `json:"beforeCommit"`
		}
	} `json:"timelineItems"`
}

func (p *pullHistory) told() History {
	h := History{Body: p.Body, HeadSHA: p.HeadRefOid}
	for _, n := range slices.Backward(p.UserContentEdits.Nodes) { // GitHub has the newest first
		e := Edit{At: n.EditedAt, Body: n.Diff}
		if n.Editor != nil {
			e.By = User{ID: n.Editor.DatabaseID, Login: n.Editor.Login, Bot: n.Editor.Typename != "User"}
		}
		h.Edits = append(h.Edits, e)
	}
	for _, n := range p.TimelineItems.Nodes {
		h.Moves = append(h.Moves, Move{n.CreatedAt, n.BeforeCommit.oid()})
	}
	return h
}
