package policy

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// keeps are the kinds that take data along when they go.
var keeps = map[[2]string]string{
	{"", "PersistentVolumeClaim"}:                        "its volume goes with it, unless the StorageClass retains it",
	{"", "PersistentVolume"}:                             "what refers to it loses its volume",
	{"", "Namespace"}:                                    "everything in it goes with it",
	{"apiextensions.k8s.io", "CustomResourceDefinition"}: "every object of that kind goes with it, in all namespaces",
}

func destructiveDelete(j *judging) {
	still := map[key]bool{}
	for _, o := range j.Head {
		still[identify(o).key()] = true
	}
	for _, o := range j.Base {
		id := identify(o)
		why := keeps[[2]string{groupOf(id.APIVersion), id.Kind}]
		if why != "" && !still[id.key()] && !spared(o) {
			j.report(o, nil, "it is not rendered any more, and who prunes deletes it: %s. Put it back; or, if that is meant, take it away in a step of its own with a waiver", why)
		}
	}
}

// spared reports whether an object says that it is to stay when it is taken out of
// Git, in Tagboat's words or those of Helm, Flux and Argo CD.
func spared(o Object) bool {
	return text(o.Object, "metadata", "annotations", "tagboat.dev/prune") == "keep" ||
		text(o.Object, "metadata", "annotations", "helm.sh/resource-policy") == "keep" ||
		text(o.Object, "metadata", "annotations", "kustomize.toolkit.fluxcd.io/prune") == "disabled" ||
		strings.Contains(text(o.Object, "metadata", "annotations", "argocd.argoproj.io/sync-options"), "Prune=false")
}

// disruptionBudgetRemoved asks what is covered, not which budgets there are: one
// that has another name is no less, and one whose selector matches nothing any more
// is gone.
func disruptionBudgetRemoved(j *judging) {
	before, after := budgets(j.Base), budgets(j.Head)
	there := map[key]Object{}
	for _, o := range j.Base {
		there[identify(o).key()] = o
	}
	for _, o := range j.Head {
		old, existed := there[identify(o).key()]
		if !existed {
			continue
		}
		was := covers(before, old)
		if was == nil || covers(after, o) != nil {
			continue
		}
		j.report(o, nil, "the PodDisruptionBudget %s covered it, and none does any more: draining nodes may stop all of its pods at once. Keep a budget whose selector matches its pods and that lets some of them stay", text(was.Object, "metadata", "name"))
	}
}

// budget is a PodDisruptionBudget that keeps some pod running.
type budget struct {
	Object
	namespace string
	selector  labels.Selector
}

func budgets(objects []Object) []budget {
	var all []budget
	for _, o := range objects {
		if text(o.Object, "kind") != "PodDisruptionBudget" || groupOf(text(o.Object, "apiVersion")) != "policy" || toothless(o) {
			continue
		}
		var selector metav1.LabelSelector
		if runtime.DefaultUnstructuredConverter.FromUnstructured(mapping(o.Object, "spec", "selector"), &selector) != nil {
			continue
		}
		s, err := metav1.LabelSelectorAsSelector(&selector)
		if err == nil {
			all = append(all, budget{o, text(o.Object, "metadata", "namespace"), s})
		}
	}
	return all
}

// toothless reports whether a budget lets every pod go.
func toothless(o Object) bool {
	least := scalar(at(o.Object, "spec", "minAvailable"))
	return least == "0" || least == "0%" || scalar(at(o.Object, "spec", "maxUnavailable")) == "100%"
}

// covers is a budget that an object's pods are under, or nil.
func covers(budgets []budget, o Object) *budget {
	for _, p := range pods(o) {
		if !p.serves && text(o.Object, "kind") != "Pod" {
			continue
		}
		set := labels.Set{}
		for k, v := range p.labels {
			set[k] = scalar(v)
		}
		for i, b := range budgets {
			if b.namespace == text(o.Object, "metadata", "namespace") && b.selector.Matches(set) {
				return &budgets[i]
			}
		}
	}
	return nil
}
