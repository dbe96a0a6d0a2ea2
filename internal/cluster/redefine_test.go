package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// fleet is a kind of the site's own, and an object of it.
func (s *site) fleet(properties string) (definition string, boat func(spec string) string, boats schema.GroupVersionResource) {
	group := s.namespace + ".example.com"
	definition = fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: %[2]s}}}}}]
`, group, properties)
	boat = func(spec string) string {
		return fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: dinghy}\nspec: %s\n", group, spec)
	}
	return definition, boat, schema.GroupVersionResource{Group: group, Version: "v1", Resource: "boats"}
}

// A commit changes a definition and an object that needs the change: the object is tried
// when the definition is there, and what is wrong by both is refused.
func TestADefinitionAndItsObjectsChangeInOneCommit(t *testing.T) {
	s := newSite(t)
	before, boat, boats := s.fleet("{oars: {type: integer, maximum: 4}}")
	s.mustApply(before, boat("{oars: 2}"))

	for name, c := range map[string]struct{ properties, spec string }{
		"a field that is new":          {"{oars: {type: integer, maximum: 4}, sails: {type: integer}}", "{oars: 2, sails: 3}"},
		"a value that was not allowed": {"{oars: {type: integer, maximum: 8}, sails: {type: integer}}", "{oars: 6, sails: 3}"},
	} {
		after, _, _ := s.fleet(c.properties)
		trial := s.try(nil, after, boat(c.spec))
		if n := trial.Count(cluster.Untried); n != 1 || trial.Count(cluster.Refused) > 0 {
			t.Errorf("%s: a dry run tells %+v", name, trial.Tried)
		}
		if r := s.mustApply(after, boat(c.spec)); r.Count(cluster.Configured) != 2 {
			t.Errorf("%s: %v", name, outcomes(r))
		}
		if live := s.get(boats, "dinghy"); fmt.Sprint(live.Object["spec"]) != fmt.Sprint(decode(t, boat(c.spec))[0].Object["spec"]) {
			t.Errorf("%s: it has %v", name, live.Object["spec"])
		}
	}
	same, _, _ := s.fleet("{oars: {type: integer, maximum: 8}, sails: {type: integer}}")
	if trial := s.try(nil, same, boat("{oars: 9}")); trial.Count(cluster.Refused) != 1 {
		t.Errorf("a dry run of what is wrong tells %+v", trial.Tried)
	}
	_, err := s.apply(same, boat("{oars: 9}"), configMap("settings", "mode", "fast"))
	expect(t, err, fault.Invalid, "Boat "+s.namespace+"/dinghy", "oars")
	if s.get(configMaps, "settings") != nil {
		t.Error("something else was written")
	}
}

// The database of a cluster takes no object that is too large, which a dry run does not
// meet. That is no cluster that is away, and no later try does better.
func TestAnObjectThatIsTooLarge(t *testing.T) {
	s := newSite(t)
	definition, boat, _ := s.fleet("{log: {type: string}}")
	s.mustApply(definition)
	p := s.proxied()
	_, err := p.door.Apply(t.Context(), s.run(definition, boat("{log: "+strings.Repeat("x", 1<<21)+"}")))
	expect(t, err, fault.Invalid, "Boat "+s.namespace+"/dinghy", "larger", "smaller")
	if n := p.count()["WRITE boats"]; n != 1 {
		t.Errorf("it was written %d times", n)
	}
}
