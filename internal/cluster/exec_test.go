package cluster_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/tagboat/tagboat/internal/cluster"
)

// A kubeconfig of a cloud's cluster has no credentials, but the name of a program that
// prints some; and it has several contexts.
func TestCredentialsOfAPlugin(t *testing.T) {
	s := newSite(t)
	config, err := clientcmd.LoadFromFile(s.kube)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	admin := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo]
	printed, err := json.Marshal(map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
		"status": map[string]any{"clientCertificateData": string(admin.ClientCertificateData), "clientKeyData": string(admin.ClientKeyData), "token": admin.Token},
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	credential := write("credential.json", string(printed), 0o600)
	asked := filepath.Join(dir, "asked")
	plugin := write("plugin", fmt.Sprintf("#!/bin/sh\necho \"$CLUSTER\" >> %q\nexec cat %q\n", asked, credential), 0o700)

	for name, command := range map[string]string{"eu": plugin, "gone": filepath.Join(dir, "not-there")} {
		config.AuthInfos[name] = &api.AuthInfo{Exec: &api.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: command, Env: []api.ExecEnvVar{{Name: "CLUSTER", Value: name}}, InteractiveMode: api.NeverExecInteractiveMode,
		}}
		config.Contexts[name] = &api.Context{Cluster: config.Contexts[config.CurrentContext].Cluster, AuthInfo: name}
	}
	config.CurrentContext = "gone" // nobody asked for that one
	data, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := write("kubeconfig", string(data), 0o600)

	door := func(context string) *cluster.Cluster {
		t.Helper()
		c, err := cluster.Open(cluster.Config{Name: "prod-eu", Kubeconfig: kubeconfig, Context: context})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s.cluster = door("eu")
	s.mustApply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")
	if told, err := os.ReadFile(asked); err != nil || strings.TrimSpace(string(told)) != "eu" {
		t.Errorf("the plugin was asked %q, %v; want once, for eu", told, err)
	}
	if err := door("gone").Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "not-there") {
		t.Errorf("without the plugin: %v", err)
	}
}
