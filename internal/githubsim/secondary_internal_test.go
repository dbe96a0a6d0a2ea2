package githubsim

import (
	"net/http"
	"testing"
)

// A route that is new has to be filed: one that creates content and is not counted
// would let everybody believe that limits are kept.
func TestEveryWriteIsContentOrNot(t *testing.T) {
	s, err := New(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	writes := map[string]bool{}
	for _, r := range s.routes() {
		if r.method == http.MethodGet {
			continue
		}
		writes[r.name()] = true
		if _, filed := content[r.name()]; !filed {
			t.Errorf("%s is neither content nor not", r.name())
		}
	}
	for name := range content {
		if !writes[name] {
			t.Errorf("%s is filed but is no route", name)
		}
	}
}
