package admission

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/types"
	v1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// Change is what becomes of one object: it comes (no Old), goes (no Object), or is
// written anew.
type Change struct {
	Object, Old *unstructured.Unstructured
	Namespaced  bool
	Plural      string // of its resource, where a definition says it; "" is what the kind suggests
}

// Denial is an objection of a policy.
type Denial struct {
	Policy  string
	Message string
	Deny    bool // else it only warns
	File    string
	Line    int // of the expression
}

// world is what is rendered beside an object.
type world struct {
	namespaces map[string]*unstructured.Unstructured
	params     []*unstructured.Unstructured
	budget     int64 // of cost that is left to all evaluations together
}

// budget is what the policies of a directory may cost for one overlay: a hundred times
// what one object may. That is about a minute and a half at worst.
const budget = 100 * celconfig.RuntimeCELCostBudget

// Judge asks the policies about changes. Beside are the objects that are rendered with
// them: namespaces and parameters are looked for there. Denials are by change.
func (s *Set) Judge(changes []Change, beside []*unstructured.Unstructured) [][]Denial {
	w := &world{namespaces: map[string]*unstructured.Unstructured{}, params: slices.Concat(s.params, beside), budget: budget}
	for _, o := range w.params {
		if o.GetKind() == "Namespace" && o.GetAPIVersion() == "v1" {
			w.namespaces[o.GetName()] = o
		}
	}
	out := make([][]Denial, len(changes))
	for i, c := range changes {
		if r := w.request(c); r != nil {
			for _, p := range s.policies {
				out[i] = append(out[i], r.ask(p)...)
			}
		}
	}
	return out
}

// request is a change as an API server sees it.
type request struct {
	Change
	world      *world
	attributes admission.Attributes
	versioned  *admission.VersionedAttributes
}

func (c Change) either() *unstructured.Unstructured {
	if c.Object != nil {
		return c.Object
	}
	return c.Old
}

func (w *world) request(c Change) *request {
	o := c.either()
	kind := o.GroupVersionKind()
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	if c.Plural != "" {
		resource.Resource = c.Plural
	}
	namespace := o.GetNamespace()
	switch {
	case resource == namespaces:
		namespace = o.GetName() // as API servers have it
	case !c.Namespaced:
		namespace = ""
	case namespace == "":
		namespace = metav1.NamespaceDefault
	}
	operation, object, old := admission.Update, typed(c.Object), typed(c.Old)
	switch {
	case c.Old == nil:
		operation = admission.Create
	case c.Object == nil:
		operation = admission.Delete
	}
	a := admission.NewAttributesRecord(object, old, kind, namespace, o.GetName(), resource, "", operation, nil, false, nil)
	if rules.IsExemptAdmissionConfigurationResource(a) {
		return nil
	}
	r := &request{c, w, a, &admission.VersionedAttributes{Attributes: a, VersionedKind: kind}}
	if object != nil {
		r.versioned.VersionedObject = admission.NewLazyObject(object)
	}
	if old != nil {
		r.versioned.VersionedOldObject = admission.NewLazyObject(old)
	}
	return r
}

// ask asks one policy by way of all its bindings.
func (r *request) ask(p *policy) (denials []Denial) {
	if len(p.bindings) == 0 {
		return nil
	}
	defer func() {
		if crash := recover(); crash != nil {
			denials = []Denial{{p.Name, "the policy could not be evaluated: the CEL library gave up", true, p.file, p.line("spec", "validations")}}
		}
	}()
	definition := r.matches(p.Spec.MatchConstraints)
	if !definition.yes {
		return nil
	}
	for _, b := range p.bindings {
		bound := r.matches(b.Spec.MatchResources)
		if !bound.yes || len(b.actions()) == 0 {
			continue
		}
		params, err := r.params(p, b)
		if err != nil {
			denials = append(denials, r.failed(p, b, b.line("spec", "paramRef"), err)...)
			continue
		}
		for _, param := range params {
			found := r.validate(p, b, param)
			for i := range found {
				if why := cmp.Or(definition.uncertain, bound.uncertain, r.namespaceUnknown(p)); why != "" {
					found[i].Deny = false
					found[i].Message += " (a warning only: " + why + ")"
				}
			}
			denials = append(denials, found...)
		}
	}
	return denials
}

// namespaceUnknown says why a policy's answer hangs on a namespace that is not
// rendered.
func (r *request) namespaceUnknown(p *policy) string {
	name := r.attributes.GetNamespace()
	if _, rendered := r.world.namespaces[name]; name == "" || rendered || r.attributes.GetResource() == namespaces || !strings.Contains(string(p.json), cel.NamespaceVarName) {
		return ""
	}
	return "it asks about the namespace " + name + ", of which only a cluster knows labels and annotations; render its Namespace to be certain"
}

// actions are what a binding does, Audit aside, which nobody who asks would see.
func (b *binding) actions() []v1.ValidationAction {
	return slices.DeleteFunc(slices.Clone(b.Spec.ValidationActions), func(a v1.ValidationAction) bool { return a == v1.Audit })
}

func (b *binding) denial(p *policy, line int, message string) Denial {
	return Denial{p.Name, message, slices.Contains(b.Spec.ValidationActions, v1.Deny), p.file, line}
}

// failed is what comes of an evaluation that failed. A policy that says Ignore lets
// the object in; people are told all the same.
func (r *request) failed(p *policy, b *binding, line int, err error) []Denial {
	d := b.denial(p, line, "the policy could not be evaluated: "+strings.Join(strings.Fields(err.Error()), " "))
	if f := p.Spec.FailurePolicy; f != nil && *f == v1.Ignore {
		d.Deny = false
	}
	return []Denial{d}
}

