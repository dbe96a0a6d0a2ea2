package demo

import (
	"fmt"
	"strings"
	"testing"
)

// TestWhatRulesForbid tells of rules over what an overlay renders to: what they
// block, what they only tell, where they point to, and what lets it pass.
func TestWhatRulesForbid(t *testing.T) {
	s := newScene(t)
	s.story("an overlay without limits is blocked until it is mended", droppedLimits)
	s.story("a rule of the team's own, and a waiver with an end", ownRule)
}

const baseOfPayments = "apps/payments/base/deployment.yaml"

func droppedLimits(s *scene) {
	s.edit("Drop the limits", map[string]func(string) string{baseOfPayments: func(text string) string {
		return strings.Replace(text, "            limits: {memory: 64Mi}\n", "", 1)
	}})
	s.release("payments", "1.7.0")
	pull := s.opened("dev", "payments", "1.7.0").Number
	s.checkSays(pull, "Blocked by policy", "resource-limits", baseOfPayments)
	var remark string
	for _, a := range checkOf(s, pull, "tagboat", "tagboat").Annotations {
		if a := fmt.Sprint(a); strings.Contains(a, "resource-limits") {
			remark = a
		}
	}
	for _, part := range []string{"annotation_level:failure", "path:" + baseOfPayments, "start_line:20"} {
		if !strings.Contains(remark, part) {
			s.Errorf("the annotation does not say %s: %s", part, remark)
		}
	}
	s.idle()
	s.must(s.w.checkSays(pull, "Blocked by policy"))
	s.edit("Set limits", map[string]func(string) string{baseOfPayments: func(text string) string {
		return strings.Replace(text, "            requests: {cpu: 50m, memory: 64Mi}\n", "            requests: {cpu: 50m, memory: 64Mi}\n            limits: {memory: 96Mi}\n", 1)
	}})
	s.merged("dev", "payments", "1.7.0")
}

// fewReplicas is a rule as a cluster takes it, too.
const fewReplicas = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few-replicas}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]}
  validations:
    - {expression: object.spec.replicas <= 1, messageExpression: "'at most 1 replica, not ' + string(object.spec.replicas)"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few-replicas}
spec: {policyName: few-replicas, validationActions: [Deny]}
`

func ownRule(s *scene) {
	config, err := s.w.GitHub.File(envRepo, "main", "tagboat.yaml")
	s.must(err)
	before := string(config)
	s.pushMain("Few replicas", map[string]string{"policies/replicas.yaml": fewReplicas, "tagboat.yaml": before + "  dir: policies\n"})
	s.Cleanup(func() { s.pushMain("As many as you like", map[string]string{"tagboat.yaml": before}) })
	s.release("shop", "3.1.0")
	pull := s.opened("dev", "shop", "3.1.0").Number
	s.checkSays(pull, "Blocked by policy", "few-replicas", "at most 1 replica, not 2")
	s.pushMain("Let shop have them for a while", map[string]string{"tagboat.yaml": before +
		"  dir: policies\n  waivers: [{rule: few-replicas, app: shop, owner: alice, reason: it is the season, expires: 2099-12-31}]\n"})
	s.merged("dev", "shop", "3.1.0")
}
