package githubsim

import (
	"slices"
	"strings"
)

// receive is where every change of a branch or tag ends up, whether it came
// by git push, the Git data or contents API, or a merge: it tells the world
// and moves the pull requests along. The refs have moved already.
func (s *Server) receive(r *repo, who actor, updates []refUpdate) error {
	r.pushed = s.now()
	for _, u := range updates {
		branch, isBranch := strings.CutPrefix(u.ref, "refs/heads/")
		if !isBranch && !strings.HasPrefix(u.ref, "refs/tags/") {
			continue
		}
		if err := s.announce(r, who, u); err != nil {
			return err
		}
		if !isBranch {
			continue
		}
		if err := s.moveHeads(r, who, branch, u); err != nil {
			return err
		}
		if err := s.noticeMerged(r, who, branch, u); err != nil {
			return err
		}
		if u.new != zeroSHA {
			s.requestSuites(r, who, branch, u)
		}
	}
	return nil
}

// announce emits push, and create or delete.
func (s *Server) announce(r *repo, who actor, u refUpdate) error {
	kind, name := "branch", strings.TrimPrefix(u.ref, "refs/heads/")
	if tag, ok := strings.CutPrefix(u.ref, "refs/tags/"); ok {
		kind, name = "tag", tag
	}
	commit := u
	if tip, ok := r.git.peel(u.new); ok { // an annotated tag is described by its commit
		commit.new = tip
	}
	sender := who.account()
	payload := object{
		"ref": u.ref, "before": u.old, "after": u.new, "created": u.old == zeroSHA, "deleted": u.new == zeroSHA,
		"forced": false, "base_ref": nil, "compare": s.html(r, "compare/%.12s...%.12s", u.old, u.new),
		"commits": []any{}, "head_commit": nil, "sender": s.user(sender),
		"pusher": object{"name": sender.login, "email": s.identityOf(sender).email},
	}
	if u.new != zeroSHA {
		if err := s.describePush(r, commit, payload); err != nil {
			return err
		}
	}
	born := object{
		"ref": name, "ref_type": kind, "master_branch": r.defaultBranch, "description": nil,
		"pusher_type": "user", "sender": s.user(sender),
	}
	if u.old == zeroSHA {
		s.emit("create", born, r, nil)
	}
	s.emit("push", payload, r, nil)
	if u.new == zeroSHA {
		delete(born, "master_branch")
		delete(born, "description")
		s.emit("delete", born, r, nil)
	}
	return nil
}

// maxPushCommits is how many commits a push event lists at most.
const maxPushCommits = 20

func (s *Server) describePush(r *repo, u refUpdate, payload object) error {
	not := u.old
	if not == zeroSHA {
		not = r.git.refs["refs/heads/"+r.defaultBranch]
	} else {
		forward, err := r.git.isAncestor(u.old, u.new)
		if err != nil {
			return err
		}
		payload["forced"] = !forward
	}
	shas, err := r.git.newCommits(u.new, not)
	if err != nil {
		return err
	}
	commits := []any{}
	for _, sha := range shas[max(0, len(shas)-maxPushCommits):] {
		o, err := s.pushedCommit(r, sha)
		if err != nil {
			return err
		}
		commits = append(commits, o)
	}
	payload["commits"] = commits
	payload["head_commit"], err = s.pushedCommit(r, u.new)
	return err
}

// moveHeads follows a branch with the open pull requests that come from it.
func (s *Server) moveHeads(r *repo, who actor, branch string, u refUpdate) error {
	for _, i := range r.openPulls(func(i *issue) bool { return i.pull.headRef == branch }) {
		if u.new == zeroSHA {
			if err := s.closePull(r, i, who); err != nil {
				return err
			}
			continue
		}
		if i.pull.headSHA == u.new {
			continue
		}
		if err := s.moveHead(r, i, who, u.new); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) moveHead(r *repo, i *issue, who actor, sha string) error {
	p := i.pull
	before := p.headSHA
	update, err := s.isUpdateMerge(r, p, before, sha)
	if err != nil {
		return err
	}
	if forward, err := r.git.isAncestor(before, sha); err != nil {
		return err
	} else if !forward {
		p.forced = append(p.forced, forcePush{before: before, at: s.now()})
	}
	p.headSHA = sha
	p.baseSHA = r.git.refs["refs/heads/"+p.baseRef]
	p.unknownFor = s.opt.MergeableUnknown
	i.updated = s.now()
	if err := r.git.updateRef(pullRef(i), sha, before); err != nil {
		return err
	}
	o, err := s.pullObject(r, i, false)
	if err != nil {
		return err
	}
	s.emit("pull_request", object{
		"action": "synchronize", "number": i.number, "before": before, "after": sha,
		"pull_request": o, "sender": s.user(who.account()),
	}, r, nil)
	if err := s.unqueue(r, i, "MANUAL"); err != nil {
		return err
	}
	if update {
		// GitHub moves reviews along with an update-branch merge: commit_id
		// then names a head that the reviewer never saw.
		for _, rv := range p.reviews {
			if rv.commit == before {
				rv.commit = sha
			}
		}
		return nil
	}
	if prot, ok := r.protection(p.baseRef); ok && prot.DismissStale {
		s.dismissApprovals(r, i, who)
	}
	return nil
}

// isUpdateMerge reports whether sha merges the base branch into the old head.
func (s *Server) isUpdateMerge(r *repo, p *pull, before, sha string) (bool, error) {
	c, err := s.commitOf(r, sha)
	if err != nil {
		return false, err
	}
	if len(c.ParentHashes) != 2 || c.ParentHashes[0].String() != before {
		return false, nil
	}
	return r.git.isAncestor(c.ParentHashes[1].String(), r.git.refs["refs/heads/"+p.baseRef])
}

// noticeMerged marks pull requests merged whose head a push brought into
// their base branch.
func (s *Server) noticeMerged(r *repo, who actor, branch string, u refUpdate) error {
	waiting := r.openPulls(func(i *issue) bool { return i.pull.baseRef == branch })
	if len(waiting) == 0 || u.new == zeroSHA || u.old == zeroSHA {
		return nil
	}
	shas, err := r.git.newCommits(u.new, u.old)
	if err != nil {
		return err
	}
	for _, i := range waiting {
		i.pull.unknownFor = s.opt.MergeableUnknown
		if slices.Contains(shas, i.pull.headSHA) {
			if err := s.finishMerge(r, i, who, i.pull.headSHA); err != nil {
				return err
			}
		}
	}
	return nil
}

// move updates one ref through the protections and receives it.
func (s *Server) move(c *call, u refUpdate) error {
	if branch, ok := strings.CutPrefix(u.ref, "refs/heads/"); ok {
		if err := s.guardPush(c, branch, u); err != nil {
			return err
		}
	}
	if err := c.repo.git.updateRef(u.ref, u.new, u.old); err != nil {
		return err
	}
	return s.receive(c.repo, c.actor, []refUpdate{u})
}
