package clustertest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/fault"
)

const kubeconfig = `
apiVersion: v1
kind: Config
clusters:
- {name: loopback, cluster: {server: "https://127.0.0.1:6443", certificate-authority: ca.pem}}
- {name: far, cluster: {server: "https://kubernetes.example.com"}}
users:
- {name: me, user: {token: not-a-real-token}}
contexts:
- {name: dev, context: {cluster: loopback, user: me}}
- {name: kind-tagboat, context: {cluster: far, user: me}}
- {name: minikube, context: {cluster: far, user: me}}
- {name: orbstack, context: {cluster: loopback, user: me}}
- {name: production, context: {cluster: far, user: me}}
- {name: minikube-like-production, context: {cluster: far, user: me}}
current-context: production
`

func TestExistingTellsLocalClusters(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte("the CA"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(dir, "config"))

	for context, want := range map[string]bool{
		"dev":          false, // a loopback address alone: it may be a tunnel to production
		"kind-tagboat": true, "minikube": true, "orbstack": true, "production": false, "minikube-like-production": false,
	} {
		cfg, local, err := clustertest.Existing(context)
		if err != nil {
			t.Fatal(err)
		}
		if local != want {
			t.Errorf("%s: local = %v", context, local)
		}
		if cfg.Context != context || !strings.Contains(string(cfg.KubeconfigData), "current-context: "+context) {
			t.Errorf("%s: config of context %q:\n%s", context, cfg.Context, cfg.KubeconfigData)
		}
	}
	cfg, _, err := clustertest.Existing("dev")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(cfg.KubeconfigData), "ca.pem") {
		t.Errorf("the configuration still needs a file:\n%s", cfg.KubeconfigData)
	}

	_, _, err = clustertest.Existing("staging")
	if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "dev, kind-tagboat") {
		t.Errorf("an unknown context: %v", err)
	}
}
