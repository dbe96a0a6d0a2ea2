package health

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Status is how far the controllers are with an object.
type Status string

const (
	Current    Status = "current"     // the cluster is as the object says
	InProgress Status = "in progress" // not yet
	Failed     Status = "failed"      // it will not come by itself
)

// Verdict is what a rule says of an object.
type Verdict struct {
	Status  Status
	Message string // for a person: why it is not current; may be empty
}

// Judge judges an object by the rule for its kind; ok is false where there is none. An
// object whose controller has not seen it as it is now is in progress without being
// asked: what its status says is of another one. So is one that the rule cannot be
// evaluated for, with what was wrong.
func (r *Rules) Judge(o *unstructured.Unstructured) (v Verdict, ok bool) {
	if r == nil {
		return Verdict{}, false
	}
	p, ok := r.of[kind{o.GroupVersionKind().Group, o.GetKind()}]
	if !ok {
		return Verdict{}, false
	}
	if behind(o) {
		return Verdict{InProgress, "its controller has not seen this version of it yet"}, true
	}
	return p.judge(o), true
}

// Has reports whether there is a rule for a kind.
func (r *Rules) Has(group, name string) bool {
	if r == nil {
		return false
	}
	_, ok := r.of[kind{group, name}]
	return ok
}

func (p program) judge(o *unstructured.Unstructured) (v Verdict) {
	defer func() {
		if recover() != nil { // the library knows its types, not what anybody may have written
			v = Verdict{InProgress, "its rule could not be evaluated: the CEL library gave up"}
		}
	}()
	vars := variables(o)
	for _, question := range []struct {
		field   string
		program cel.Program
		status  Status
	}{{"inProgress", p.inProgress, InProgress}, {"failed", p.failed, Failed}, {"current", p.current, Current}} {
		yes, err := holds(question.program, vars)
		switch {
		case err != nil && o.Object["status"] == nil:
			return Verdict{InProgress, "its controller has said nothing about it yet"}
		case err != nil:
			return Verdict{InProgress, fmt.Sprintf("its rule %s could not be evaluated: %s", question.field, firstLine(err.Error()))}
		case yes && question.status == Current:
			return Verdict{Status: Current}
		case yes:
			return Verdict{question.status, p.words(o, vars)}
		}
	}
	return Verdict{InProgress, p.words(o, vars)}
}

// holds reports whether an expression is true; none never is.
func holds(p cel.Program, vars map[string]any) (bool, error) {
	if p == nil {
		return false, nil
	}
	value, _, err := p.Eval(vars)
	if err != nil {
		return false, err
	}
	yes, ok := value.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it gives a %s, not true or false", value.Type().TypeName())
	}
	return yes, nil
}

// variables are what an expression sees. A field that is not there is an empty one:
// an expression then asks for a key in vain, and the error says which.
func variables(o *unstructured.Unstructured) map[string]any {
	vars := map[string]any{"object": o.Object}
	for _, root := range roots {
		vars[root] = o.Object[root]
		if vars[root] == nil {
			vars[root] = map[string]any{}
		}
	}
	return vars
}

// words say why an object is not current: as the rule has it, else as the object has it.
func (p program) words(o *unstructured.Unstructured, vars map[string]any) string {
	if p.message != nil {
		if value, _, err := p.message.Eval(vars); err == nil {
			if text, ok := value.Value().(string); ok && text != "" {
				return text
			}
		}
	}
	return Said(o)
}

// Said is what an object's status says for people: the first condition that is not true
// and has something to say, else its message, else its phase; "" where there is nothing.
func Said(o *unstructured.Unstructured) string {
	for _, path := range [][]string{{"status", "conditions"}, {"status", "parents"}} {
		entries, _, _ := unstructured.NestedSlice(o.Object, path...)
		for _, entry := range entries {
			if text := untrue(entry); text != "" {
				return text
			}
		}
	}
	message, _, _ := unstructured.NestedString(o.Object, "status", "message")
	phase, _, _ := unstructured.NestedString(o.Object, "status", "phase")
	return joined(phase, message)
}

// untrue is what a condition says that is not true. What stands in status.parents of a
// route has conditions of its own.
func untrue(entry any) string {
	c, _ := entry.(map[string]any)
	if nested, ok := c["conditions"].([]any); ok {
		for _, inner := range nested {
			if text := untrue(inner); text != "" {
				return text
			}
		}
	}
	text := func(key string) string { s, _ := c[key].(string); return s }
	if status := text("status"); status == "" || status == "True" {
		return ""
	}
	return joined(cmp.Or(text("reason"), text("type")), text("message"))
}

func joined(reason, message string) string {
	return strings.Trim(reason+": "+message, ": ")
}

// behind reports whether the controller's status is of an earlier version of the object.
// Argo Rollouts write the number as a string.
func behind(o *unstructured.Unstructured) bool {
	status, _ := o.Object["status"].(map[string]any)
	seen := status["observedGeneration"]
	if seen == nil || seen == "" || o.GetGeneration() == 0 {
		return false
	}
	return fmt.Sprint(seen) != fmt.Sprint(o.GetGeneration())
}
