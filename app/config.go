package app

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/intake"
	"github.com/tagboat/tagboat/internal/prometheus"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/worker"
)

// Config is everything that a server is started with. The tags are the command
// line's: `tagboat serve --help` shows them. Secrets come from the environment
// or from files, never from flags, which other users of the machine can see.
type Config struct {
	Listen    string `default:"127.0.0.1:8080" env:"TAGBOAT_LISTEN" help:"Address to serve on."`
	PublicURL string `env:"TAGBOAT_PUBLIC_URL" help:"Where people find this server; checks link to it." placeholder:"URL"`
	DataDir   string `default:"${data_dir}" env:"TAGBOAT_DATA_DIR" help:"Where copies of env repos are kept; in the user's cache directory if not given." placeholder:"DIR" type:"path"`

	Database string `env:"TAGBOAT_DATABASE_URL" help:"PostgreSQL 14 or newer." placeholder:"URL"`

	GitHubAPI string   `name:"github-api" default:"https://api.github.com/" env:"TAGBOAT_GITHUB_API_URL" help:"https://HOST/api/v3/ for GitHub Enterprise Server."`
	GitHubURL string   `name:"github-url" default:"https://github.com" env:"TAGBOAT_GITHUB_URL" help:"Where repositories are cloned from."`
	Limits    Limits   `name:"github-limits" default:"github.com" env:"TAGBOAT_GITHUB_LIMITS" help:"Rate limits of an installation to keep within: github.com, none (a GitHub Enterprise Server has none by default), or your own, such as points=900/1m,content=80/1m,content=500/1h."`
	AppID     int64    `name:"github-app-id" env:"TAGBOAT_GITHUB_APP_ID" help:"Number of the GitHub App." placeholder:"NUMBER"`
	EnvRepos  []string `name:"env-repo" env:"TAGBOAT_ENV_REPOS" help:"GitOps repository to look after: OWNER/NAME, OWNER/NAME#NUMBER, or OWNER/* for those of an owner that have a tagboat.yaml; can be given several times. Without any, all that the GitHub App is installed on and that have one." placeholder:"OWNER/NAME"`

	Registries   []string          `name:"registry" env:"TAGBOAT_REGISTRIES" help:"Registry that images come from, and where it is reached if elsewhere: HOST or HOST=URL, such as registry.example.com=http://127.0.0.1:5000." placeholder:"HOST[=URL]"`
	Remotes      []string          `name:"remote" env:"TAGBOAT_REMOTES" help:"Where remote bases and charts may be fetched from when an overlay pins them: a prefix such as https://github.com/acme/ or oci://registry.example.com/charts. Nothing by default." placeholder:"URL"`
	Clusters     map[string]string `name:"cluster" env:"TAGBOAT_CLUSTERS" mapsep:"," help:"Cluster by its name in tagboat.yaml, and its kubeconfig and context; “in-cluster” is the one that Tagboat runs in." placeholder:"NAME=KUBECONFIG[#CONTEXT]"`
	ClusterRepos []string          `name:"cluster-repo" env:"TAGBOAT_CLUSTER_REPOS" help:"Env repo that a cluster takes from: NAME=OWNER/NAME or NAME=OWNER/NAME#NUMBER; can be given several times. A cluster without any takes from the env repos that --env-repo names, and from no others." placeholder:"NAME=OWNER/NAME"`

	Installation string `env:"TAGBOAT_INSTALLATION" help:"Name of this Tagboat, which marks what it applies. It comes from the database; give it where the database is lost, so that the new one goes on with what the old one has applied." placeholder:"NAME"`

	Prometheus map[string]string `env:"TAGBOAT_PROMETHEUS" mapsep:"," help:"Prometheus server by its name in tagboat.yaml, for the metrics of environments: NAME=URL." placeholder:"NAME=URL"`

	Policies string `env:"TAGBOAT_POLICIES" help:"The organisation's policies: a file whose rules hold in every env repo, and that no env repo can loosen." placeholder:"FILE" type:"path"`

	SigstoreRoot string `name:"sigstore-trusted-root" env:"TAGBOAT_SIGSTORE_TRUSTED_ROOT" help:"The Sigstore instance whose certificates are trusted, for signatures without a key: its trusted_root.json, or public-good for the one that everybody may use. None by default." placeholder:"FILE"`

	SOPSAge []string `name:"sops-age-key" env:"TAGBOAT_SOPS_AGE_KEYS" help:"File with age identities that decrypt what SOPS encrypted in Git; can be given several times." placeholder:"FILE" type:"path"`
	SOPSPGP []string `name:"sops-pgp-key" env:"TAGBOAT_SOPS_PGP_KEYS" help:"File with armored private PGP keys, without a passphrase, for the same; can be given several times." placeholder:"FILE" type:"path"`
	SOPSKMS []string `name:"sops-kms" env:"TAGBOAT_SOPS_KMS" help:"Key in a key service that may be asked to decrypt the same, or what the names of such begin with: arn:aws:kms:REGION:ACCOUNT:key/ID, projects/PROJECT/locations/…, https://NAME.vault.azure.net/keys/NAME, https://VAULT/v1/ENGINE/keys/NAME. None by default." placeholder:"KEY"`

	HealthTimeout time.Duration `default:"10m" env:"TAGBOAT_HEALTH_TIMEOUT" help:"How long a rollout may take before it counts as failed."`
	GitHubEvery   time.Duration `name:"github-poll" default:"2m" env:"TAGBOAT_GITHUB_POLL" help:"How often to look on GitHub for what no webhook told: comments, reviews, ticks, checks, ends of pull requests. 0 is never."`
	RegistryEvery time.Duration `name:"registry-poll" default:"15m" env:"TAGBOAT_REGISTRY_POLL" help:"How often to ask registries for new versions of each image that nobody told of. 0 is never."`
	LogLevel      Level         `default:"info" env:"TAGBOAT_LOG_LEVEL" help:"debug, info, warn or error."`

	Secrets Secrets `kong:"-"`

	// Syncs has the process bring its clusters to Git, and do nothing else.
	Syncs bool `kong:"-"`
}

