package cluster

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
)

// kinds remembers which kinds the API server knows and how it calls them in
// URLs. Some API groups are served by extensions that may be down: a kind of
// such a group is an error to ask for (errAway), not an unknown one.
type kinds struct {
	discovery discovery.DiscoveryInterface

	mu     sync.Mutex // held while asking, so that many askers make one request
	mapper meta.RESTMapper
	failed map[schema.GroupVersion]error
	told   map[schema.GroupVersion]*errAway // of those that failed, as far as anybody has asked why
}

// mapping is how the API server calls a kind. The error of an unknown one is a
// meta.NoKindMatchError; forget helps if the kind is new. That of a kind whose API group
// is away is an errAway, and was not remembered, but has just been asked for.
func (k *kinds) mapping(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	justAsked := k.mapper == nil
	if justAsked {
		if err := k.ask(); err != nil {
			return nil, err
		}
	}
	m, err := k.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if !meta.IsNoMatchError(err) {
		return m, err
	}
	gv, away := k.failedOf(gvk)
	if away && !justAsked { // it may be back
		if err := k.ask(); err != nil {
			return nil, err
		}
		if m, err = k.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); !meta.IsNoMatchError(err) {
			return m, err
		}
		gv, away = k.failedOf(gvk)
	}
	if away {
		return nil, k.explain(gv)
	}
	return nil, err
}

// failedOf is the version of a kind's group that could not be asked: its own, or any other
// that may be the one which has it.
func (k *kinds) failedOf(gvk schema.GroupVersionKind) (found schema.GroupVersion, failed bool) {
	if _, failed := k.failed[gvk.GroupVersion()]; failed {
		return gvk.GroupVersion(), true
	}
	for gv := range k.failed {
		if gv.Group == gvk.Group && (!failed || gv.Version < found.Version) {
			found, failed = gv, true
		}
	}
	return found, failed
}

// forget makes the next question a fresh one.
func (k *kinds) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mapper = nil
}

func (k *kinds) ask() error {
	groups, lists, err := k.discovery.ServerGroupsAndResources()
	failed, partial := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partial {
		return err
	}
	byVersion := map[string][]metav1.APIResource{}
	for _, list := range lists {
		byVersion[list.GroupVersion] = list.APIResources
	}
	var known []*restmapper.APIGroupResources
	for _, g := range groups {
		resources := map[string][]metav1.APIResource{}
		for _, v := range g.Versions {
			if list, ok := byVersion[v.GroupVersion]; ok {
				resources[v.Version] = list
			}
		}
		known = append(known, &restmapper.APIGroupResources{Group: *g, VersionedResources: resources})
	}
	k.mapper, k.failed = restmapper.NewDiscoveryRESTMapper(known), failed
	k.told = map[schema.GroupVersion]*errAway{}
	return nil
}
