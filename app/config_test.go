package app

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/intake"
	"github.com/tagboat/tagboat/internal/prometheus/prometheustest"
	"github.com/tagboat/tagboat/internal/registry"
)

// env is an environment of which only these variables are set.
func env(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

func complete() Config {
	one := [][]byte{[]byte("secret")}
	return Config{
		Database: "postgres:///tagboat", AppID: 1, EnvRepos: []string{"acme/env"},
		Secrets: Secrets{PrivateKey: []byte("PEM"), Doors: intake.Secrets{GitHub: one, Registry: one, CI: one}},
	}
}

// Nobody should have to start the server six times to learn what it lacks.
func TestEverythingThatIsMissingIsNamedAtOnce(t *testing.T) {
	if err := complete().Check(); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
	lacks := map[string]func(c *Config){
		"TAGBOAT_DATABASE_URL":            func(c *Config) { c.Database = "" },
		"TAGBOAT_GITHUB_APP_ID":           func(c *Config) { c.AppID = 0 },
		"TAGBOAT_GITHUB_PRIVATE_KEY":      func(c *Config) { c.Secrets.PrivateKey = nil },
		"TAGBOAT_GITHUB_WEBHOOK_SECRET":   func(c *Config) { c.Secrets.Doors.GitHub = nil },
		"TAGBOAT_REGISTRY_WEBHOOK_SECRET": func(c *Config) { c.Secrets.Doors.Registry = nil },
		"TAGBOAT_CI_WEBHOOK_SECRET":       func(c *Config) { c.Secrets.Doors.CI = nil },
	}
	all := Config{}.Check()
	if !fault.Is(all, fault.Invalid) || fault.HintOf(all) == "" {
		t.Errorf("%v is %v", all, fault.KindOf(all))
	}
	if !strings.HasPrefix(all.Error(), "Tagboat cannot start; 6 settings are missing:\n  TAGBOAT_DATABASE_URL (") {
		t.Errorf("all are missing: %v", all)
	}
	for name, lack := range lacks {
		if !strings.Contains(all.Error(), name) {
			t.Errorf("%v does not name %s", all, name)
		}
		c := complete()
		lack(&c)
		err := c.Check()
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "1 setting is missing:\n  "+name) {
			t.Errorf("without %s: %v", name, err)
			continue
		}
		for other := range lacks {
			if other != name && strings.Contains(err.Error(), other) {
				t.Errorf("only %s is missing, and %s is named: %v", name, other, err)
			}
		}
	}
}

func TestEnvReposAreOwnerAndName(t *testing.T) {
	for _, bad := range []string{"env", "/env", "acme/", "acme/env/prod", "https://github.com/acme/env", "", "*", "*/*", "*/env", "acme/env*", "acme/env#", "acme/env#x", "acme/*#7"} {
		c := complete()
		c.EnvRepos = append(c.EnvRepos, bad)
		if err := c.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "OWNER/NAME") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A cluster takes from env repos that somebody has named, never from whichever claims it.
func TestEveryClusterTakesFromSomebody(t *testing.T) {
	for _, c := range []struct {
		repos, bound []string
		wrong        string // "" where it is right
	}{
		{[]string{"acme/env"}, nil, ""},
		{[]string{"acme/env#7", "globex/*"}, nil, ""},
		{[]string{"acme/*"}, nil, "Cluster prod takes from no env repo"},
		{nil, nil, "--cluster-repo prod=OWNER/NAME"},
		{nil, []string{"prod=acme/env"}, ""},
		{nil, []string{"prod=acme/env", "prod=globex/env#7"}, ""},
		{nil, []string{"prod=acme/env", "prod=globex/*"}, "--cluster-repo prod=globex/*: name each env repo"},
		{[]string{"acme/env"}, []string{"prod=acme"}, "of prod: acme is not of the form"},
		{[]string{"acme/env"}, []string{"prd=acme/env"}, "the name of a --cluster is expected"},
		{[]string{"acme/env"}, []string{"acme/env"}, "the name of a --cluster is expected"},
	} {
		config := complete()
		config.Clusters = map[string]string{"prod": "in-cluster"}
		config.EnvRepos, config.ClusterRepos = c.repos, c.bound
		err := config.Check()
		if c.wrong == "" && err != nil || c.wrong != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("env repos %v, clusters %v: %v", c.repos, c.bound, err)
		}
	}
}

