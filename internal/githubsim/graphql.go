package githubsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// edit is a version of a description: GitHub keeps who wrote it, when, and all of its
// text.
type edit struct {
	who  *account
	at   time.Time
	body string
}

// forcePush is a move of a pull request's head to a commit that does not follow the
// one before.
type forcePush struct {
	before string
	at     time.Time
}

// keepEdit remembers a new version of a description. The first edit brings the
// original along.
func (s *Server) keepEdit(i *issue, who actor, body string) {
	if len(i.edits) == 0 {
		i.edits = append(i.edits, edit{i.author, i.created, i.body})
	}
	i.edits = append(i.edits, edit{who.account(), s.now(), body})
}

// graphql is POST /graphql.
func (s *Server) graphql(c *call) (any, error) {
	var in struct {
		Query     string          `json:"query"`
		Variables json.RawMessage `json:"variables"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(in.Query, "enqueuePullRequest("):
		return s.enqueuePull(c, in.Variables)
	case strings.Contains(in.Query, "userContentEdits(") && strings.Contains(in.Query, "HEAD_REF_FORCE_PUSHED_EVENT"):
		return s.ofPull(c, in.Variables, pullHistory)
	case strings.Contains(in.Query, "itemTypes: [CLOSED_EVENT, REOPENED_EVENT]"):
		return s.ofPull(c, in.Variables, lastTurn)
	case strings.Contains(in.Query, "mergeQueueEntry {"):
		return s.ofPull(c, in.Variables, func(r *repo, i *issue) object { return object{"mergeQueueEntry": r.queueEntry(i)} })
	}
	return object{"errors": list{object{"message": "the simulated GitHub knows only enqueuePullRequest, and three queries about a pull request"}}}, nil
}

// mostEdits is how many versions of a description one query gets.
const mostEdits = 100

// ofPull answers a query about a pull request.
func (s *Server) ofPull(c *call, variables json.RawMessage, tell func(*repo, *issue) object) (any, error) {
	var wanted struct {
		Owner  string `json:"owner"`
		Name   string `json:"name"`
		Number int    `json:"number"`
	}
	if err := json.Unmarshal(variables, &wanted); err != nil || wanted.Number == 0 {
		return object{"errors": list{object{"message": "Variable $number of type Int! was provided invalid value"}}}, nil
	}
	absent := func(what string, path ...any) (any, error) {
		return object{"data": object{"repository": nil}, "errors": list{object{
			"type": "NOT_FOUND", "path": path, "message": "Could not resolve to a " + what + ".", "locations": list{object{"line": 1, "column": 1}},
		}}}, nil
	}
	r := s.repo(wanted.Owner + "/" + wanted.Name)
	if r == nil || !s.maySee(c.actor, r) {
		return absent("Repository with the name '"+wanted.Owner+"/"+wanted.Name+"'", "repository")
	}
	i := r.pull(wanted.Number)
	if i == nil {
		return absent(fmt.Sprintf("PullRequest with the number of %d", wanted.Number), "repository", "pullRequest")
	}
	return object{"data": object{"repository": object{"pullRequest": tell(r, i)}}}, nil
}

// pullHistory is a pull request's description with its versions, the newest first, and
// its head with the moves that were not forward.
func pullHistory(_ *repo, i *issue) object {
	edits := []object{}
	for _, e := range slices.Backward(i.edits) {
		if len(edits) < mostEdits {
			edits = append(edits, object{"editedAt": stamp(e.at), "diff": e.body, "editor": graphqlActor(e.who)})
		}
	}
	moves := []object{}
	for _, f := range i.pull.forced[max(0, len(i.pull.forced)-mostEdits):] {
		moves = append(moves, object{"createdAt": stamp(f.at), "beforeCommit": object{"oid": f.before}})
	}
	return object{
		"body": i.body, "headRefOid": i.pull.headSHA,
		"userContentEdits": object{"nodes": edits}, "timelineItems": object{"nodes": moves},
	}
}

// lastTurn is the event that closed a pull request last, or opened it again.
func lastTurn(_ *repo, i *issue) object {
	events := []object{}
	switch {
	case i.state == "closed":
		events = append(events, object{"__typename": "ClosedEvent"})
	case i.reopenedBy != nil:
		events = append(events, object{"__typename": "ReopenedEvent", "actor": graphqlActor(i.reopenedBy)})
	}
	return object{"timelineItems": object{"nodes": events}}
}

// queueEntry is where a pull request stands in its merge queue; nil where it does not.
func (r *repo) queueEntry(i *issue) any {
	for _, e := range r.queues[i.pull.baseRef] {
		if e.issue == i && e.sha != "" {
			return object{"headCommit": object{"oid": e.sha}, "baseCommit": object{"oid": e.base}}
		}
	}
	return nil
}

// graphqlActor is an account as GraphQL shows it: a bot's login has no "[bot]" there.
func graphqlActor(a *account) object {
	return object{"__typename": a.kind, "login": strings.TrimSuffix(a.login, "[bot]"), "databaseId": a.id}
}
