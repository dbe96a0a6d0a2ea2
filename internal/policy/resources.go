package policy

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// resourceLimits asks for what the scheduler decides by (requests), and for the
// memory limit that keeps a leak from taking the node along. A pod may say it for
// all of its containers.
func resourceLimits(j *judging) {
	for _, o := range j.Head {
		for _, c := range containers(o) {
			if c.role == ephemeral {
				continue
			}
			var missing []string
			for _, want := range []struct{ kind, of string }{{"requests", "cpu"}, {"requests", "memory"}, {"limits", "memory"}} {
				own, pods := mapping(c.fields, "resources"), mapping(c.spec, "resources")
				if !says(own, want.kind, want.of) && !says(pods, want.kind, want.of) {
					missing = append(missing, want.kind+"."+want.of)
				}
			}
			if len(missing) > 0 {
				j.about(c, c.path.with("resources"), "%s has no %s: without requests it is put where there is no room for it, and without a memory limit it can take a node down. Write resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 128Mi}} with what it needs", c.called(), strings.Join(missing, ", "))
			}
		}
	}
}

// says reports whether resources name an amount. A limit is the request where there
// is none.
func says(resources map[string]any, kind, of string) bool {
	amount := scalar(at(resources, kind, of))
	if amount == "" && kind == "requests" {
		amount = scalar(at(resources, "limits", of))
	}
	q, err := resource.ParseQuantity(amount)
	return err == nil && q.Sign() > 0
}

func probes(j *judging) {
	for _, o := range j.Head {
		for _, c := range containers(o) {
			if !c.serves || c.role != ordinary {
				continue
			}
			if mapping(c.fields, "readinessProbe") == nil {
				j.about(c, c.path.with("readinessProbe"), "%s has no readinessProbe: a rollout counts it as ready, and sends it requests, before it can answer. Write a readinessProbe that asks what its clients will ask", c.called())
			}
			if mapping(c.fields, "livenessProbe") == nil {
				j.about(c, c.path.with("livenessProbe"), "%s has no livenessProbe: when it hangs, nobody restarts it. Write a livenessProbe that fails only where a restart would help", c.called())
			}
		}
	}
}
