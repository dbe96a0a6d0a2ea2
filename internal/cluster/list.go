package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/fault"
)

// Metadata is an object without its content: names, labels, annotations, uid and
// who manages which of its fields.
type Metadata = *metav1.PartialObjectMetadata

// place is where objects of one kind of an inventory are.
type place struct {
	version    string          // of the API that they were written in
	namespaces map[string]bool // "" for cluster-wide objects
}

// sighting is what a target has in a cluster, by one request for each kind.
type sighting struct {
	objects map[ID]Metadata
	gone    map[schema.GroupKind]bool     // kinds that the cluster does not have any more, and so none of their objects
	away    map[schema.GroupKind]*errAway // kinds of which nobody can say what there is
}

// sight lists the metadata of a target's objects of the kinds that the ids are of:
// one request for each kind, whatever the number of objects. It finds what bears the
// target's label. Objects that lie in several namespaces are listed in all namespaces
// at once, and where that is not permitted, in one after the other.
//
// Any part that cannot be read is an error: what was not read must never be taken
// for what is not there. But kinds whose API group is away are told apart, and what hangs
// on them is for the caller to leave alone. Each is asked for a few times, because that decides nothing, and
// by itself: of a cluster that is unwell, all together would hardly ever answer at once.
func (c *Cluster) sight(ctx context.Context, t Target, ids map[ID]string) (*sighting, error) {
	places := map[schema.GroupKind]*place{}
	for id, version := range ids {
		p := places[id.GroupKind()]
		if p == nil {
			p = &place{version: version, namespaces: map[string]bool{}}
			places[id.GroupKind()] = p
		}
		p.namespaces[id.Namespace] = true
	}
	s := &sighting{objects: map[ID]Metadata{}, gone: map[schema.GroupKind]bool{}, away: map[schema.GroupKind]*errAway{}}
	var mappings []*meta.RESTMapping
	for gk, p := range places {
		var mapping *meta.RESTMapping
		err := again(ctx, func() (err error) {
			mapping, err = c.mappingOf(gk, p.version)
			return err
		})
		away, isAway := errors.AsType[*errAway](err)
		switch {
		case meta.IsNoMatchError(err):
			s.gone[gk] = true
		case isAway:
			s.away[gk] = away
		case err != nil:
			return nil, c.classify(err, action{"list the kinds", nil})
		default:
			mappings = append(mappings, mapping)
		}
	}
	var g errgroup.Group
	g.SetLimit(c.inFlight)
	found, away := make([][]Metadata, len(mappings)), make([]*errAway, len(mappings))
	for i, mapping := range mappings {
		g.Go(func() (err error) {
			found[i], err = c.listKind(ctx, t, mapping, places[mapping.GroupVersionKind.GroupKind()].namespaces)
			if away[i] = c.turnedAway(mapping.GroupVersionKind.GroupVersion(), err); away[i] != nil {
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, mapping := range mappings {
		gk := mapping.GroupVersionKind.GroupKind()
		if away[i] != nil {
			s.away[gk] = away[i]
			continue
		}
		for _, o := range found[i] {
			s.objects[ID{gk.Group, gk.Kind, o.Namespace, o.Name}] = o
		}
	}
	return s, nil
}

// mappingOf is how the API server calls a kind, after a fresh look if need be. A kind
// that is served in another version than the one it was written in is the same kind.
func (c *Cluster) mappingOf(gk schema.GroupKind, version string) (*meta.RESTMapping, error) {
	mapping, err := c.kinds.mapping(gk.WithVersion(version))
	if meta.IsNoMatchError(err) {
		c.kinds.forget() // what it remembers may be older than the definition
		mapping, err = c.kinds.mapping(gk.WithVersion(version))
	}
	if meta.IsNoMatchError(err) {
		return c.kinds.mapping(gk.WithVersion("")) // in the version that the server prefers
	}
	return mapping, err
}

func (c *Cluster) listKind(ctx context.Context, t Target, mapping *meta.RESTMapping, namespaces map[string]bool) ([]Metadata, error) {
	names := make([]string, 0, len(namespaces))
	for n := range namespaces {
		names = append(names, n)
	}
	slices.Sort(names)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		names = []string{""}
	}
	if len(names) > 1 {
		all, err := c.listIn(ctx, t, mapping, "")
		if err == nil || !fault.Is(err, fault.Denied) {
			return slices.DeleteFunc(all, func(o Metadata) bool { return !namespaces[o.Namespace] }), err
		}
	}
	var all []Metadata
	for _, n := range names {
		some, err := c.listIn(ctx, t, mapping, n)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// listIn asks for the newest state, which the API server answers from memory
// (ConsistentListFromCache): an older one would show our own last writes as missing.
func (c *Cluster) listIn(ctx context.Context, t Target, mapping *meta.RESTMapping, namespace string) ([]Metadata, error) {
	var list *metav1.PartialObjectMetadataList
	err := again(ctx, func() (err error) {
		list, err = c.metadata.Resource(mapping.Resource).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: TargetLabel + "=" + t.Label()})
		return err
	})
	if apierrors.IsNotFound(err) {
		c.kinds.forget() // or it would be asked for what is not there for ever
		return nil, fault.E(fault.Transient, c.hint("has just stopped serving %s; it is looked at again.", mapping.Resource.Resource), err)
	}
	if err != nil {
		return nil, c.classify(err, action{verb: "list " + mapping.Resource.Resource})
	}
	out := make([]Metadata, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, nil
}

// fingerprint identifies exactly what a field manager owns of an object and since
// when, and which object it is. The API server moves ownership away with every change
// of an owned field, so as long as it is the same, nobody has changed what was applied.
// It is "" where the manager has never applied the object, or owns nothing of it any
// more.
func fingerprint(o metav1.Object, manager string) string {
	for _, entry := range o.GetManagedFields() {
		if entry.Manager != manager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		at := ""
		if entry.Time != nil {
			at = entry.Time.UTC().Format(time.RFC3339)
		}
		sum := sha256.Sum256([]byte(strings.Join([]string{string(o.GetUID()), entry.APIVersion, at, entry.FieldsV1.String()}, "\x00")))
		return hex.EncodeToString(sum[:16])
	}
	return ""
}
