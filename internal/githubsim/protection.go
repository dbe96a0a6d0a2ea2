package githubsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Protection is what a branch demands, as classic protection and as ruleset.
type Protection struct {
	RequiredChecks    []RequiredCheck
	RequiredApprovals int
	RequirePull       bool // implied by RequiredApprovals and RequiredChecks
	DismissStale      bool // a push dismisses approvals
	Strict            bool // the head must contain the base
	EnforceAdmins     bool // else people with role admin pass
	MergeQueue        bool // merges go through a queue, which squashes
	// ClassicOnly hides the protection from rules/branches, as on repositories
	// that never met rulesets.
	ClassicOnly bool
	// ExtraRules are further ruleset rules as GitHub spells them, such as
	// {"type":"merge_queue"}; they are shown and not enforced.
	ExtraRules []json.RawMessage
}

// RequiredCheck is a check run or status that must succeed. AppID 0 accepts
// it from anybody; otherwise only this App's check run counts.
type RequiredCheck struct {
	Context string
	AppID   int64
}

func (p Protection) allowsDirectPush() bool {
	return !p.RequirePull && p.RequiredApprovals == 0 && len(p.RequiredChecks) == 0
}

func (r *repo) protection(branch string) (Protection, bool) {
	p, ok := r.protections[branch]
	return p, ok
}

// exempt reports whether the actor passes a protection unhindered.
func (s *Server) exempt(a actor, r *repo, p Protection) bool {
	return !p.EnforceAdmins && a.app == nil && a.user != nil && s.role(a.user, r) == "admin"
}

// guardPush refuses an API ref update that protection forbids.
func (s *Server) guardPush(c *call, branch string, u refUpdate) error {
	p, ok := c.repo.protection(branch)
	if !ok || u.old == zeroSHA || s.exempt(c.actor, c.repo, p) {
		return nil
	}
	refused := func(why string) error {
		return failf(http.StatusUnprocessableEntity, "Protected branch update failed for refs/heads/%s. %s", branch, why)
	}
	if u.new == zeroSHA {
		return refused("Cannot delete this protected branch")
	}
	forward, err := c.repo.git.isAncestor(u.old, u.new)
	switch {
	case err != nil:
		return err
	case !forward:
		return refused("Cannot force-push to this branch")
	case !p.allowsDirectPush():
		return refused("Changes must be made through a pull request.")
	}
	return nil
}

// blockers says, in GitHub's words, why protection does not let a pull
// request be merged yet.
func (s *Server) blockers(r *repo, i *issue, p Protection) []string {
	var why []string
	approvals, changes := s.verdicts(r, i.pull)
	if approvals < p.RequiredApprovals {
		why = append(why, plural(p.RequiredApprovals, "At least %d approving review is required by reviewers with write access.",
			"At least %d approving reviews are required by reviewers with write access."))
	}
	if changes && p.RequiredApprovals > 0 {
		why = append(why, "Changes have been requested by a reviewer with write access.")
	}
	if w := r.missingChecks(i.pull.headSHA, p.RequiredChecks); w != "" {
		why = append(why, w)
	}
	return why
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf(one, n)
	}
	return fmt.Sprintf(many, n)
}

// verdicts counts the people with write access whose latest decisive review
// approves, and whether anyone's asks for changes.
func (s *Server) verdicts(r *repo, p *pull) (approvals int, changes bool) {
	latest := map[*account]string{}
	for _, rv := range p.reviews {
		if rv.state != "COMMENTED" {
			latest[rv.author] = rv.state
		}
	}
	for who, state := range latest {
		if roleRank[s.role(who, r)] < roleRank["write"] {
			continue
		}
		switch state {
		case "APPROVED":
			approvals++
		case "CHANGES_REQUESTED":
			changes = true
		}
	}
	return approvals, changes
}

// missingChecks names the required checks that have not succeeded on sha.
func (r *repo) missingChecks(sha string, required []RequiredCheck) string {
	counts := map[string]int{}
	var single string
	for _, need := range required {
		state := r.checkState(sha, need)
		if state == "" {
			continue
		}
		counts[state]++
		single = fmt.Sprintf("Required status check %q is %s.", need.Context, state)
	}
	total := counts["expected"] + counts["failing"] + counts["pending"]
	if total < 2 {
		return single
	}
	var parts []string
	for _, state := range []string{"failing", "pending", "expected"} {
		if counts[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
		}
	}
	return fmt.Sprintf("%d of %d required status checks have not succeeded: %s.", total, len(required), strings.Join(parts, " and "))
}

// checkState is "" when the required check has passed on sha, else expected,
// pending or failing.
func (r *repo) checkState(sha string, need RequiredCheck) string {
	state := "expected"
	for _, run := range r.latestRuns(sha) {
		if run.name != need.Context || (need.AppID > 0 && run.app.ID != need.AppID) {
			continue
		}
		state = run.verdict()
	}
	if need.AppID > 0 || state != "expected" {
		return state
	}
	for _, st := range r.latestStatuses(sha) {
		if strings.EqualFold(st.context, need.Context) {
			state = st.verdict()
		}
	}
	return state
}

