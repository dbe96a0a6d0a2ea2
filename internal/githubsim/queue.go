package githubsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// entry is a pull request in a branch's merge queue, and the group that is built
// for it: the pull request on top of all that stand before it.
type entry struct {
	issue *issue
	who   actor
	base  string // what the group is built on
	ref   string // of the group
	sha   string // of the group
}

// enqueuePull is the mutation enqueuePullRequest.
func (s *Server) enqueuePull(c *call, variables json.RawMessage) (any, error) {
	const mutation = "enqueuePullRequest"
	var wanted struct {
		Pull string `json:"pull"`
		Head string `json:"head"`
	}
	if err := json.Unmarshal(variables, &wanted); err != nil || wanted.Pull == "" || wanted.Head == "" {
		return object{"errors": list{object{"message": "Variable $pull of type ID! was provided invalid value"}}}, nil
	}
	refuse := func(kind, why string) (any, error) {
		return object{"data": object{mutation: nil}, "errors": list{object{
			"type": kind, "path": list{mutation}, "message": why, "locations": list{object{"line": 1, "column": 1}},
		}}}, nil
	}
	i := s.pullByNode(c, wanted.Pull)
	if i == nil {
		return refuse("NOT_FOUND", "Could not resolve to a node with the global id of '"+wanted.Pull+"'.")
	}
	if c.actor.token != nil && s.authorizeApp(c) != nil || c.actor.user != nil && roleRank[s.role(c.actor.user, c.repo)] < roleRank["write"] {
		return refuse("FORBIDDEN", "Resource not accessible")
	}
	if why := s.enqueueable(c.repo, i, wanted.Head); why != "" {
		return refuse("UNPROCESSABLE", why)
	}
	e := &entry{issue: i, who: c.actor}
	c.repo.queues[i.pull.baseRef] = append(c.repo.queues[i.pull.baseRef], e)
	if _, err := s.emitPull(c.repo, i, c.actor, "enqueued", nil); err != nil {
		return nil, err
	}
	if err := s.advance(c.repo, i.pull.baseRef); err != nil {
		return nil, err
	}
	return object{"data": object{mutation: object{"mergeQueueEntry": object{
		"id": nodeID("MergeQueueEntry", i.pull.id), "position": len(c.repo.queues[i.pull.baseRef]),
	}}}}, nil
}

// pullByNode finds a pull request that the caller may see, and its repository.
func (s *Server) pullByNode(c *call, node string) *issue {
	for _, r := range s.repos {
		if !s.maySee(c.actor, r) {
			continue
		}
		for _, i := range r.issues {
			if i.pull != nil && nodeID("PullRequest", i.pull.id) == node {
				c.repo = r
				return i
			}
		}
	}
	return nil
}

// enqueueable says, in GitHub's words, why a pull request cannot enter its queue.
func (s *Server) enqueueable(r *repo, i *issue, head string) string {
	p, ok := r.protection(i.pull.baseRef)
	switch {
	case !ok || !p.MergeQueue:
		return "Merge queue is not enabled for this branch"
	case i.state != "open" || i.pull.draft:
		return "Pull request is not mergeable"
	case head != i.pull.headSHA:
		return "Expected head oid does not match the current head oid"
	case slices.ContainsFunc(r.queues[i.pull.baseRef], func(e *entry) bool { return e.issue == i }):
		return "Pull request is already in the queue"
	}
	if why := s.blockers(r, i, p); len(why) > 0 {
		return "Pull request " + strings.Join(why, " ")
	}
	return ""
}

// advance builds the groups of a queue that want building, and merges or removes
// what stands at its front, until a check is waited for.
func (s *Server) advance(r *repo, branch string) error {
	base := "refs/heads/" + branch
	for {
		tip := r.git.refs[base]
		for _, e := range slices.Clone(r.queues[branch]) {
			if e.sha != "" && e.base == tip {
				tip = e.sha
				continue
			}
			clean, err := s.buildGroup(r, e, tip)
			if err != nil {
				return err
			}
			if !clean {
				if err := s.dequeue(r, e, "MERGE_CONFLICT"); err != nil {
					return err
				}
				continue
			}
			tip = e.sha
		}
		if len(r.queues[branch]) == 0 {
			return nil
		}
		first := r.queues[branch][0]
		var err error
		switch r.groupState(branch, first) {
		case "pending":
			return nil
		case "failing": // those behind it are built anew
			err = s.dequeue(r, first, "CI_FAILURE")
		default:
			err = s.mergeGroup(r, branch, first)
		}
		if err != nil {
			return err
		}
	}
}

// groupState is "" when every required check has passed on a group, else pending or
// failing.
func (r *repo) groupState(branch string, e *entry) string {
	p, _ := r.protection(branch)
	state := ""
	for _, need := range p.RequiredChecks {
		switch r.checkState(e.sha, need) {
		case "":
		case "failing":
			return "failing"
		default:
			state = "pending"
		}
	}
	return state
}

