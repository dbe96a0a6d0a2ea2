package cluster

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// leave takes those fields out of what is sent of a change that may differ from Git: who
// holds them keeps them. It returns those who hold others. What the ledger knows of the
// object stays the whole rendering, which is what the next one is compared with.
func (p *plan) leave(ctx context.Context, ch *change, live Metadata, holders []holder) (others []holder, err error) {
	id := idOf(ch.desired)
	sent, taken := any(runtime.DeepCopyJSON(ch.desired.Object)), false
	for _, h := range holders {
		paths, err := h.paths(live)
		if err != nil {
			return nil, err
		}
		var held []string
		for _, field := range h.fields {
			path, known := paths[field]
			out := false
			if known && !marks(path) {
				_, _, steps := at(ch.desired.Object, path)
				if out, err = p.exempt.cover(ctx, id, FieldChange{Manager: h.manager, Subresource: h.subresource, steps: steps}); err != nil {
					return nil, err
				}
			}
			if out {
				sent, out = without(sent, path)
			}
			if out {
				taken = true
			} else {
				held = append(held, field)
			}
		}
		if len(held) > 0 {
			h.fields = held
			others = append(others, h)
		}
	}
	if !taken {
		return others, nil
	}
	ch.less = true
	return others, ch.marshal(sent.(map[string]any))
}

// sendAll has all of the object sent, after a part of it was left out.
func (ch *change) sendAll() error {
	if !ch.less {
		return nil
	}
	ch.less = false
	return ch.marshal(ch.desired.Object)
}

// paths are the holder's fields of an object, by what the API server calls them in a
// conflict: that text cannot be taken apart again, because names may have dots in them.
func (h holder) paths(live Metadata) (map[string]fieldpath.Path, error) {
	paths := map[string]fieldpath.Path{}
	for _, entry := range live.ManagedFields {
		if entry.Manager != h.manager || entry.Subresource != h.subresource {
			continue
		}
		set, err := fieldsIn(entry)
		if err != nil {
			return nil, err
		}
		for path := range set.All() {
			if field := strings.TrimPrefix(path.String(), "."); slices.Contains(h.fields, field) {
				paths[field] = path.Copy()
			}
		}
	}
	return paths, nil
}

// marks reports whether a field says whose an object is. No rule is for that.
func marks(p fieldpath.Path) bool {
	switch strings.TrimPrefix(p.String(), ".metadata.") {
	case "annotations." + TargetAnnotation, "annotations." + InstallationAnnotation, "annotations." + EpochAnnotation, "labels." + TargetLabel:
		return true
	}
	return false
}

// without is a value of which the field is taken out that a path leads to, and whether
// there was one.
func without(v any, p fieldpath.Path) (any, bool) {
	if len(p) == 0 {
		return v, false
	}
	if name := p[0].FieldName; name != nil {
		fields, _ := v.(map[string]any)
		inner, there := fields[*name]
		if there && len(p) == 1 {
			delete(fields, *name)
		} else if inner, there = without(inner, p[1:]); there {
			fields[*name] = inner
		}
		return v, there
	}
	list, _ := v.([]any)
	i := indexOf(list, p[0])
	if i < 0 {
		return v, false
	}
	if len(p) == 1 {
		return slices.Delete(list, i, i+1), true
	}
	inner, there := without(list[i], p[1:])
	list[i] = inner
	return v, there
}

// indexOf is where the element of a list is that a path goes through, -1 where there is
// none. A key that is not rendered has its default in the cluster; so the only element
// is meant of which all keys fit that it has.
func indexOf(list []any, e fieldpath.PathElement) int {
	if e.Index != nil {
		if *e.Index < len(list) {
			return *e.Index
		}
		return -1
	}
	if i := slices.IndexFunc(list, func(v any) bool { return matches(v, e) }); i >= 0 || e.Key == nil {
		return i
	}
	found := -1
	for i, v := range list {
		fields, _ := v.(map[string]any)
		rendered := slices.DeleteFunc(slices.Clone(*e.Key), func(f value.Field) bool { _, there := fields[f.Name]; return !there })
		if len(rendered) == 0 || !matches(v, fieldpath.PathElement{Key: &rendered}) {
			continue
		}
		if found >= 0 {
			return -1
		}
		found = i
	}
	return found
}
