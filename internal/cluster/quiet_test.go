package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
)

// The API server quotes whole templates of what it refuses. What stands there under the
// name of a secret gets neither to people nor to the log.
func TestWhatIsNamedASecretStaysOutOfErrors(t *testing.T) {
	s := newSite(t)
	container := func(password string) string {
		return fmt.Sprintf("containers: [{name: c, image: \"db:16\", env: [{name: DB_PASSWORD, value: %s}]}]", password)
	}
	pod := func(password string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: db}\nspec: {%s}\n", container(password))
	}
	job := func(password string, parallel int) string {
		return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: seed}\nspec: {parallelism: %d, template: {spec: {restartPolicy: Never, %s}}}\n", parallel, container(password))
	}
	s.mustApply(pod("swordfish-9000"), job("swordfish-9000", 1))
	for name, yaml := range map[string]string{
		"a pod that cannot be changed": pod("swordfish-9001"),
		"a job that is wrong, too":     job("swordfish-9001", -1),
		"a job that cannot be changed": job("swordfish-9001", 1),
	} {
		_, err := s.apply(yaml)
		expect(t, err, fault.Invalid, s.namespace+"/")
		if said := fmt.Sprint(err, fault.HintOf(err)); strings.Contains(said, "swordfish") {
			t.Errorf("%s: it says %s", name, said)
		}
	}
}
