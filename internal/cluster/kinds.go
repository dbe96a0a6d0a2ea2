package cluster

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
)

// kinds remembers which kinds the API server knows and how it calls them in
// URLs. Some API groups are served by extensions that may be down: a kind of
// such a group is an error to ask for, not an unknown one.
type kinds struct {
	discovery discovery.DiscoveryInterface

	mu     sync.Mutex // held while asking, so that many askers make one request
	mapper meta.RESTMapper
	failed map[schema.GroupVersion]error
}

// mapping is how the API server calls a kind. The error of an unknown one is a
// meta.NoKindMatchError; forget helps if the kind is new.
func (k *kinds) mapping(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mapper == nil {
		if err := k.ask(); err != nil {
			return nil, err
		}
	}
	m, err := k.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if !meta.IsNoMatchError(err) {
		return m, err
	}
	// Any version of the group that could not be asked may be the one that has it.
	for gv, failure := range k.failed {
		if gv.Group == gvk.Group {
			return nil, fmt.Errorf("list the kinds of %s: %w", gv, failure)
		}
	}
	return nil, err
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
	return nil
}
