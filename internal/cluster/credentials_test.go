package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// A program that should print credentials waits for a person to log in, say, and client-go
// waits for it for ever. Whoever asks the cluster hears of it in time, whoever stops is not
// kept, and when the program is done, the cluster can be asked.
func TestAPluginThatHangsKeepsNobody(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"major": "1"}`) }))
	defer server.Close()
	dir := t.TempDir()
	login, plugin := filepath.Join(dir, "login"), filepath.Join(dir, "plugin")
	if err := syscall.Mkfifo(login, 0o600); err != nil {
		t.Fatal(err)
	}
	printed, err := json.Marshal(map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": map[string]any{"token": "t"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plugin, fmt.Appendf(nil, "#!/bin/sh\n: < %q\necho '%s'\n", login, printed), 0o700); err != nil {
		t.Fatal(err)
	}
	logsIn := func() { // as often as it is asked for
		person, err := os.OpenFile(login, os.O_RDWR, 0)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { person.Close() })
		fmt.Fprintln(person)
	}
	door := open(t, server.URL, func(cfg *cluster.Config) {
		cfg.Timeout = 200 * time.Millisecond
		cfg.KubeconfigData = []byte(strings.NewReplacer("cluster: {server", "cluster: {insecure-skip-tls-verify: true, server", "token: a-token-that-nobody-may-see",
			fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}", plugin)).Replace(string(cfg.KubeconfigData)))
	})
	inTime := func(what string, do func()) {
		t.Helper()
		done := make(chan struct{})
		go func() { defer close(done); do() }()
		select {
		case <-done:
		case <-time.After(time.Minute):
			logsIn()
			t.Fatal(what + " waits for ever")
		}
	}
	inTime("an apply", func() {
		_, err := door.Apply(t.Context(), cluster.Run{Target: cluster.Target{Key: "k", Namespace: "n"}, Objects: decode(t, configMap("a", "k", "v")), Ledger: cluster.Unrecorded{}})
		expect(t, err, fault.Transient, "prod-eu", "the program that the kubeconfig names", "log in")
	})
	inTime("a watch that is stopped", func() {
		ctx, cancel := context.WithCancel(t.Context())
		lookout := &cluster.Lookout{Tell: func(string, cluster.ID) {}, Trouble: func(schema.GroupKind, error) { cancel() }}
		lookout.Add(cluster.Entry{ID: cluster.ID{Kind: "ConfigMap", Namespace: "n", Name: "a"}, Version: "v1"})
		_ = door.Watch(ctx, lookout)
	})
	logsIn()
	eventually(t, "the cluster to be asked", func(ctx context.Context) bool { return door.Ping(ctx) == nil })
}