// Level is how much is logged.
type Level slog.Level

// UnmarshalText reads the four names that are documented.
func (l *Level) UnmarshalText(text []byte) error {
	level, known := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[strings.ToLower(string(text))]
	if !known {
		return fmt.Errorf("%q is unknown; write debug, info, warn or error", text)
	}
	*l = Level(level)
	return nil
}

// Limits are rate limits of GitHub, as a flag.
type Limits struct{ github.Limits }

// Secrets are what nobody else may know.
type Secrets struct {
	Database   string            // its URL may hold a password; for a Config whose Database is ""
	PrivateKey []byte            // of the GitHub App, PEM
	Doors      intake.Secrets    // of those who send
	Registry   map[string]string // host -> "user:password"
	Prometheus map[string]string // name -> "user:password", or a bearer token
}

// The variables that hold secrets. Each can be given as NAME or, as the path of
// a file, as NAME_FILE. Several webhook secrets, separated by commas or lines,
// are all valid: to replace one, add the new one first.
const (
	envDatabase       = "TAGBOAT_DATABASE_URL"
	envPrivateKey     = "TAGBOAT_GITHUB_PRIVATE_KEY"
	envWebhookSecret  = "TAGBOAT_GITHUB_WEBHOOK_SECRET"
	envRegistrySecret = "TAGBOAT_REGISTRY_WEBHOOK_SECRET"
	envCISecret       = "TAGBOAT_CI_WEBHOOK_SECRET"
	envRegistryLogin  = "TAGBOAT_REGISTRY_LOGINS"   // host=user:password, separated by commas or lines
	envMetricLogin    = "TAGBOAT_PROMETHEUS_LOGINS" // name=user:password or name=token, the same
)

// ReadSecrets reads the secrets from the environment.
func ReadSecrets(getenv func(string) string) (Secrets, error) {
	var s Secrets
	values := map[string]string{}
	for _, name := range []string{envDatabase, envPrivateKey, envWebhookSecret, envRegistrySecret, envCISecret, envRegistryLogin, envMetricLogin} {
		value, err := secret(getenv, name)
		if err != nil {
			return s, err
		}
		values[name] = value
	}
	s.Database = values[envDatabase]
	s.PrivateKey = []byte(values[envPrivateKey])
	s.Doors = intake.Secrets{
		GitHub: list(values[envWebhookSecret]), Registry: list(values[envRegistrySecret]), CI: list(values[envCISecret]),
	}
	s.Registry = map[string]string{}
	for _, login := range list(values[envRegistryLogin]) {
		host, credentials, ok := strings.Cut(string(login), "=")
		if !ok || !strings.Contains(credentials, ":") {
			return s, fault.Errorf(fault.Invalid, "%s: an entry is not of the form host=user:password", envRegistryLogin)
		}
		s.Registry[host] = credentials
	}
	s.Prometheus = map[string]string{}
	for _, login := range list(values[envMetricLogin]) {
		name, credentials, ok := strings.Cut(string(login), "=")
		if !ok || credentials == "" {
			return s, fault.Errorf(fault.Invalid, "%s: an entry is not of the form name=user:password or name=token", envMetricLogin)
		}
		s.Prometheus[name] = credentials
	}
	return s, nil
}

