package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/fault"
)

// Some API groups are not served by the API server itself, but by an extension of it (an
// APIService): metrics.k8s.io is the one that everybody knows. While that is away nobody
// can say which kinds the group has, nor which objects there are of them. So they are not
// known to be gone, and not known to be wrong in Git; and nothing else hangs on them.

// ErrHeldUp marks the error of what could be done only in part, because a part of the
// cluster cannot be asked or written to for now: an API group is away, or a namespace is
// being deleted. All that does not hang on it was done.
var ErrHeldUp = errors.New("a part of the cluster cannot be asked or written to")

// errAway is the error of a kind of an API group that is away.
type errAway struct {
	gv  schema.GroupVersion
	why string // as the API server tells it
}

func (e *errAway) Error() string {
	return fmt.Sprintf("the API group %s is away: its APIService %s is not available: %s", e.gv, serviceOf(e.gv), e.why)
}

// serviceOf is the name of the APIService that a group's version has.
func serviceOf(gv schema.GroupVersion) string { return gv.Version + "." + gv.Group }

// away is what is told of a kind whose API group is away.
func (c *Cluster) away(e *errAway) error {
	return fault.E(fault.Transient, c.hint("cannot be asked about the API group %s: its APIService %s is not available (%s). An administrator of the cluster has to mend what serves it, or to delete the APIService if nothing does any more. It is tried again by itself.",
		e.gv, serviceOf(e.gv), strings.TrimSuffix(e.why, ".")), fmt.Errorf("%w: %w", ErrHeldUp, e))
}

// Answers is an error, ErrHeldUp, where the API group of one of the entries or objects is
// away. Then it is not known what there is of them, and nothing should be deleted: an
// object of the group may be one that another group has, too.
func (c *Cluster) Answers(inventory []Entry, objects []Object) error {
	kinds := map[schema.GroupKind]string{}
	for _, e := range inventory {
		kinds[e.GroupKind()] = e.Version
	}
	for _, o := range objects {
		gvk := o.GroupVersionKind()
		kinds[gvk.GroupKind()] = gvk.Version
	}
	for gk, version := range kinds {
		_, err := c.kinds.mapping(gk.WithVersion(version))
		if is, away := errors.AsType[*errAway](err); away {
			return c.away(is)
		}
	}
	return nil
}

// turnedAway finds out whether a request about a kind has failed because the API group of
// that is away, which was not known yet; nil where it has not.
func (c *Cluster) turnedAway(gv schema.GroupVersion, err error) *errAway {
	if _, answered := statusOf(err); !answered || !errors.Is(err, ErrNoAnswer) {
		return nil
	}
	return c.kinds.away(gv)
}

// away asks anew whether a version of a group is away.
func (k *kinds) away(gv schema.GroupVersion) *errAway {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.ask(); err != nil { // then it is not this group alone
		return nil
	}
	if _, failed := k.failed[gv]; !failed {
		return nil
	}
	return k.explain(gv)
}

// explain asks what the API server knows of a group that it cannot reach. Who may not read
// that hears what discovery has said.
func (k *kinds) explain(gv schema.GroupVersion) *errAway {
	if k.told[gv] != nil {
		return k.told[gv]
	}
	e := &errAway{gv, fmt.Sprint(k.failed[gv])}
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	body, err := k.discovery.RESTClient().Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices/" + serviceOf(gv)).Do(ctx).Raw()
	service := &unstructured.Unstructured{}
	if err == nil && service.UnmarshalJSON(body) == nil {
		if said := unavailable(service); said != "" {
			e.why = said
		}
	}
	k.told[gv] = e
	return e
}

// unavailable is why an APIService is not available, "" where it does not say.
func unavailable(service Object) string {
	for _, c := range conditionsOf(service) {
		if c["type"] == "Available" && c["status"] != "True" {
			return fmt.Sprintf("%v: %v", c["reason"], c["message"])
		}
	}
	return ""
}

func conditionsOf(o Object) (all []map[string]any) {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, one := range list {
		if c, ok := one.(map[string]any); ok {
			all = append(all, c)
		}
	}
	return all
}

// isAway takes an object out of what is looked at.
func (one *watched) isAway(c *Cluster, e *errAway) {
	one.held = c.away(e)
	one.live, one.health.Status, one.health.Message = nil, InProgress, e.Error()
}

// doubt finds out, once, whether what could not be read is of an API group that is away.
func (w *wait) doubt(gv schema.GroupVersion, err error) *errAway {
	w.doubts.Lock()
	defer w.doubts.Unlock()
	is, asked := w.doubted[gv]
	if !asked && errors.Is(err, ErrNoAnswer) {
		is = w.c.turnedAway(gv, err)
		w.doubted[gv] = is
	}
	return is
}
