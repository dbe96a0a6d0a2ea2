package admission

import (
	"slices"

	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
)

type selector = *metav1.LabelSelector

// selecting is a selector that is there or not; none selects everything.
func selecting(s selector) (labels.Selector, error) {
	if s == nil {
		return labels.Everything(), nil
	}
	return metav1.LabelSelectorAsSelector(s)
}

// answer is whether something matches. Nobody but the cluster knows, where it hangs on
// labels of a namespace that is not rendered.
type answer struct {
	yes       bool
	uncertain string // why
}

// matches asks what a policy, or a binding, is about, as an API server does.
func (r *request) matches(m *v1.MatchResources) answer {
	if m == nil {
		return answer{yes: true}
	}
	namespace := r.inNamespace(m.NamespaceSelector)
	if !namespace.yes || !r.selected(m.ObjectSelector) {
		return answer{}
	}
	if excluded, _ := r.rules(m.ExcludeResourceRules, m.MatchPolicy); excluded {
		return answer{}
	}
	if len(m.ResourceRules) == 0 {
		return namespace
	}
	matched, other := r.rules(m.ResourceRules, m.MatchPolicy)
	if !matched {
		return answer{}
	}
	if other != "" {
		namespace.uncertain = "it is written for " + other + ", and the object is " + r.attributes.GetResource().GroupVersion().String() + ", which only a cluster can convert"
	}
	return namespace
}

// rules reports whether one of the rules is about the object; and, where a rule means
// another version of the same resource, which.
func (r *request) rules(all []v1.NamedRuleWithOperations, policy *v1.MatchPolicyType) (matched bool, other string) {
	for _, rule := range all {
		if (&rules.Matcher{Rule: rule.RuleWithOperations, Attr: r.attributes}).Matches() && named(rule, r.attributes) {
			return true, ""
		}
	}
	if policy != nil && *policy == v1.Exact { // the default is Equivalent
		return false, ""
	}
	for _, rule := range all {
		for _, version := range rule.APIVersions {
			resource := r.attributes.GetResource()
			resource.Version = version
			if (&rules.Matcher{Rule: rule.RuleWithOperations, Attr: &elsewhere{r.attributes, resource}}).Matches() && named(rule, r.attributes) {
				return true, resource.GroupVersion().String()
			}
		}
	}
	return false, ""
}

func named(rule v1.NamedRuleWithOperations, a admission.Attributes) bool {
	return len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.GetName())
}

// elsewhere is a request for another version of the resource.
type elsewhere struct {
	admission.Attributes
	resource schema.GroupVersionResource
}

// GetResource is the resource in the other version.
func (e *elsewhere) GetResource() schema.GroupVersionResource { return e.resource }

// selected asks the labels of the object, before or after.
func (r *request) selected(s selector) bool {
	selector, err := selecting(s)
	if err != nil { // it was checked
		return true
	}
	for _, o := range []*unstructured.Unstructured{r.Object, r.Old} {
		if o != nil && selector.Matches(labels.Set(o.GetLabels())) {
			return true
		}
	}
	return false
}

// metadataName is the label that every namespace has.
const metadataName = "kubernetes.io/metadata.name"

// inNamespace asks the labels of the object's namespace. What is in none is never left
// out by them, and a Namespace is asked itself.
func (r *request) inNamespace(s selector) answer {
	selector, err := selecting(s)
	if err != nil || selector.Empty() {
		return answer{yes: true}
	}
	name := r.attributes.GetNamespace()
	var set labels.Set
	rendered := true
	switch {
	case r.attributes.GetResource() == namespaces:
		set = labels.Merge(r.either().GetLabels(), labels.Set{metadataName: r.either().GetName()})
	case name == "":
		return answer{yes: true}
	default:
		var o *unstructured.Unstructured
		if o, rendered = r.world.namespaces[name]; rendered {
			set = o.GetLabels()
		}
		set = labels.Merge(set, labels.Set{metadataName: name})
	}
	if rendered {
		return answer{yes: selector.Matches(set)}
	}
	requirements, _ := selector.Requirements()
	open := ""
	for _, q := range requirements {
		switch {
		case q.Key() != metadataName:
			open = "only a cluster knows the label " + q.Key() + " of the namespace " + name + "; render its Namespace to be certain"
		case !q.Matches(set):
			return answer{}
		}
	}
	return answer{true, open}
}

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
