package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster"
)

// TestWhatTheClusterWouldSay tells of pull requests that a cluster would not take, or
// of which nobody knows: they are not merged, and say why.
func TestWhatTheClusterWouldSay(t *testing.T) {
	s := newScene(t)
	gate := s.gateBefore("dev", "staging")
	// Nobody tells when a cluster has changed its mind: two of them wait for a while.
	var allowed, back func(s *scene)
	s.story("a policy of the cluster is against a version", func(s *scene) { allowed = s.recalledVersion() })
	s.story("a field cannot be changed in place", renamedSelector)
	s.story("a field that may differ has another value there", scaledPastGit)
	s.story("the cluster cannot be reached", func(s *scene) { back = s.awayBeforeTheMerge(gate) })
	if s.Failed() {
		return
	}
	s.story("the policy was changed, and the cluster is asked again", allowed)
	s.story("the cluster is back, and is asked again", back)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// recalls is a policy of dev's cluster against an image's tag.
func recalls(tag string) string {
	return fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: recalled}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: dev}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  validations:
    - {expression: "!object.spec.template.spec.containers.exists(c, c.image.contains(':%s'))", message: "this version was recalled, says @security"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: recalled}
spec: {policyName: recalled, validationActions: [Deny]}
`, tag)
}

func (s *scene) recalledVersion() func(s *scene) {
	s.admin(recalls("3.4.0"))
	s.until("the policy is in force", func() error {
		objects, err := cluster.Decode([]byte(strings.NewReplacer("NAME", "probe", "TAG", "3.4.0").Replace(probe)))
		s.must(err)
		trial, err := s.w.Clusters["dev"].DryRun(s.ctx, cluster.Run{Target: cluster.Target{Key: "probe"}, Objects: objects}, nil)
		if err == nil && trial.Count(cluster.Refused) == 0 {
			err = fmt.Errorf("it is not: %+v", trial)
		}
		return err
	})
	digest := s.release("shop", "3.4.0")
	pull := s.opened("dev", "shop", "3.4.0").Number
	s.checkSays(pull, "Blocked by dry run", "Cluster dev refuses Deployment dev/shop", "ValidatingAdmissionPolicy 'recalled'", "an administrator of cluster dev")
	s.until("the description shows it", func() error {
		return s.bodyHas(pull, "### Dry run", "| `dev` | 0 | 0 | 1 | 1 | 0 | 0 |", "❌ `Deployment dev/shop` in `dev`, refused:")
	})
	if body := s.body(pull); strings.Contains(body, "@security") {
		s.Errorf("the cluster mentions people:\n%s", body)
	}
	s.says("alice", pull, "/explain", "rocket", "Cluster dev refuses Deployment dev/shop", "an administrator of cluster dev")
	s.idle()
	s.must(s.w.checkSays(pull, "Blocked by dry run"))

	s.admin(recalls("0.0.0"))
	return func(s *scene) { s.mergedInTime("shop", "3.4.0", digest) }
}

// mergedInTime waits until dev's cluster is asked again, and all that follows.
func (s *scene) mergedInTime(app, tag, digest string) {
	s.Helper()
	s.until("it is merged", func() error {
		_, err := s.w.isMerged("dev", app, tag)
		return err
	})
	s.done("dev", app, tag, digest)
}

const probe = `apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: dev}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: NAME, image: "example.com/NAME:TAG"}]}
`

// admin has an administrator apply objects to the cluster of dev.
func (s *scene) admin(yaml string) {
	s.Helper()
	objects, err := cluster.Decode([]byte(yaml))
	s.must(err)
	_, err = s.w.Clusters["dev"].Apply(s.ctx, cluster.Run{Target: cluster.Target{Key: "administrator"}, Objects: objects, Ledger: cluster.Unrecorded{}})
	s.must(err)
}

func renamedSelector(s *scene) {
	mend := s.edit("Rename a label", map[string]func(string) string{"apps/catalog/base/deployment.yaml": func(text string) string {
		return strings.ReplaceAll(text, "app: catalog", "app: catalogue")
	}})
	digest := s.release("catalog", "2.3.1")
	pull := s.opened("dev", "catalog", "2.3.1").Number
	s.checkSays(pull, "Blocked by dry run", "Cluster dev refuses Deployment dev/catalog", "spec.selector: field is immutable", "change it back in Git; or annotate the object with tagboat.dev/recreate")
	if body := s.body(pull); strings.Contains(body, "MatchLabels") {
		s.Errorf("the refused value is quoted:\n%s", body)
	}
	mend()
	s.done("dev", "catalog", "2.3.1", digest) // without waiting for the next look: other objects are another question
	s.done("staging", "catalog", "2.3.1", digest)
}

// scaledPastGit has somebody scale what tagboat.yaml lets differ, where all else is taken
// back. A new version is merged and comes all the same, with as many pods.
func scaledPastGit(s *scene) {
	defer s.edit("Let people scale in staging", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return text + "ignore: [{kind: Deployment, env: staging, fields: [spec.replicas]}]\n"
	}})()
	s.must(s.w.scale(s.ctx, "staging", "catalog", 3))
	digest := s.release("catalog", "2.4.0")
	s.done("dev", "catalog", "2.4.0", digest)
	s.done("staging", "catalog", "2.4.0", digest)
	s.until("there are as many pods as somebody wanted", func() error { return s.w.scaled(s.ctx, "staging", "catalog", 3) })
}

// awayBeforeTheMerge shuts the gate before the cluster of dev while a version is
// proposed to it, and starts Tagboat anew in the middle of it.
func (s *scene) awayBeforeTheMerge(gate *gate) func(s *scene) {
	gate.shut()
	defer gate.open()
	digest := s.release("payments", "1.9.0")
	pull := s.opened("dev", "payments", "1.9.0").Number
	s.checkSays(pull, "Waiting for dry run", "Cluster dev cannot be reached", "again by itself")
	s.until("the description says so", func() error {
		return s.bodyHas(pull, "| `dev` | ? | ? | ? | ? | ? | ? |", "⏳ `dev`: Cluster dev cannot be reached")
	})
	s.w.Tagboat.Kill()
	s.must(s.w.Tagboat.Start(s.ctx))
	s.until("every promotion was looked at", func() error { return s.w.none(s.ctx, `SELECT count(*) FROM promotion WHERE got < want`) })
	if p, err := s.w.isMerged("dev", "payments", "1.9.0"); err == nil {
		s.Errorf("#%d is merged, and nobody knows whether dev takes it", p.Number)
	}
	return func(s *scene) {
		s.mergedInTime("payments", "1.9.0", digest)
		for _, verdict := range []string{"wait", "pass"} {
			n, err := s.w.count(s.ctx, `SELECT count(*) FROM evidence e JOIN promotion p ON p.id = e.promotion_id
				WHERE p.app = 'payments' AND p.env = 'dev' AND e.gate = 'dry-run' AND e.verdict = $1`, verdict)
			if s.must(err); n == 0 {
				s.Errorf("the evidence does not tell that the gate said %s", verdict)
			}
		}
	}
}
