package promotion

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/tagboat/tagboat/internal/mutant"
)

// TestEveryGuardIsNeeded takes the guards away that keep a promotion from being
// merged, one at a time: each time the properties find the way to the merge. Who
// changes a guard changes this list; who adds one adds its mutant.
func TestEveryGuardIsNeeded(t *testing.T) {
	var guards []mutant.Guard
	in := func(file, name, old, without string) {
		guards = append(guards, mutant.Guard{Name: name, File: file, Old: old, New: without})
	}

	const decide, sets = "decide.go", "set.go"
	in(decide, "a promotion that has ended is left alone", "case !f.State.Active():", "case false:")
	in("promotion.go", "only some states are active", "return s == Proposed || s == Open", "return true")
	in(decide, "what is merged is not merged again", "case f.Pull != nil && f.Pull.Merged:", "case false:")
	in(decide, "what is closed is not merged", "case f.Pull != nil && f.Pull.Closed:", "case false:")
	in(decide, "there has to be a pull request", "if f.Pull == nil {", "if false {")
	in(decide, "it says whose it is", "if !f.Pull.Labelled {", "if false {")
	in(decide, "there is something to change", "if nothingToDo(f) {\n\t\treturn Withdraw", "if false {\n\t\treturn Withdraw")
	in(decide, "the commit is what the newest base needs", "if needsRegenerate(f) {", "if false {")
	in(decide, "the head contains the newest base", "return f.Pull.Behind || ", "return ")
	in(decide, "a head of somebody else's is never overwritten", "return f.Pull.HeadOurs && ", "return ")
	in(decide, "a commit that was lost is made anew from what can be read", "return f.Pull.HeadOurs && editable(f)", "return f.Pull.HeadOurs")
	in(decide, "a commit is made anew from what can be read", "\tif !editable(f) {\n\t\treturn false\n\t}\n", "")
	in(decide, "the verdict is on this head", "f.Published.CheckSHA != f.Pull.HeadSHA || ", "")
	in(decide, "the verdict is the one that people see", " || f.Published.CheckHash != shown.CheckHash", "")
	in(decide, "the body is the one that people see", "if f.Published.BodyHash != shown.BodyHash {", "if false {")
	in(decide, "where people merge, Tagboat does not", "if auto(f) && allPass(gates) && ", "if allPass(gates) && ")
	in(decide, "every gate passes", "if auto(f) && allPass(gates) && ", "if auto(f) && ")

	const gates = "gates.go"
	in(gates, "no gates are no pass", "return len(gates) > 0 && ", "return ")
	in(gates, "waiting is no pass", "return v != Pass && v != Overridden", "return v == Fail")
	in(gates, "failing is no pass", "return v != Pass && v != Overridden", "return v == Wait")
	in(gates, "configuration that cannot be used lets nothing pass", "Title: \"Configuration\", Verdict: Fail,", "Title: \"Configuration\", Verdict: Pass,")
	in(gates, "configuration that cannot be used is noticed", `if f.RuleErr != "" {`, `if false {`)
	in(gates, "gate digest", "gates := []Gate{digestGate(f)}", "gates := []Gate{}")
	in(gates, "gate signature", "gates = append(gates, signatureGate(f))", "")
	in(gates, "gate head", "gates = append(gates, headGate(f))", "")
	in(gates, "gate rendered", "gates = append(gates, renderedGate(f))", "")
	in(gates, "gate policy", "gates = append(gates, policyGate(f))", "")
	in(gates, "gate policy, though nothing warns", "if f.Policy.Blocking+f.Policy.Warnings > 0 {", "if f.Policy.Warnings > 0 {")
	in(gates, "gate dry run", "gates = append(gates, dryRunGate(f))", "")
	in(gates, "gate queue", "gates = append(gates, queueGate(f, now))", "")
	in(gates, "gate checks", "gates = append(gates, checksGate(f))", "")
	in(gates, "gate checklist", "gates = append(gates, checklistGate(f))", "")
	in(gates, "gate approvals", "gates = append(gates, approvalsGate(f))", "")
	in(gates, "gate upstream", "gates = append(gates, upstreamGate(f, now))", "")
	in(gates, "gate denial", "gates = append(gates, denialGate(f))", "")
	in(gates, "gate stop", "gates = append(gates, stopGate(f))", "")
	in(gates, "gate window", "gates = append(gates, windowGate(f, now))", "")

	in(gates, "digest: the registry did not answer", `case f.Digest.Err != "":`, "case false:")
	in(gates, "digest: the registry was not asked", `case f.Digest.Now == "":`, "case false:")
	in(gates, "digest: the tag is another artifact now", "case f.Digest.Now != f.Artifact.Digest:", "case false:")
	const signatures = "signature.go"
	in(sets, "the signatures were looked for lately", "case signaturesStale(m, now):", "case false:")
	in(signatures, "signature: looked for long ago", " || now.Sub(s.At) > signatureFresh", "")
	in(signatures, "signature: looked for in a time to come", " || s.At.After(now)", "")
	in(signatures, "signature: it is not known whose it has to be", `return d.ID != "" && `, "return ")
	in(signatures, "signature: it is somebody else's", "s.Demand == d.ID && ", "")
	in(signatures, "signature: it is another image's", " && s.Digest == f.Artifact.Digest", "")
	in(signatures, "signature: the key cannot be read", `case d.Err != "":`, "case false:")
	in(signatures, "signature: it is not there", "case s.Answer == SignedBy:\n\t\treturn Pass", "case true:\n\t\treturn Pass")
	in(signatures, "signature: one of several is wrong", "case len(failed) > 0:", "case false:")
	in(signatures, "signature: one of several is missing", "case len(waiting) > 0:", "case false:")
	in(gates, "head: it is not known", `case f.Pull.HeadSHA == "":`, "case false:")
	in(gates, "head: somebody else's commit", "case f.Pull.HeadSHA != f.Pull.OurHeadSHA:", "case false:")
	in(gates, "head: our commit whose answer was lost", "g.Verdict, g.Owner, g.Reason = Wait, \"Tagboat\", \"The commit is being made anew.\"", "g.Verdict, g.Reason = Pass, \"Fine.\"")
	in(gates, "head: the overlay cannot be edited, or would go back", `case planErr(f) != "":`, "case false:")
	in(gates, "head: what the base needs is not known", `case f.Plan.Hash == "":`, "case false:")
	in(gates, "head: another edit than the base needs", "case f.Plan.Hash != f.Pull.EditHash:", "case false:")
	in(gates, "rendered: it cannot be", `case f.Rendered.Err != "":`, "case false:")
	in(gates, "rendered: it was not", "case !f.Rendered.Known:", "case false:")
	in(gates, "policy: a rule is violated", "if f.Policy.Blocking > 0 {", "if false {")
	in(gates, "checks: it is not known which are required", "if !f.ChecksKnown {", "if false {")
	in(gates, "checks: one was not reported", "case !reported:", "case !reported && false:")
	in(gates, "checks: one runs", "\t\tdefault:\n\t\t\tpending = append(pending, name)\n", "\t\tdefault:\n")
	in(gates, "checks: a failure lets nothing pass", "case len(failed) > 0:", "case false:")
	in(gates, "checks: a pending one lets nothing pass", "case len(pending) > 0:", "case false:")
	in(gates, "checks: of several results the worst counts", "[]CheckState{CheckFailed, CheckPending, CheckPassed}", "[]CheckState{CheckPassed, CheckPending, CheckFailed}")
	in(gates, "checks: several Apps have to report", "return found[i], len(found) >= required", "return found[i], true")
	in(gates, "checklist: an open item", "case item.Ticked:", "case true:")
	in(gates, "approvals: somebody is against it", "case f.Approval.Blocked:", "case false:")
	in(gates, "approvals: one is missing", "case f.Approval.Satisfied:", "case true:")
	in(gates, "upstream: one of several", "if verdict != Pass {", "if verdict == Fail {")
	in(gates, "upstream: the environment is not there", `if i < 0 || f.Upstream[i].Digest == "" {`, `if i >= 0 && f.Upstream[i].Digest == "" {`)
	in(gates, "upstream: it is this environment", "return u.Env == need.Env", "return true")
	in(gates, "upstream: it runs something else", "if up.Digest != f.Artifact.Digest {", "if false {")
	in(gates, "upstream: it is ill", "if !up.Healthy {", "if false {")
	in(gates, "upstream: nobody knows since when it is healthy", "if up.HealthySince.IsZero() {", "if false {")
	in(gates, "upstream: not for long enough", "since < need.Healthy {", "since < 0 {")
	const clusters = "dryrun.go"
	in(sets, "the clusters were asked lately", "case triesStale(m, now):", "case false:")
	in(decide, "what is too old is asked for before a merge", "case effect != \"\":\n\t\t\treturn effect, app, \"\"\n\t\tcase f.Queue.Used:", "case effect != \"\" && false:\n\t\t\treturn effect, app, \"\"\n\t\tcase f.Queue.Used:")
	in(clusters, "dry run: an old answer", " || now.Sub(t.At) > trialFresh", "")
	in(clusters, "dry run: an answer that is to come", " || t.At.After(now)", "")
	in(decide, "what the queue has does not enter it again", "allPass(gates) && !waitsInQueue(f, now) {", "allPass(gates) {")
	in(decide, "where there is a queue, nothing is merged past it", "case f.Queue.Used:", "case false:")
	in("queue.go", "queue: GitHub took it out", "case !f.Queue.LeftAt.IsZero() && now.Before(again):", "case false:")
	in("queue.go", "queue: what the group is built on is not merged yet", "case f.Queue.Ahead:", "case false:")
	in("queue.go", "queue: a group is judged by every gate", "\tcase allPass(gates):\n\t\treturn Pass\n\t}\n\treturn Fail", "\t}\n\treturn Pass")
	in(decide, "what is too old is asked for before a group is judged", "effect != \"\" && allPass(gates) {", "false && effect != \"\" {")
	in(gates, "stop: somebody stopped it", `Title: "Stopped", Verdict: Wait`, `Title: "Stopped", Verdict: Pass`)

	// I5: forward is forward, and back only by an explicit rollback.
	const back = "rollback.go"
	in(back, "forward: never to something older", "case f.Back == nil && f.Plan.Back:", "case false:")
	in(back, "forward: an older one is no error of a rollback only", "case f.Back == nil && f.Plan.Back:", "case f.Back != nil && f.Plan.Back:")
	in(back, "back: only from what is taken back", "case f.Back != nil && !f.Plan.Nothing && !sameVersion(now, f.Back.Bad):", "case false:")
	in(back, "denial: it was taken back", `Title: "Denylist", Verdict: Fail`, `Title: "Denylist", Verdict: Pass`)
	in(back, "stop: a freeze stops what goes back, too", "return s.Pair", "return true")
	in(back, "stop: a hold stops what goes forward", "if f.Back == nil || f.Back.Automatic {", "if f.Back != nil && f.Back.Automatic {")
	in(back, "stop: a hold stops what goes back by itself", "if f.Back == nil || f.Back.Automatic {", "if f.Back == nil {")
	in(gates, "upstream: only what goes back need not soak", "len(f.Rule.Needs) > 0 && f.Back == nil {", "len(f.Rule.Needs) > 0 && f.Back != nil {")
	in(gates, "window: only what goes back need not wait for it", "f.Rule.Schedule.Asked() && f.Back == nil {", "f.Rule.Schedule.Asked() && f.Back != nil {")
	in(gates, "window: it is not open", "if s.Open(now) {", "if true {")

	// A set is merged as one.
	in(gates, "set: what keeps a companion", "gates = append(gates, setGate(f, now))", "")
	in(sets, "set: one of several fails", "case len(failed) > 0:", "case false:")
	in(sets, "set: one of several waits", "case len(waiting) > 0:", "case false:")
	in(sets, "set: a companion has ended", "case !c.State.Active():", "case false:")
	in(sets, "set: a companion is not in this commit", "c.Pull.HeadSHA != f.Pull.HeadSHA", "false")
	in(sets, "set: a companion's gate fails", "if own.Verdict == Fail {", "if own.Verdict == Fail {\n\t\t\tcontinue\n\t\t}\n\t\tif false {")
	in(sets, "set: a companion's gate waits", "case len(waits) > 0:", "case false:")
	in(sets, "set: where people merge one, they merge all", "func(m Facts) bool { return !m.Rule.Auto }", "func(m Facts) bool { return m.App == f.App && !m.Rule.Auto }")
	in(sets, "set: one asks, and not each by itself", "func together(f Facts) []Facts { return append([]Facts{f}, f.Companions...) }", "func together(f Facts) []Facts { return []Facts{f} }")
	in(decide, "set: another acts for it", "case f.Led:", "case false:")
	in(decide, "set: one that cannot be opened ends", "if effect == Rest && len(f.Companions) > 0 && ", "if false && ")
	in(decide, "set: what people have to mend in tagboat.yaml is waited for", "len(f.Companions) > 0 && m.RuleErr == \"\" {", "len(f.Companions) > 0 {")
	in(decide, "set: a stale approval counts for whichever asks", "\tfor _, m := range together(f) {\n\t\tif m.RuleErr == \"\" && m.Rule.Approvals", "\tfor _, m := range []Facts{f} {\n\t\tif m.RuleErr == \"\" && m.Rule.Approvals")

	const calendar = "../window/schedule.go"
	in(calendar, "window: days without changes are asked for", "return len(s.Allow)+len(s.Deny) > 0", "return len(s.Allow) > 0")
	in(calendar, "window: hours of change are asked for", "return len(s.Allow)+len(s.Deny) > 0", "return len(s.Deny) > 0")
	in(calendar, "window: a day without changes", "return allowed && !denied", "_ = denied; return allowed")
	in(calendar, "window: outside of the hours of change", "return allowed && !denied", "_ = allowed; return !denied")

	// I7: the histories send their reviews through package approval.
	const who = "../approval/approval.go"
	in(who, "people: who asked for it", "case slices.Contains(snap.Requesters, review.Reviewer) && !rule.allows(AsRequester):", "case false:")
	in(who, "people: a bot", "case person.Bot && !rule.names(person):", "case false:")
	in(who, "people: GitHub could not be asked", "case !person.Known:\n\t\treturn \"GitHub could", "case false:\n\t\treturn \"GitHub could")
	in(who, "people: not in the team", "case !rule.member(person):", "case false:")
	in(who, "people: the yes was for another digest", "case review.Digest != snap.Digest:", "case false:")
	in(who, "people: the yes was for another commit", `case review.HeadSHA != snap.HeadSHA && (review.EditHash == "" || review.EditHash != snap.EditHash):`, "case false:")
	in(who, "people: one is missing", "r.Satisfied = r.Missing == 0 && !r.Blocked", "r.Satisfied = !r.Blocked")
	in(who, "people: somebody said no", "case blocks(r.Rules, snap, review):", "case false:")
	in(who, "people: a review that was dismissed", "if !gone[r.ID] || ", "if true || ")
	in(who, "people: only the last word counts", "compare(old, r) < 0", "compare(old, r) > 0")

	source, err := os.ReadFile(gates)
	if err != nil {
		t.Fatal(err)
	}
	for _, gate := range regexp.MustCompile(`gates = append\(gates, .*\)`).FindAllString(string(source), -1) {
		if !slices.ContainsFunc(guards, func(g mutant.Guard) bool { return g.Old == gate }) {
			t.Errorf("there is no mutant without this gate: %s", gate)
		}
	}
	mutant.Caught(t, guards,
		"^(TestNothingMayBeMissing|TestASet.*|TestAGroupIsJudgedAsAMergeIs|TestLosingAFact.*|TestNothingStandsStillWithoutAReason)$", "^TestNoHistoryLeadsToAMergeThatRestsOnLess$")
}
