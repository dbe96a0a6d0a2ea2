package cluster

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// IgnoreRule says which changes in a cluster are no drift; an apply leaves such fields to
// whoever holds them. All that it names has to fit; what it leaves empty fits always. A rule that names neither fields nor managers
// ignores everything about its objects but that they are there.
type IgnoreRule struct {
	Kind, Namespace, Name string // patterns as in path.Match: "*", "Deployment", "web-*"
	// Fields are paths as Tagboat prints them or JSON pointers: "spec.replicas",
	// "spec.template.spec.containers[name=web].image", "/webhooks/0/clientConfig/caBundle".
	// Of a list, * is every element. A path stands for all below it.
	Fields   []string
	Managers []string // field managers, by pattern: "kube-controller-manager"
}

// covers reports whether a change of an object is ignored. A rule that cannot be used
// covers nothing.
func (r IgnoreRule) covers(id ID, c FieldChange) bool {
	if !fits(r.Kind, id.Kind) || !fits(r.Namespace, id.Namespace) || !fits(r.Name, id.Name) {
		return false
	}
	if len(r.Managers) > 0 && !slices.ContainsFunc(r.Managers, func(m string) bool { return c.Manager != "" && fits(m, c.Manager) }) {
		return false
	}
	return len(r.Fields) == 0 || slices.ContainsFunc(r.Fields, func(f string) bool {
		steps, ok := stepsTo(f)
		return ok && leadsTo(steps, c.steps)
	})
}

func fits(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// builtIn are the fields that clusters fill by themselves although people often have
// them in Git: certificates of webhooks (cert-manager's cainjector and others put them
// in).
var builtIn = []IgnoreRule{
	{Kind: "*WebhookConfiguration", Fields: []string{"webhooks.*.clientConfig.caBundle"}},
	{Kind: "CustomResourceDefinition", Fields: []string{"spec.conversion.webhook.clientConfig.caBundle"}},
	{Kind: "APIService", Fields: []string{"spec.caBundle"}},
}

// scalers are the kinds that set the replicas of another object.
var scalers = map[schema.GroupKind]bool{
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: true,
	{Group: "keda.sh", Kind: "ScaledObject"}:                true,
}

// scaledBy are rules for what an autoscaler scales: how many replicas there are is its
// business.
func scaledBy(o Object) []IgnoreRule {
	if !scalers[o.GroupVersionKind().GroupKind()] {
		return nil
	}
	spec, _ := o.Object["spec"].(map[string]any)
	ref, _ := spec["scaleTargetRef"].(map[string]any)
	kind, _ := ref["kind"].(string)
	name, _ := ref["name"].(string)
	if name == "" {
		return nil
	}
	if kind == "" {
		kind = "Deployment" // KEDA's default
	}
	return []IgnoreRule{{Kind: literal(kind), Namespace: literal(o.GetNamespace()), Name: literal(name), Fields: []string{"spec.replicas"}}}
}

// literal is a pattern for one name.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// stepsTo takes a path apart: "spec.containers[name=web].image" and
// "/spec/containers/0/image" into their steps; ok is false for what is none, which
// tagboat.yaml may not say.
func stepsTo(field string) (steps []string, ok bool) {
	if rest, pointer := strings.CutPrefix(field, "/"); pointer {
		for _, step := range strings.Split(rest, "/") {
			steps = append(steps, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
		}
		return steps, true
	}
	for rest := field; rest != ""; {
		if inner, bracket := strings.CutPrefix(rest, "["); bracket {
			step, after, closed := closing(inner)
			if !closed {
				return nil, false
			}
			steps, rest = append(steps, step), after
			continue
		}
		rest = strings.TrimPrefix(rest, ".")
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, false
		}
		steps, rest = append(steps, rest[:end]), rest[end:]
	}
	return steps, len(steps) > 0
}

// closing is what stands in a bracket, without quotes, and what comes after it.
func closing(inner string) (step, rest string, closed bool) {
	if quoted, ok := strings.CutPrefix(inner, `"`); ok {
		step, rest, closed = strings.Cut(quoted, `"]`)
		return step, rest, closed
	}
	return strings.Cut(inner, "]")
}

// leadsTo reports whether a path of a rule is that of a change, or one above it.
func leadsTo(rule []string, change []element) bool {
	if len(rule) > len(change) {
		return false
	}
	for i, want := range rule {
		if !change[i].is(want) {
			return false
		}
	}
	return true
}

// element is one element on the way to a field.
type element struct {
	name  string   // of a field of a map; "" in a list
	keys  []string // of an element of a list: "name=web"
	index string   // of an element of a list, as it is in the cluster, or would be
}

func (s element) is(want string) bool {
	switch {
	case want == "*":
		return true
	case s.name != "":
		return want == s.name
	case want == s.index:
		return true
	}
	for _, pair := range strings.Split(want, ",") {
		if !slices.Contains(s.keys, strings.TrimSpace(pair)) {
			return false
		}
	}
	return true
}

// printed is how people read a path: spec.template.spec.containers[name=web].image.
func printed(steps []element) string {
	var b strings.Builder
	for _, s := range steps {
		switch {
		case s.name == "":
			fmt.Fprintf(&b, "[%s]", strings.Join(s.keys, ","))
		case strings.ContainsAny(s.name, `."[]/`):
			fmt.Fprintf(&b, "[%q]", s.name)
		case b.Len() > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}