// buildGroup squashes a pull request on top of what stands before it.
func (s *Server) buildGroup(r *repo, e *entry, tip string) (clean bool, err error) {
	if e.ref != "" {
		if err := s.destroyGroup(r, e, "invalidated"); err != nil {
			return false, err
		}
	}
	tree, clean, err := r.git.mergeTree(tip, e.issue.pull.headSHA)
	if err != nil || !clean {
		return clean, err
	}
	spec := commitSpec{
		tree: tree, parents: []string{tip}, message: fmt.Sprintf("%s (#%d)", e.issue.title, e.issue.number),
		author: s.identityOf(e.issue.author), committer: s.webFlow(),
	}
	sha, err := r.git.commit(spec)
	// The same group within a second would be the same commit, with the checks that it
	// failed on.
	for err == nil && r.verified[sha] {
		spec.committer.when = spec.committer.when.Add(time.Second)
		sha, err = r.git.commit(spec)
	}
	if err != nil {
		return false, err
	}
	r.verified[sha] = true
	e.base, e.sha = tip, sha
	e.ref = fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", e.issue.pull.baseRef, e.issue.number, tip)
	if err := r.git.updateRef(e.ref, sha, zeroSHA); err != nil {
		return false, err
	}
	if err := s.receive(r, e.who, []refUpdate{{e.ref, zeroSHA, sha}}); err != nil {
		return false, err
	}
	return true, s.emitGroup(r, e, "checks_requested", "")
}

func (s *Server) emitGroup(r *repo, e *entry, action, reason string) error {
	commit, err := s.commitOf(r, e.sha)
	if err != nil {
		return err
	}
	person := func(name, email string) object { return object{"name": name, "email": email} }
	payload := object{"action": action, "sender": s.user(e.who.account()), "merge_group": object{
		"head_sha": e.sha, "head_ref": e.ref, "base_sha": e.base, "base_ref": "refs/heads/" + e.issue.pull.baseRef,
		"head_commit": object{
			"id": e.sha, "tree_id": commit.TreeHash.String(), "message": commit.Message, "timestamp": stamp(commit.Committer.When),
			"author": person(commit.Author.Name, commit.Author.Email), "committer": person(commit.Committer.Name, commit.Committer.Email),
		},
	}}
	if reason != "" {
		payload["reason"] = reason
	}
	s.emit("merge_group", payload, r, nil)
	return nil
}

func (s *Server) destroyGroup(r *repo, e *entry, reason string) error {
	if err := s.emitGroup(r, e, "destroyed", reason); err != nil {
		return err
	}
	ref, sha := e.ref, e.sha
	e.ref, e.sha, e.base = "", "", ""
	if err := r.git.updateRef(ref, zeroSHA, sha); err != nil {
		return err
	}
	return s.receive(r, e.who, []refUpdate{{ref, sha, zeroSHA}})
}

// dequeue takes a pull request out of its queue.
func (s *Server) dequeue(r *repo, e *entry, reason string) error {
	branch := e.issue.pull.baseRef
	r.queues[branch] = slices.DeleteFunc(r.queues[branch], func(o *entry) bool { return o == e })
	if _, err := s.emitPull(r, e.issue, e.who, "dequeued", object{"reason": reason}); err != nil {
		return err
	}
	if e.ref == "" {
		return nil
	}
	destroyed := "dequeued"
	if reason == "MERGE" {
		destroyed = "merged"
	}
	return s.destroyGroup(r, e, destroyed)
}

// unqueue takes a pull request out of its queue that was closed, or whose head
// moved, and has those behind it built anew.
func (s *Server) unqueue(r *repo, i *issue, reason string) error {
	for _, e := range r.queues[i.pull.baseRef] {
		if e.issue == i {
			if err := s.dequeue(r, e, reason); err != nil {
				return err
			}
			return s.advance(r, i.pull.baseRef)
		}
	}
	return nil
}

func (s *Server) mergeGroup(r *repo, branch string, e *entry) error {
	ref, old, sha := "refs/heads/"+branch, e.base, e.sha
	e.issue.pull.baseSHA = old
	if err := r.git.updateRef(ref, sha, old); err != nil {
		return err
	}
	if err := s.dequeue(r, e, "MERGE"); err != nil {
		return err
	}
	if err := s.finishMerge(r, e.issue, e.who, sha); err != nil {
		return err
	}
	return s.receive(r, e.who, []refUpdate{{ref, old, sha}})
}

// checked advances the queue that a commit's group stands in.
func (s *Server) checked(r *repo, sha string) error {
	for branch, entries := range r.queues {
		if slices.ContainsFunc(entries, func(e *entry) bool { return e.sha == sha }) {
			return s.advance(r, branch)
		}
	}
	return nil
}

// errQueue is GitHub's answer to a direct merge into a branch that has a queue.
var errQueue = fail(http.StatusMethodNotAllowed, "Repository rule violations found\n\nChanges must be made through the merge queue\n\n")

// queueRule is a merge queue as a ruleset's rule.
func queueRule() object {
	return object{"type": "merge_queue", "parameters": object{
		"check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5, "max_entries_to_merge": 1,
		"merge_method": "SQUASH", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 0,
	}}
}