func (run *checkRun) verdict() string {
	switch {
	case run.status != "completed":
		return "pending"
	case run.conclusion == "success" || run.conclusion == "neutral" || run.conclusion == "skipped":
		return ""
	}
	return "failing"
}

func (st *commitStatus) verdict() string {
	switch st.state {
	case "success":
		return ""
	case "pending":
		return "pending"
	}
	return "failing"
}

func (s *Server) getProtection(c *call) (any, error) {
	branch := c.vars["branch"]
	p, err := c.protected(branch)
	if err != nil {
		return nil, err
	}
	self := s.api(c.repo, "branches/%s/protection", branch)
	toggle := func(on bool) object { return object{"enabled": on} }
	body := object{
		"url": self, "enforce_admins": object{"url": self + "/enforce_admins", "enabled": p.EnforceAdmins},
		"allow_force_pushes": toggle(false), "allow_deletions": toggle(false), "block_creations": toggle(false),
		"required_linear_history": toggle(false), "required_conversation_resolution": toggle(false),
		"lock_branch": toggle(false), "allow_fork_syncing": toggle(false),
		"required_signatures": object{"url": self + "/required_signatures", "enabled": false},
	}
	if len(p.RequiredChecks) > 0 {
		body["required_status_checks"] = s.requiredChecks(c.repo, branch, p)
	}
	if !p.allowsDirectPush() {
		body["required_pull_request_reviews"] = object{
			"url": self + "/required_pull_request_reviews", "dismiss_stale_reviews": p.DismissStale,
			"require_code_owner_reviews": false, "require_last_push_approval": false,
			"required_approving_review_count": p.RequiredApprovals,
		}
	}
	return body, nil
}

// protected is the protection of a branch, or GitHub's 404s.
func (c *call) protected(branch string) (Protection, error) {
	if _, ok := c.repo.git.refs["refs/heads/"+branch]; !ok {
		return Protection{}, fail(http.StatusNotFound, "Branch not found")
	}
	p, ok := c.repo.protection(branch)
	if !ok {
		return p, fail(http.StatusNotFound, "Branch not protected")
	}
	return p, nil
}

func (s *Server) getRequiredChecks(c *call) (any, error) {
	p, err := c.protected(c.vars["branch"])
	if err != nil {
		return nil, err
	}
	if len(p.RequiredChecks) == 0 {
		return nil, fail(http.StatusNotFound, "Required status checks not enabled")
	}
	return s.requiredChecks(c.repo, c.vars["branch"], p), nil
}

func (s *Server) requiredChecks(r *repo, branch string, p Protection) object {
	self := s.api(r, "branches/%s/protection/required_status_checks", branch)
	contexts, checks := []string{}, []object{}
	for _, need := range p.RequiredChecks {
		contexts = append(contexts, need.Context)
		checks = append(checks, object{"context": need.Context, "app_id": orNull(need.AppID)})
	}
	return object{"url": self, "strict": p.Strict, "contexts": contexts, "contexts_url": self + "/contexts", "checks": checks}
}

// getRules is GET /repos/{owner}/{repo}/rules/branches/{branch}.
func (s *Server) getRules(c *call) (any, error) {
	p, ok := c.repo.protection(c.vars["branch"])
	rules := list{}
	if !ok || p.ClassicOnly {
		return rules, nil
	}
	source := func(rule object) object {
		rule["ruleset_source_type"] = "Repository"
		rule["ruleset_source"] = c.repo.fullName()
		rule["ruleset_id"] = c.repo.id
		return rule
	}
	rules = append(rules, source(object{"type": "deletion"}), source(object{"type": "non_fast_forward"}))
	if !p.allowsDirectPush() {
		rules = append(rules, source(object{"type": "pull_request", "parameters": object{
			"required_approving_review_count": p.RequiredApprovals, "dismiss_stale_reviews_on_push": p.DismissStale,
			"require_code_owner_review": false, "require_last_push_approval": false,
			"required_review_thread_resolution": false, "allowed_merge_methods": []string{"merge", "squash", "rebase"},
		}}))
	}
	if len(p.RequiredChecks) > 0 {
		checks := []object{}
		for _, need := range p.RequiredChecks {
			check := object{"context": need.Context}
			if need.AppID > 0 {
				check["integration_id"] = need.AppID
			}
			checks = append(checks, check)
		}
		rules = append(rules, source(object{"type": "required_status_checks", "parameters": object{
			"strict_required_status_checks_policy": p.Strict, "do_not_enforce_on_create": false, "required_status_checks": checks,
		}}))
	}
	if p.MergeQueue {
		rules = append(rules, source(queueRule()))
	}
	for _, raw := range p.ExtraRules {
		extra := object{}
		if err := json.Unmarshal(raw, &extra); err != nil {
			return nil, fmt.Errorf("githubsim: an extra rule of %s is no JSON object: %w", c.repo.fullName(), err)
		}
		rules = append(rules, source(extra))
	}
	return rules, nil
}