// DatabaseURL is the database that a command is told: by its flag, else by the
// environment or a file.
func DatabaseURL(flag string, getenv func(string) string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	return secret(getenv, envDatabase)
}

func secret(getenv func(string) string, name string) (string, error) {
	if value := getenv(name); value != "" {
		return value, nil
	}
	path := getenv(name + "_FILE")
	if path == "" {
		return "", nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fault.E(fault.Invalid, fmt.Sprintf("%s_FILE cannot be read: %v", name, err), err)
	}
	return strings.TrimSpace(string(data)), nil
}

func list(s string) [][]byte {
	var out [][]byte
	for _, v := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, []byte(v))
		}
	}
	return out
}

// longestRollout is the longest --health-timeout: an attempt that lasts an hour is taken for
// dead.
const longestRollout = 45 * time.Minute

// Check names everything that a server lacks, at once.
func (c Config) Check() error {
	var missing []string
	need := func(ok bool, what string) {
		if !ok {
			missing = append(missing, what)
		}
	}
	need(c.Database != "", "TAGBOAT_DATABASE_URL (the PostgreSQL database)")
	need(c.AppID != 0, "TAGBOAT_GITHUB_APP_ID (the number of the GitHub App)")
	need(len(c.Secrets.PrivateKey) > 0, envPrivateKey+" (the GitHub App's private key)")
	if c.Syncs {
		need(len(c.Clusters) > 0, "--cluster (the clusters that are brought to Git)")
	} else {
		c.Secrets.needDoors(need)
	}
	if len(missing) > 0 {
		return lacking(missing)
	}
	for name, every := range map[string]time.Duration{"--github-poll": c.GitHubEvery, "--registry-poll": c.RegistryEvery} {
		if every != 0 && every < time.Second {
			return fault.Errorf(fault.Invalid, "%s %s: it cannot be more often than every second; 0 is never", name, every)
		}
	}
	if c.HealthTimeout < 0 || c.HealthTimeout > longestRollout {
		return fault.Errorf(fault.Invalid, "--health-timeout %s: it can be %s at most", c.HealthTimeout, longestRollout)
	}
	selected, err := c.envRepos()
	if err != nil {
		return err
	}
	_, err = c.clusterRepos(selected)
	return err
}

// Only leaves of the clusters those that are named; all, where none is.
func (c Config) Only(names []string) (Config, error) {
	if len(names) == 0 {
		return c, nil
	}
	clusters := map[string]string{}
	for _, name := range names {
		where, known := c.Clusters[name]
		if !known {
			return c, fault.Errorf(fault.Invalid, "--clusters names %s, and no --cluster says how to reach it: add --cluster %s=<kubeconfig>.", name, name)
		}
		clusters[name] = where
	}
	c.ClusterRepos = slices.DeleteFunc(slices.Clone(c.ClusterRepos), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, given := c.Clusters[name]
		return given && clusters[name] == ""
	})
	c.Clusters = clusters
	return c, nil
}

// needDoors asks for what authenticates those who send.
func (s Secrets) needDoors(need func(ok bool, what string)) {
	need(len(s.Doors.GitHub) > 0, envWebhookSecret+" (without it everybody could send webhooks)")
	need(len(s.Doors.Registry) > 0, envRegistrySecret+" (without it everybody could announce images)")
	need(len(s.Doors.CI) > 0, envCISecret+" (without it everybody could announce images)")
}

// envRepos reads --env-repo.
func (c Config) envRepos() (worker.Selection, error) {
	selected, err := worker.ParseSelection(c.EnvRepos)
	fault.Wrap(&err, "--env-repo")
	return selected, err
}

