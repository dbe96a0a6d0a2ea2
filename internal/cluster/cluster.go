package cluster

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/health"
)

// Config says which cluster and how to reach it. Without KubeconfigData,
// Kubeconfig and InCluster the user's own kubeconfig is read (KUBECONFIG, else
// the one in the home directory).
type Config struct {
	Name           string           // as tagboat.yaml calls it; for messages
	KubeconfigData []byte           // a kubeconfig's content; goes before Kubeconfig
	Kubeconfig     string           // path of one
	Context        string           // in the kubeconfig; "" for its current one
	InCluster      bool             // the cluster that this process runs in, by its service account
	Timeout        time.Duration    // of one request; 0 for 30 s
	InFlight       int              // requests at the same time; 0 for 32
	Now            func() time.Time // the clock; nil for time.Now
}

const (
	defaultTimeout  = 30 * time.Second
	pingTimeout     = 5 * time.Second
	defaultInFlight = 32 // more help only far away, and an API server's fair share for one client is 49
)

// Cluster is an open door to one Kubernetes API. It is safe for concurrent use.
type Cluster struct {
	name      string
	server    string
	inFlight  int
	now       func() time.Time
	dynamic   dynamic.Interface
	metadata  metadata.Interface
	watches   metadata.Interface // without bounds: a watch is a request that does not end
	discovery discovery.DiscoveryInterface
	kinds     *kinds
	known     *health.Rules // of kinds that every Tagboat knows
}

// Open reads the configuration. It does not talk to the cluster yet: see Ping.
func Open(cfg Config) (_ *Cluster, err error) {
	defer fault.Wrap(&err, "open cluster %s", cfg.Name)
	rc, err := cfg.rest()
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("The configuration of cluster %s cannot be used: %v.", cfg.Name, err), err)
	}
	inFlight := cfg.InFlight
	if inFlight <= 0 {
		inFlight = defaultInFlight
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	rc.Timeout = cfg.Timeout
	if rc.Timeout <= 0 {
		rc.Timeout = defaultTimeout
	}
	rc.QPS = -1 // no client-side rate; the bound on requests in flight takes its place
	rc.UserAgent = "tagboat"
	rc.WarningHandler = rest.NoWarnings{}
	without := unbounded(rc)
	patient, err := clientFor(without, defaultInFlight)
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("The credentials of cluster %s cannot be used: %v.", cfg.Name, err), err)
	}
	watches, err := metadata.NewForConfigAndClient(without, patient)
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("The credentials of cluster %s cannot be used: %v.", cfg.Name, err), err)
	}
	bound := newGate(inFlight)
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper { return &limited{next: next, gate: bound} })
	client, err := clientFor(rc, inFlight)
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("The credentials of cluster %s cannot be used: %v.", cfg.Name, err), err)
	}
	dyn, err := dynamic.NewForConfigAndClient(rc, client)
	if err != nil {
		return nil, err
	}
	meta, err := metadata.NewForConfigAndClient(rc, client)
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(rc, client)
	if err != nil {
		return nil, err
	}
	known, problems := health.Compile(health.Known())
	if len(problems) > 0 {
		return nil, fmt.Errorf("compile the known rules of health: %s", problems[0].Message)
	}
	return &Cluster{
		name: cfg.Name, server: withoutPassword(rc.Host), inFlight: inFlight, now: cfg.Now, dynamic: dyn, metadata: meta, watches: watches, discovery: disco,
		kinds: &kinds{discovery: disco}, known: known,
	}, nil
}

// Same reports whether another door leads to the same API server, under whatever name.
func (c *Cluster) Same(other *Cluster) bool { return other != nil && c.server == other.server }

// unbounded is the configuration without a timeout and a limit on requests in flight.
func unbounded(rc *rest.Config) *rest.Config {
	rc = rest.CopyConfig(rc)
	rc.Timeout = 0
	return rc
}

func withoutPassword(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return "an address that is no URL"
	}
	return u.Redacted()
}

func (cfg Config) rest() (*rest.Config, error) {
	if cfg.InCluster {
		return rest.InClusterConfig()
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: cfg.Context}
	if len(cfg.KubeconfigData) > 0 {
		raw, err := clientcmd.Load(cfg.KubeconfigData)
		if err != nil {
			return nil, err
		}
		return clientcmd.NewNonInteractiveClientConfig(*raw, cfg.Context, overrides, nil).ClientConfig()
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if cfg.Kubeconfig != "" {
		rules.ExplicitPath = cfg.Kubeconfig
	}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
}

// Ping asks the cluster for its version: nil means that it can be reached and
// takes our credentials.
func (c *Cluster) Ping(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "reach cluster %s", c.name)
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return c.classify(c.discovery.RESTClient().Get().AbsPath("/version").Do(ctx).Error(), action{})
}