func TestReadSecrets(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	got, err := ReadSecrets(env(map[string]string{
		"TAGBOAT_GITHUB_PRIVATE_KEY_FILE":      file("key.pem", "-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n"),
		"TAGBOAT_GITHUB_WEBHOOK_SECRET":        "one, two",
		"TAGBOAT_GITHUB_WEBHOOK_SECRET_FILE":   file("unused", "the variable itself wins"),
		"TAGBOAT_REGISTRY_WEBHOOK_SECRET_FILE": file("registry", "three\nfour\r\n\n"),
		"TAGBOAT_CI_WEBHOOK_SECRET":            ",five,",
		"TAGBOAT_REGISTRY_LOGINS":              "registry.example.com=robot:p:a=ss\nghcr.io=bot:token",
		"TAGBOAT_PROMETHEUS_LOGINS":            "main=tagboat:p:a=ss,other=to.ken==",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Secrets{
		PrivateKey: []byte("-----BEGIN KEY-----\nAAAA\n-----END KEY-----"),
		Doors: intake.Secrets{
			GitHub: [][]byte{[]byte("one"), []byte("two")}, Registry: [][]byte{[]byte("three"), []byte("four")}, CI: [][]byte{[]byte("five")},
		},
		Registry:   map[string]string{"registry.example.com": "robot:p:a=ss", "ghcr.io": "bot:token"},
		Prometheus: map[string]string{"main": "tagboat:p:a=ss", "other": "to.ken=="},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	none, err := ReadSecrets(env(nil))
	if err != nil || len(none.PrivateKey) != 0 || len(none.Doors.Missing()) != 3 {
		t.Errorf("of an empty environment: %+v, %v", none, err)
	}
	// A file of blanks holds no secret, so the server will not start with it.
	blank, err := ReadSecrets(env(map[string]string{"TAGBOAT_CI_WEBHOOK_SECRET_FILE": file("blank", " \n ,\n")}))
	if err != nil || len(blank.Doors.CI) != 0 {
		t.Errorf("a blank secret became %q, %v", blank.Doors.CI, err)
	}
}

func TestSecretsThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := ReadSecrets(env(map[string]string{"TAGBOAT_CI_WEBHOOK_SECRET_FILE": missing}))
	if !fault.Is(err, fault.Invalid) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fault.HintOf(err), "TAGBOAT_CI_WEBHOOK_SECRET_FILE") {
		t.Errorf("a file that is not there: %v, hint %q", err, fault.HintOf(err))
	}
	for _, bad := range []string{"robot:hunter2", "registry.example.com=hunter2", "registry.example.com=robot:hunter2,hunter2"} {
		_, err := ReadSecrets(env(map[string]string{"TAGBOAT_REGISTRY_LOGINS": bad}))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "TAGBOAT_REGISTRY_LOGINS") {
			t.Errorf("%q: %v", bad, err)
		}
		if err != nil && strings.Contains(err.Error()+fault.HintOf(err), "hunter2") {
			t.Errorf("the password is shown: %v", err)
		}
	}
	for _, bad := range []string{"hunter2", "main=,other=hunter2"} {
		_, err := ReadSecrets(env(map[string]string{"TAGBOAT_PROMETHEUS_LOGINS": bad}))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "TAGBOAT_PROMETHEUS_LOGINS") || strings.Contains(err.Error()+fault.HintOf(err), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRegistries(t *testing.T) {
	c := Config{
		Registries: []string{"registry.example.com=http://127.0.0.1:5000", "ghcr.io", "quay.example.com=https://mirror.example.com"},
		Secrets:    Secrets{Registry: map[string]string{"ghcr.io": "bot:to:ken"}},
	}
	got, err := c.endpoints()
	if err != nil {
		t.Fatal(err)
	}
	want := []registry.Endpoint{
		{Host: "registry.example.com", API: "127.0.0.1:5000", Insecure: true},
		{Host: "ghcr.io", Username: "bot", Password: "to:ken"},
		{Host: "quay.example.com", API: "mirror.example.com"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// A registry that calls itself by where it is reached is known by its name.
	translate := hosts(got)
	for told, name := range map[string]string{
		"127.0.0.1:5000": "registry.example.com", "registry.example.com": "registry.example.com", "ghcr.io": "ghcr.io",
		"mirror.example.com": "quay.example.com", "evil.example.com": "", "": "",
	} {
		if got := translate(told); got != name {
			t.Errorf("the host %q is %q, want %q", told, got, name)
		}
	}

	for _, bad := range []string{"registry.example.com=127.0.0.1:5000", "registry.example.com=ftp://a", "registry.example.com=", "registry.example.com=http://", "=http://127.0.0.1:5000"} {
		if _, err := (Config{Registries: []string{bad}}).endpoints(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "--registry") {
			t.Errorf("--registry %s: %v", bad, err)
		}
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: eu
clusters: [{name: here, cluster: {server: "https://127.0.0.1:6443"}}]
users: [{name: tagboat, user: {token: hunter2}}]
contexts:
- {name: eu, context: {cluster: here, user: tagboat}}
- {name: us, context: {cluster: here, user: tagboat}}
`

func TestClusters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	open, err := Config{Clusters: map[string]string{"prod-eu": path, "prod-us": path + "#us"}}.clusters()
	if err != nil || len(open) != 2 || open["prod-eu"] == nil || open["prod-us"] == nil {
		t.Errorf("%v, %v; want two clusters", open, err)
	}
	for story, where := range map[string]string{
		"no such file": filepath.Join(t.TempDir(), "missing"), "no such context": path + "#asia", "nothing": "",
	} {
		open, err := Config{Clusters: map[string]string{"prod-eu": where}}.clusters()
		if err == nil || open != nil {
			t.Errorf("%s: %v, %v; want an error", story, open, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the token is shown: %v", story, err)
		}
	}
}

func TestPrometheusServers(t *testing.T) {
	double := prometheustest.Start()
	defer double.Close()
	double.Say("up", prometheustest.Vector("1"))
	for login, header := range map[string]string{"": "", "tagboat:pa:ss": "Basic dGFnYm9hdDpwYTpzcw==", "hunter2": "Bearer hunter2"} {
		double.Want(header)
		c := Config{Prometheus: map[string]string{"main": double.URL()}}
		if login != "" {
			c.Secrets.Prometheus = map[string]string{"main": login}
		}
		open, err := c.prometheus()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := open["main"].Number(t.Context(), "up"); err != nil || got != 1 {
			t.Errorf("%q: %g, %v", login, got, err)
		}
	}
	for story, c := range map[string]Config{
		"no URL":             {Prometheus: map[string]string{"main": "prometheus"}},
		"a password in it":   {Prometheus: map[string]string{"main": "https://tagboat:hunter2@prometheus.example.com"}},
		"a login for nobody": {Secrets: Secrets{Prometheus: map[string]string{"mian": "hunter2"}}},
	} {
		if open, err := c.prometheus(); !fault.Is(err, fault.Invalid) || open != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", story, open, err)
		}
	}
}

// What the command line and the environment say arrives in the configuration.
func TestTheCommandLine(t *testing.T) {
	for name, value := range map[string]string{
		"TAGBOAT_ENV_REPOS":  "acme/env,acme/other",
		"TAGBOAT_CLUSTERS":   "prod-eu=/etc/kube/eu#admin,dev=in-cluster",
		"TAGBOAT_LOG_LEVEL":  "debug",
		"TAGBOAT_PROMETHEUS": "main=https://prometheus.example.com/eu",
		"TAGBOAT_REGISTRIES": "registry.example.com=http://127.0.0.1:5000,ghcr.io",
	} {
		t.Setenv(name, value)
	}
	var c Config
	parser, err := kong.New(&c, kong.Vars{"data_dir": "/var/lib/tagboat"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"--github-app-id=17", "--health-timeout=90s", "--public-url=https://tagboat.example.com"}); err != nil {
		t.Fatal(err)
	}
	want := Config{
		Listen: "127.0.0.1:8080", PublicURL: "https://tagboat.example.com", DataDir: "/var/lib/tagboat",
		GitHubAPI: "https://api.github.com/", GitHubURL: "https://github.com", Limits: Limits{github.GitHubLimits}, AppID: 17, EnvRepos: []string{"acme/env", "acme/other"},
		Registries:    []string{"registry.example.com=http://127.0.0.1:5000", "ghcr.io"},
		Clusters:      map[string]string{"prod-eu": "/etc/kube/eu#admin", "dev": "in-cluster"},
		Prometheus:    map[string]string{"main": "https://prometheus.example.com/eu"},
		HealthTimeout: 90 * time.Second, GitHubEvery: 2 * time.Minute, RegistryEvery: 15 * time.Minute, LogLevel: Level(slog.LevelDebug),
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if _, err := parser.Parse([]string{"--log-level=loud"}); err == nil || !strings.Contains(err.Error(), "write debug, info, warn or error") {
		t.Errorf("a log level that does not exist: %v", err)
	}
	if _, err := parser.Parse([]string{"--secrets=hunter2"}); err == nil {
		t.Error("a secret can be given on the command line, where other users see it")
	}
}
