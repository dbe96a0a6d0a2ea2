package health

import (
	"fmt"
	"strings"
)

// Known are the rules that every Tagboat has: for kinds that are widely used and that
// the conventions (observedGeneration, Ready, Stalled) say too little of, or nothing
// before their controller has looked at them for the first time. A rule of tagboat.yaml
// for the same kind is asked instead.
//
// What the conditions mean is said by cert-manager
// (https://cert-manager.io/docs/usage/certificate/), External Secrets, Sealed Secrets,
// the Gateway API (https://gateway-api.sigs.k8s.io/guides/implementers/), Knative
// (https://github.com/knative/specs/blob/main/specs/serving/knative-api-specification-1.0.md#error-signalling),
// Argo (https://argo-rollouts.readthedocs.io/en/stable/features/health/) and the
// Prometheus operator.
func Known() []Rule {
	ready, available := are("True", "Ready"), are("True", "Available")
	rules := []Rule{
		// A certificate that could not be renewed is still one; a first one that could
		// not be issued is tried again after an hour.
		{"cert-manager.io", "Certificate", ready, "!(" + ready + ") && status.conditions.exists(c, c.type == 'Issuing' && c.status == 'False' && c.reason == 'Failed')", "", ""},
		{"bitnami.com", "SealedSecret", are("True", "Synced"), are("False", "Synced"), "", ""},
		{"gateway.networking.k8s.io", "GatewayClass", are("True", "Accepted"), "", "", ""},
		{"gateway.networking.k8s.io", "Gateway", are("True", "Accepted", "Programmed"), "", "", ""},
		{"apiregistration.k8s.io", "APIService", available, "", "", ""},
		{"monitoring.coreos.com", "Prometheus", available, "", "", ""},
		{"monitoring.coreos.com", "Alertmanager", available, "", "", ""},
		{"argoproj.io", "Rollout", "status.phase == 'Healthy'", "status.phase == 'Degraded'", "", ""},
		// Its health alone may still be that of what it had before.
		{"argoproj.io", "Application", "status.health.status == 'Healthy' && status.sync.status == 'Synced'", "status.health.status == 'Degraded'", "",
			"'Argo CD says ' + status.health.status + ' and ' + status.sync.status"},
	}
	for _, kind := range []string{"Issuer", "ClusterIssuer"} {
		rules = append(rules, Rule{Group: "cert-manager.io", Kind: kind, Current: ready})
	}
	for _, kind := range []string{"ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore", "PushSecret"} {
		rules = append(rules, Rule{Group: "external-secrets.io", Kind: kind, Current: ready})
	}
	for _, kind := range []string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"} {
		// Each gateway that it names has its say.
		rules = append(rules, Rule{Group: "gateway.networking.k8s.io", Kind: kind,
			Current: "size(status.parents) > 0 && status.parents.all(p, ['Accepted', 'ResolvedRefs'].all(t, p.conditions.exists(c, c.type == t && c.status == 'True' && (!has(c.observedGeneration) || c.observedGeneration == metadata.generation))))"})
	}
	for _, kind := range []string{"Service", "Configuration", "Revision", "Route"} {
		// Unknown is what is on its way there, False what has ended.
		rules = append(rules, Rule{Group: "serving.knative.dev", Kind: kind, Current: ready, Failed: are("False", "Ready")})
	}
	return rules
}

// are asks whether conditions all have a status, of the object as it is now.
func are(status string, conditions ...string) string {
	all := make([]string, 0, len(conditions))
	for _, c := range conditions {
		all = append(all, fmt.Sprintf("status.conditions.exists(c, c.type == '%s' && c.status == '%s' && (!has(c.observedGeneration) || c.observedGeneration == metadata.generation))", c, status))
	}
	return strings.Join(all, " && ")
}
