package clustertest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The version that is linked in is the one that is compiled.
func TestTheLinkedVersionIsTheModules(t *testing.T) {
	mod, err := os.ReadFile("controlplane/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(mod), "k8s.io/kubernetes v")
	if !ok {
		t.Fatal("controlplane/go.mod requires no k8s.io/kubernetes")
	}
	version, _, _ := strings.Cut(rest, "\n")
	part := strings.Split(version, ".")
	const pkg = "k8s.io/component-base/version."
	for _, flag := range []string{pkg + "gitVersion=v" + version, pkg + "gitMajor=" + part[0], pkg + "gitMinor=" + part[1]} {
		if !slices.Contains(module().LDFlags, flag) {
			t.Errorf("the flags lack %s: %q", flag, module().LDFlags)
		}
	}
}