// run evaluates expressions within what is left of the budgets.
func (r *request) run(e cel.ConditionEvaluator, param runtime.Object, namespace *corev1.Namespace, limit int64) ([]cel.EvaluationResult, int64, error) {
	if r.world.budget <= 0 {
		return nil, 0, errors.New("the policies together cost more than an overlay may; make their expressions cheaper")
	}
	limit = min(limit, r.world.budget)
	input := cel.CreateAdmissionRequest(r.attributes, metav1.GroupVersionResource(r.attributes.GetResource()), metav1.GroupVersionKind(r.attributes.GetKind()))
	results, left, err := e.ForInput(context.Background(), r.versioned, input, cel.OptionalVariableBindings{VersionedParams: param}, namespace, limit)
	r.world.budget -= limit - max(left, 0)
	return results, left, err
}

// validate follows Kubernetes' own validator (k8s.io/apiserver
// pkg/admission/plugin/policy/validating/validator.go), which comes with a client of
// the API and is not imported therefore.
func (r *request) validate(p *policy, b *binding, param runtime.Object) (denials []Denial) {
	if len(p.Spec.MatchConditions) > 0 {
		met, err := r.conditions(p, param)
		if err != nil {
			return r.failed(p, b, p.line("spec", "matchConditions"), err)
		}
		if !met {
			return nil
		}
	}
	namespace := r.namespaceObject()
	results, left, err := r.run(p.validations, param, namespace, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return r.failed(p, b, p.line("spec", "validations"), err)
	}
	messages, _, messageErr := r.run(p.messages, param, namespace, left)
	for i, result := range results {
		line := p.line("spec", "validations", i, "expression")
		switch {
		case result.Error != nil:
			denials = append(denials, r.failed(p, b, line, result.Error)...)
		case errors.Is(messageErr, apiservercel.ErrInternal), errors.Is(messageErr, apiservercel.ErrOutOfBudget):
			denials = append(denials, r.failed(p, b, line, fmt.Errorf("failed messageExpression: %w", messageErr))...)
		case result.EvalResult != types.True:
			var said *cel.EvaluationResult
			if i < len(messages) {
				said = &messages[i]
			}
			denials = append(denials, b.denial(p, line, message(p.Spec.Validations[i], said)))
		}
	}
	return denials
}

// conditions asks the matchConditions: one that is false settles it, whatever others
// fail.
func (r *request) conditions(p *policy, param runtime.Object) (bool, error) {
	results, _, err := r.run(p.program.conditions, param, nil, celconfig.RuntimeCELCostBudgetMatchConditions)
	if err != nil {
		return false, err
	}
	for _, result := range results {
		if result.EvalResult == types.False {
			return false, nil
		}
		if result.Error != nil {
			err = errors.Join(err, result.Error)
		}
	}
	return err == nil, err
}

// message is what a validation says: its messageExpression, its message, or itself.
func message(v v1.Validation, said *cel.EvaluationResult) string {
	if said != nil && said.Error == nil && said.EvalResult != nil {
		text, _ := said.EvalResult.Value().(string)
		text = strings.TrimSpace(text)
		if text != "" && len(text) <= celconfig.MaxEvaluatedMessageExpressionSizeBytes && !strings.Contains(text, "\n") {
			return text
		}
	}
	if text := strings.TrimSpace(v.Message); text != "" {
		return text
	}
	return "failed expression: " + strings.TrimSpace(v.Expression)
}

// namespaceObject is the object's namespace: as it is rendered, or else what is
// certain of it. What is in none has none.
func (r *request) namespaceObject() *corev1.Namespace {
	name := r.attributes.GetNamespace()
	if name == "" || r.attributes.GetResource() == namespaces {
		return nil
	}
	n := &corev1.Namespace{}
	if o, rendered := r.world.namespaces[name]; rendered {
		if t, ok := typed(o).(*corev1.Namespace); ok {
			n = t
		}
	}
	n.Name = name
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	n.Labels[metadataName] = name
	return cel.CreateNamespaceObject(n)
}

// params are what a policy is asked with: once with each, or once with none.
func (r *request) params(p *policy, b *binding) ([]runtime.Object, error) {
	kind, ref := p.Spec.ParamKind, b.Spec.ParamRef
	if kind == nil || ref == nil {
		return []runtime.Object{nil}, nil
	}
	wanted := schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind)
	namespace := cmp.Or(ref.Namespace, r.attributes.GetNamespace())
	selector, err := selecting(ref.Selector)
	if err != nil {
		return nil, err
	}
	var found []runtime.Object
	for _, o := range r.world.params {
		in := o.GetNamespace()
		if o.GroupVersionKind() != wanted || in != "" && in != namespace {
			continue
		}
		if ref.Name != "" && o.GetName() == ref.Name || ref.Name == "" && selector.Matches(labels.Set(o.GetLabels())) {
			found = append(found, typed(o))
		}
	}
	if len(found) == 0 && (ref.ParameterNotFoundAction == nil || *ref.ParameterNotFoundAction == v1.DenyAction) {
		what := kind.Kind + " " + ref.Name
		if ref.Name == "" {
			what = kind.Kind + " that the selector of paramRef matches"
		}
		return nil, fmt.Errorf("its parameters, the %s in the namespace %s, are neither beside the policies nor rendered; put them into the directory of policies", what, cmp.Or(namespace, "(none)"))
	}
	return found, nil
}
