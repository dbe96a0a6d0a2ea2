package policy

import (
	"cmp"
	"slices"
)

// clusterWide are Kubernetes' own kinds that live in no namespace.
var clusterWide = map[string][]string{
	"": {"Namespace", "Node", "PersistentVolume"},
	"admissionregistration.k8s.io": {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
		"ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"},
	"apiextensions.k8s.io":         {"CustomResourceDefinition"},
	"apiregistration.k8s.io":       {"APIService"},
	"certificates.k8s.io":          {"CertificateSigningRequest", "ClusterTrustBundle"},
	"flowcontrol.apiserver.k8s.io": {"FlowSchema", "PriorityLevelConfiguration"},
	"internal.apiserver.k8s.io":    {"StorageVersion"},
	"networking.k8s.io":            {"IngressClass", "IPAddress", "ServiceCIDR"},
	"node.k8s.io":                  {"RuntimeClass"},
	"rbac.authorization.k8s.io":    {"ClusterRole", "ClusterRoleBinding"},
	"resource.k8s.io":              {"DeviceClass", "ResourceSlice"},
	"scheduling.k8s.io":            {"PriorityClass"},
	"storage.k8s.io":               {"StorageClass", "CSIDriver", "CSINode", "VolumeAttachment", "VolumeAttributesClass"},
}

// own are Kubernetes' groups of kinds that live in namespaces; groups of others
// can hold either.
var own = []string{"", "apps", "autoscaling", "batch", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "networking.k8s.io",
	"policy", "rbac.authorization.k8s.io", "resource.k8s.io", "storage.k8s.io"}

// scope is whether an object lives in a namespace.
type scope int

const (
	unknownScope scope = iota
	namespaced
	clusterScoped
)

// scopes tells the scope of objects, by Kubernetes' own kinds and by the
// definitions that are rendered with them.
type scopes map[[2]string]scope

func scopesOf(objects ...[]Object) scopes {
	s := scopes{}
	for _, all := range objects {
		for _, o := range all {
			if text(o.Object, "kind") != "CustomResourceDefinition" {
				continue
			}
			is := namespaced
			if text(o.Object, "spec", "scope") == "Cluster" {
				is = clusterScoped
			}
			s[[2]string{text(o.Object, "spec", "group"), text(o.Object, "spec", "names", "kind")}] = is
		}
	}
	return s
}

func (s scopes) of(o Object) scope {
	group, kind := groupOf(text(o.Object, "apiVersion")), text(o.Object, "kind")
	known := s[[2]string{group, kind}]
	switch {
	case known != unknownScope:
		return known
	case slices.Contains(clusterWide[group], kind):
		return clusterScoped
	case slices.Contains(own, group), text(o.Object, "metadata", "namespace") != "":
		return namespaced
	}
	return unknownScope
}

// reserved are the namespaces that an app has no business in.
var reserved = map[string]string{
	"default":         "it is where everything ends up that says nothing, and nobody can give rights or quotas for it",
	"kube-system":     "it is Kubernetes' own",
	"kube-public":     "it is Kubernetes' own, and everybody can read it",
	"kube-node-lease": "it is Kubernetes' own",
}

func namespaces(j *judging) {
	scopes := scopesOf(j.Head)
	home := cmp.Or(j.Namespace, mostly(j.Head))
	for _, o := range j.Head {
		in := text(o.Object, "metadata", "namespace")
		switch {
		case scopes.of(o) != namespaced:
		case in == "":
			j.report(o, fields("metadata", "namespace"), "it says no namespace: it lands wherever the one who applies it happens to be. Write namespace: in the kustomization, or metadata.namespace")
		case reserved[in] != "":
			j.report(o, fields("metadata", "namespace"), "it is in the namespace %s: %s. Write a namespace of the app's own", in, reserved[in])
		case home != "" && in != home:
			j.report(o, fields("metadata", "namespace"), "it is in the namespace %s, and its overlay in %s: rights, quotas and policies of the one do not go for the other. Write %s, or give it an overlay of its own", in, home, home)
		}
	}
}

// mostly is the namespace that more than half of what is in one is in.
func mostly(objects []Object) string {
	count, all := map[string]int{}, 0
	for _, o := range objects {
		if in := text(o.Object, "metadata", "namespace"); in != "" {
			count[in]++
			all++
		}
	}
	for in, n := range count {
		if 2*n > all {
			return in
		}
	}
	return ""
}
