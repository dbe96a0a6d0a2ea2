package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/tagboat/tagboat/internal/manifest"
)

// FieldChange is a field that is not as it was applied, and who manages it now.
type FieldChange struct {
	Path string `json:"path"` // "spec.template.spec.containers[name=web].image"
	// Want and Is are the values in JSON, as applied and as they are; "" where the field
	// is not there. Long ones are cut. Both are "***" where nobody may read them.
	Want string `json:"want,omitempty"`
	Is   string `json:"is,omitempty"`
	// Manager is who set the field last: the name that a program gave itself, such as
	// "kubectl-edit". It is "" of a field that was removed: Kubernetes does not remember
	// who removes.
	Manager     string    `json:"manager,omitempty"`
	Operation   string    `json:"operation,omitempty"`   // "Apply", or "Update" for everything else
	Subresource string    `json:"subresource,omitempty"` // by which it was set: "scale"
	At          time.Time `json:"at,omitzero"`           // when the manager last set a field

	steps []element
}

// String is `spec.replicas is 5 and should be 2, by kubectl at 2026-01-02T03:04:05Z`.
func (c FieldChange) String() string {
	var b strings.Builder
	b.WriteString(c.Path)
	switch {
	case c.Want == masked && c.Is == masked:
		b.WriteString(" is another one")
	case c.Is == "":
		fmt.Fprintf(&b, " is removed and should be %s", c.Want)
	case c.Want == "":
		fmt.Fprintf(&b, " is %s and should not be there", c.Is)
	default:
		fmt.Fprintf(&b, " is %s and should be %s", c.Is, c.Want)
	}
	if c.Manager != "" {
		b.WriteString(", by " + c.Manager)
	}
	if !c.At.IsZero() {
		b.WriteString(" at " + c.At.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// masked stands for a value that nobody may read.
const masked = "***"

// changes compares an object as it is with what an apply by the manager would make of
// it, in the fields that are the manager's in either. Another difference is not its
// business, or follows from one in those. An element of a list that is not there at all
// is one change.
func changes(manager string, live, tried Object) (out []FieldChange, err error) {
	before, err := owned(live, manager)
	if err != nil {
		return nil, err
	}
	after, err := owned(tried, manager)
	if err != nil {
		return nil, err
	}
	both := before.Union(after)
	leaves := both.Leaves()
	var whole []fieldpath.Path // elements that are one change
	for p := range both.All() {
		if slices.ContainsFunc(whole, func(w fieldpath.Path) bool { return len(w) < len(p) && w.Equals(p[:len(w)]) }) {
			continue
		}
		p = p.Copy()
		is, isThere, steps := at(live.Object, p)
		want, wanted, wantedSteps := at(tried.Object, p)
		if len(wantedSteps) > 0 && !isThere {
			steps = wantedSteps
		}
		same := isThere == wanted
		if same && leaves.Has(p) {
			same = reflect.DeepEqual(is, want)
		}
		if same {
			continue
		}
		if isThere != wanted {
			whole = append(whole, p)
		}
		c := FieldChange{Path: printed(steps), steps: steps}
		if wanted {
			c.Want = text(want)
		}
		if isThere {
			c.Is = text(is)
		}
		c.credit(live, manager, p)
		out = append(out, c)
	}
	return out, nil
}

// owned are the fields that the manager's applies own.
func owned(o metav1.Object, manager string) (*fieldpath.Set, error) {
	for _, entry := range o.GetManagedFields() {
		if entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			return fieldsIn(entry)
		}
	}
	return fieldpath.NewSet(), nil
}

func fieldsIn(entry metav1.ManagedFieldsEntry) (*fieldpath.Set, error) {
	set := fieldpath.NewSet()
	if entry.FieldsV1 == nil {
		return set, nil
	}
	if err := set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())); err != nil {
		return nil, fmt.Errorf("read the fields that %q manages: %w", entry.Manager, err)
	}
	return set, nil
}

// credit says who manages the field now. Somebody else goes before ourselves: of a
// field that we own in turn, its value was set by another process under our name.
func (c *FieldChange) credit(live Object, ours string, p fieldpath.Path) {
	for _, entry := range live.GetManagedFields() {
		set, err := fieldsIn(entry)
		if err != nil || !set.Has(p) || c.Manager != "" && c.Manager != ours {
			continue
		}
		c.Manager, c.Operation, c.Subresource, c.At = entry.Manager, string(entry.Operation), entry.Subresource, time.Time{}
		if entry.Time != nil {
			c.At = entry.Time.Time
		}
	}
}

// at is the value that a path leads to, and the steps there.
func at(v any, p fieldpath.Path) (_ any, found bool, steps []element) {
	found = true
	for _, e := range p {
		s := element{}
		var next any
		there := false
		switch {
		case e.FieldName != nil:
			s.name = *e.FieldName
			fields, _ := v.(map[string]any)
			next, there = fields[s.name]
		case e.Index != nil:
			s.index = strconv.Itoa(*e.Index)
			s.keys = []string{s.index}
			if list, _ := v.([]any); *e.Index < len(list) {
				next, there = list[*e.Index], true
			}
		default:
			s.keys = keysOf(e)
			list, _ := v.([]any)
			for i, element := range list {
				if matches(element, e) {
					next, there, s.index = element, true, strconv.Itoa(i)
					break
				}
			}
		}
		steps = append(steps, s)
		v, found = next, found && there
	}
	return v, found, steps
}

func keysOf(e fieldpath.PathElement) (keys []string) {
	if e.Value != nil {
		return []string{fmt.Sprint((*e.Value).Unstructured())}
	}
	for _, field := range *e.Key {
		keys = append(keys, fmt.Sprintf("%s=%v", field.Name, field.Value.Unstructured()))
	}
	return keys
}

func matches(element any, e fieldpath.PathElement) bool {
	if e.Value != nil {
		return value.Equals(value.NewValueInterface(element), *e.Value)
	}
	fields, ok := element.(map[string]any)
	if !ok {
		return false
	}
	for _, field := range *e.Key {
		v, there := fields[field.Name]
		if !there || !value.Equals(value.NewValueInterface(v), field.Value) {
			return false
		}
	}
	return true
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return masked // it came as JSON, so this does not happen
	}
	return string(b)
}

// maxValue is how much of a value is shown, in characters.
const maxValue = 160

// discreet masks what nobody may read, and cuts what is long. secret says that all of
// the object's values are of that kind; hush are texts that are secret wherever they
// stand.
func (c *FieldChange) discreet(secret bool, hush []string) {
	for _, s := range c.steps {
		secret = secret || manifest.SecretName(s.name)
		for _, key := range s.keys { // env[name=PASSWORD]
			_, named, _ := strings.Cut(key, "=")
			secret = secret || manifest.SecretName(named)
		}
	}
	for _, v := range []string{c.Want, c.Is} {
		secret = secret || manifest.SecretForm(v) || manifest.SecretText(v) ||
			slices.ContainsFunc(hush, func(text string) bool { return strings.Contains(v, text) || strings.Contains(v, jsonText(text)) })
	}
	for _, v := range []*string{&c.Want, &c.Is} {
		if *v == "" {
			continue
		}
		if secret {
			*v = masked
		} else if runes := []rune(*v); len(runes) > maxValue {
			*v = string(runes[:maxValue]) + "…"
		}
	}
}

// jsonText is how a text stands inside JSON, without its quotes.
func jsonText(s string) string {
	quoted := text(s)
	return quoted[1 : len(quoted)-1]
}
