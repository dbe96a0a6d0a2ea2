package policy

import (
	"fmt"
	"strings"
)

// Rule is one rule of the built-in pack.
type Rule struct {
	Name    string
	Doc     string // one line; in Markdown
	Default Mode   // where nobody says anything
	check   func(*judging)
}

// Pack lists the built-in rules. Documentation and help are made from it.
var Pack = []Rule{
	{"mutable-tag", "an image without tag or digest, or with a tag that moves: `latest` and its like (`main`, `stable`, `edge`, `nightly`, `dev`, …, also `latest-alpine`), or a major version alone (`1`, `v2`, `1-alpine`). `1.2` passes, as does whatever is pinned by a digest", Warn, mutableTag},
	{"digest-required", "an image without a digest: its tag can be pushed again", Off, digestRequired},
	{"resource-limits", "a container, init container or sidecar without requests for cpu and memory, or without a memory limit. A limit counts as a request. A cpu limit is not asked for: it slows down where a request only shares", Warn, resourceLimits},
	{"plaintext-secret", "a Secret with values in Git (encrypted by SOPS passes), and values elsewhere that look like one: environment variables, ConfigMaps, arguments", Warn, plaintextSecret},
	{"probes", "a container of a Deployment, StatefulSet, DaemonSet or the like without readiness or liveness probe", Warn, probes},
	{"privileged", "what breaks out of a container, by the baseline of the Pod Security Standards: privileged, host namespaces, ports and paths, added capabilities, unmasked /proc, unconfined profiles; and escalation or user 0 where they are asked for", Warn, privileged},
	{"namespace", "an object that says no namespace, is in `default` or a namespace of Kubernetes' own, or is in another one than the rest of its overlay", Warn, namespaces},
	{"disruption-budget-removed", "a workload that a PodDisruptionBudget covered before the change and none does after it", Warn, disruptionBudgetRemoved},
	{"destructive-delete", "a PersistentVolumeClaim, PersistentVolume, Namespace or CustomResourceDefinition that the change takes away, and all data with it", Warn, destructiveDelete},
}

// Builtin is the rule of that name.
func Builtin(name string) (Rule, bool) {
	for _, r := range Pack {
		if r.Name == name {
			return r, true
		}
	}
	return Rule{}, false
}

// Table is the pack as a table of the documentation.
func Table() string {
	var b strings.Builder
	b.WriteString("| Rule | Without configuration | What it finds |\n|---|---|---|\n")
	for _, r := range Pack {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, r.Default, r.Doc)
	}
	return b.String()
}

// Help is the pack as a list for a terminal.
func Help() string {
	var b strings.Builder
	for _, r := range Pack {
		doc, _, _ := strings.Cut(strings.ReplaceAll(r.Doc, "`", ""), ". ")
		fmt.Fprintf(&b, "  %-26s %s\n", r.Name, doc)
	}
	return b.String()
}

// judging is one overlay before the rules, and what they found.
type judging struct {
	Input
	rule  string
	found []Violation
}

// report notes a violation of the rule that is being asked. A message says what is
// wrong, why it matters and what to write instead.
func (j *judging) report(o Object, p Path, format string, args ...any) {
	j.found = append(j.found, Violation{Rule: j.rule, Object: identify(o), Path: p, Message: fmt.Sprintf(format, args...), value: p.of(o.Object)})
}

// about is report for a container.
func (j *judging) about(c container, p Path, format string, args ...any) {
	j.report(c.object, p, format, args...)
	j.found[len(j.found)-1].Container = c.name
}
