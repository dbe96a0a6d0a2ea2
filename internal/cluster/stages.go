package cluster

import "k8s.io/apimachinery/pkg/runtime/schema"

// stage is a step of an apply; all of one are written before the next begins.
type stage int

const (
	foundations stage = iota // what other objects cannot exist without; waited for
	settings                 // configuration, permissions, storage: what workloads start with
	workloads                // everything that is not named here, custom resources too
	jobs                     // hooks that belong to the set itself (Argo CD's Sync); waited for
	admission                // what may refuse or change all of the above
)

var stageOfKind = map[schema.GroupKind]stage{
	{Kind: "Namespace"}: foundations,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: foundations,

	{Kind: "ServiceAccount"}:                                         settings,
	{Kind: "Secret"}:                                                 settings,
	{Kind: "ConfigMap"}:                                              settings,
	{Kind: "LimitRange"}:                                             settings,
	{Kind: "ResourceQuota"}:                                          settings,
	{Kind: "PersistentVolume"}:                                       settings,
	{Kind: "PersistentVolumeClaim"}:                                  settings,
	{Kind: "Service"}:                                                settings,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:               settings,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        settings,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:        settings,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: settings,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                  settings,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:              settings,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:              settings,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:               settings,
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:                     settings,

	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                             admission,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:     admission,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}:   admission,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicy"}:          admission,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingAdmissionPolicyBinding"}:   admission,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}:        admission,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicyBinding"}: admission,
}

func stageOf(o Object) stage {
	if s, ok := stageOfKind[o.GroupVersionKind().GroupKind()]; ok {
		return s
	}
	return workloads
}