// clusterRepos reads --cluster-repo. Every cluster has to take from somebody: where
// --env-repo leaves open which repositories are env repos, anybody who may write to
// one could name it in a tagboat.yaml.
func (c Config) clusterRepos(selected worker.Selection) (map[string]worker.Selection, error) {
	entries := map[string][]string{}
	for _, entry := range c.ClusterRepos {
		name, repo, ok := strings.Cut(entry, "=")
		if _, known := c.Clusters[name]; !ok || !known {
			return nil, fault.Errorf(fault.Invalid, "--cluster-repo %s: in front of “=” the name of a --cluster is expected", entry)
		}
		entries[name] = append(entries[name], repo)
	}
	bound := map[string]worker.Selection{}
	for name, repos := range entries {
		var err error
		if bound[name], err = worker.ParseSelection(repos); err != nil {
			return nil, fmt.Errorf("--cluster-repo of %s: %w", name, err)
		}
		for _, s := range bound[name] {
			if s.Name == "" { // an owner who gives the name up leaves it, with the cluster, to anybody
				return nil, fault.Errorf(fault.Invalid, "--cluster-repo %s=%s: name each env repo that the cluster takes from, as %s=OWNER/NAME. An owner's name can be given up and taken by somebody else, whose repositories would then get the cluster.", name, s, name)
			}
		}
	}
	named := slices.ContainsFunc(selected, func(s worker.Selector) bool { return s.Name != "" })
	for _, name := range slices.Sorted(maps.Keys(c.Clusters)) {
		if len(bound[name]) == 0 && !named {
			return nil, fault.Errorf(fault.Invalid, "Cluster %s takes from no env repo: --env-repo names none. Say which ones it takes from, with --cluster-repo %s=OWNER/NAME.", name, name)
		}
	}
	return bound, nil
}

// sweeps is how often a sweep is due.
func (c Config) sweeps() time.Duration {
	often := sweepEvery
	for _, every := range []time.Duration{c.GitHubEvery, c.RegistryEvery} {
		if every > 0 {
			often = min(often, every)
		}
	}
	return often
}

// lacking says what is missing, a line for each.
func lacking(missing []string) error {
	what := fmt.Sprintf("%d settings are missing", len(missing))
	if len(missing) == 1 {
		what = "1 setting is missing"
	}
	return fault.Errorf(fault.Invalid, "Tagboat cannot start; %s:\n  %s\nA secret can be given as a file too, with _FILE behind its name.", what, strings.Join(missing, "\n  "))
}

// endpoints reads --registry.
func (c Config) endpoints() ([]registry.Endpoint, error) {
	var endpoints []registry.Endpoint
	for _, r := range c.Registries {
		host, at, elsewhere := strings.Cut(r, "=")
		e := registry.Endpoint{Host: host}
		if host == "" {
			return nil, fault.Errorf(fault.Invalid, "--registry %s: in front of “=” the registry's host is expected", r)
		}
		if elsewhere {
			u, err := url.Parse(at)
			if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
				return nil, fault.Errorf(fault.Invalid, "--registry %s: behind “=” an http or https URL is expected", host)
			}
			e.API, e.Insecure = u.Host, u.Scheme == "http"
		}
		if login, ok := c.Secrets.Registry[host]; ok {
			e.Username, e.Password, _ = strings.Cut(login, ":")
		}
		endpoints = append(endpoints, e)
	}
	return endpoints, nil
}

// hosts translates the host that a registry calls itself into the one that image
// names have. A host that is not configured is not known.
func hosts(endpoints []registry.Endpoint) func(string) string {
	names := map[string]string{}
	for _, e := range endpoints {
		names[e.Host] = e.Host
		if e.API != "" {
			names[e.API] = e.Host
		}
	}
	return func(host string) string { return names[host] }
}

// prometheus opens --prometheus.
func (c Config) prometheus() (map[string]*prometheus.Server, error) {
	for name := range c.Secrets.Prometheus {
		if _, known := c.Prometheus[name]; !known {
			return nil, fault.Errorf(fault.Invalid, "%s: there is no --prometheus %s=URL", envMetricLogin, name)
		}
	}
	open := map[string]*prometheus.Server{}
	for name, at := range c.Prometheus {
		config := prometheus.Config{Name: name, URL: at}
		if user, password, ok := strings.Cut(c.Secrets.Prometheus[name], ":"); ok {
			config.Username, config.Password = user, password
		} else {
			config.Token = user
		}
		server, err := prometheus.Open(config)
		if err != nil {
			return nil, err
		}
		open[name] = server
	}
	return open, nil
}

// clusters opens --cluster.
func (c Config) clusters() (map[string]*cluster.Cluster, error) {
	open := map[string]*cluster.Cluster{}
	for name, where := range c.Clusters {
		config := cluster.Config{Name: name}
		if where == "in-cluster" {
			config.InCluster = true
		} else {
			config.Kubeconfig, config.Context, _ = strings.Cut(where, "#")
		}
		door, err := cluster.Open(config)
		if err != nil {
			return nil, err
		}
		open[name] = door
	}
	return open, nil
}
