package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster"
)

// Who exports an object and commits it as it is has in Git what the API server has set.
// It is applied, and changed later, and is never deleted for what nobody can set.
func TestAnExportedObjectIsAppliedAsAnyOther(t *testing.T) {
	s := newSite(t)
	exported := func(mode string) string {
		return fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  annotations: {tagboat.dev/recreate: "true"}
  uid: 5d1c0b1e-0000-4000-8000-000000000000
  resourceVersion: "1234"
  generation: 3
  creationTimestamp: "2024-01-01T00:00:00Z"
  selfLink: /api/v1/namespaces/shop/configmaps/settings
  managedFields:
  - {manager: kubectl-edit, operation: Update, apiVersion: v1, time: "2024-01-01T00:00:00Z", fieldsType: FieldsV1, fieldsV1: {"f:data": {"f:mode": {}}}}
data: {mode: %s}
`, mode)
	}
	s.mustApply(exported("fast"))
	was := s.get(configMaps, "settings").GetUID()
	if r := s.mustApply(exported("slow")); r.Count(cluster.Configured) != 1 || mode(s.get(configMaps, "settings")) != "slow" {
		t.Errorf("changed: %v", outcomes(r))
	}
	if is := s.get(configMaps, "settings").GetUID(); is != was {
		t.Error("it was deleted and made anew")
	}
	s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"other"}}`)
	if told := s.tells(s.drift(s.cluster, s.book, nil, exported("slow"))); len(told) != 1 {
		t.Errorf("drift: %v", told)
	}
}

// What Git says of an object's version is no condition of a write. A worker that was taken
// for dead would make anew what is deleted by then.
func TestGitSetsNoPrecondition(t *testing.T) {
	s := newSite(t)
	lost := errors.New("another worker has taken the target over")
	settings := func(mode string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, uid: null, resourceVersion: null}\ndata: {mode: %s}\n", mode)
	}
	s.mustApply(settings("fast"))
	p := s.proxied()
	over := false
	p.spoil = func(_ int, what string) spoiling {
		if what == "WRITE configmaps" && !over {
			s.remove(configMaps, "settings")
			over = true
		}
		return passed
	}
	zombie := s.run(settings("slow"))
	zombie.Go = func(context.Context) error {
		if over {
			return lost
		}
		return nil
	}
	if _, err := p.door.Apply(t.Context(), zombie); !errors.Is(err, lost) {
		t.Errorf("the zombie came to %v", err)
	}
	if s.get(configMaps, "settings") != nil {
		t.Error("what was deleted is there again")
	}
}
