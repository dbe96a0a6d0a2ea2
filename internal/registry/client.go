package registry

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Endpoint says how one registry is reached.
type Endpoint struct {
	Host     string // as image names write it: "registry.example.com"
	API      string // host and port to connect to; "" for Host
	Insecure bool   // plain HTTP; a registry without this is only ever asked by HTTPS
	Username string // "" to look in the keychain
	Password string
}

// Config says which registries there are and how to reach them.
type Config struct {
	Endpoints []Endpoint
	Keychain  authn.Keychain    // for hosts without a user name; nil for anonymous access
	Transport http.RoundTripper // nil for remote.DefaultTransport
	Timeout   time.Duration     // for one question, all its requests together; 0 for 30 s
	Now       func() time.Time  // nil for time.Now
}

// Client asks registries. It is safe for concurrent use and keeps no state
// between questions, so changed credentials are used at once.
type Client struct {
	config    Config
	endpoints map[string]Endpoint // by Host
}

// New makes a Client. It does not connect to anything.
func New(c Config) *Client {
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	if c.Keychain == nil {
		c.Keychain = authn.NewMultiKeychain() // finds nothing
	}
	if c.Transport == nil {
		c.Transport = remote.DefaultTransport
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	endpoints := map[string]Endpoint{}
	for _, e := range c.Endpoints {
		endpoints[e.Host] = e
	}
	return &Client{config: c, endpoints: endpoints}
}

// retries of one request: registries drop connections now and then. Whoever asks
// tries again later anyway.
var retries = remote.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 2}

// question is one repository of one registry, ready to be asked.
type question struct {
	name     string // as image names write it
	endpoint Endpoint
	repo     name.Repository
	options  []remote.Option
	puller   *remote.Puller
}

// ask prepares talking about the repository of an image name.
func (c *Client) ask(ctx context.Context, imageName string) (*question, error) {
	if ref, err := image.Parse(imageName); err != nil || ref.Tag != "" || ref.Digest != "" {
		return nil, fault.Errorf(fault.Invalid, "%q is not the name of an image repository", imageName)
	}
	host, path := splitHost(imageName)
	e, known := c.endpoints[host]
	if !known {
		e = Endpoint{Host: host}
	}
	options := []name.Option{}
	if e.Insecure {
		options = append(options, name.Insecure)
	}
	address := cmp.Or(e.API, host) + "/" + path
	repo, err := name.NewRepository(address, options...)
	if err != nil {
		return nil, fault.E(fault.Invalid, "", err)
	}
	auth, err := c.credentials(ctx, e, repo)
	if err != nil {
		return nil, err
	}
	how := []remote.Option{
		remote.WithAuth(auth),
		remote.WithTransport(&door{next: c.config.Transport, now: c.config.Now, api: repo.RegistryStr(), insecure: e.Insecure}),
		remote.WithRetryBackoff(retries),
	}
	puller, err := remote.NewPuller(how...)
	if err != nil {
		return nil, err
	}
	return &question{name: imageName, endpoint: e, repo: repo, options: how, puller: puller}, nil
}

// credentials are the endpoint's own or those that the keychain has for the host
// as image names write it.
func (c *Client) credentials(ctx context.Context, e Endpoint, repo name.Repository) (authn.Authenticator, error) {
	if e.Username != "" {
		return &authn.Basic{Username: e.Username, Password: e.Password}, nil
	}
	var resource authn.Resource = repo
	if e.API != "" {
		host, err := name.NewRegistry(e.Host)
		if err != nil {
			return nil, fault.E(fault.Invalid, "", err)
		}
		resource = host
	}
	auth, err := authn.Resolve(ctx, c.config.Keychain, resource)
	if err != nil {
		return nil, fault.E(fault.Invalid, "The credentials for registry "+repo.RegistryStr()+" cannot be read; check the keychain or the registry's configuration.", err)
	}
	return auth, nil
}

// splitHost cuts an image name at its registry host. A first part without a dot,
// a port or the name localhost is no host: "acme/payments" is at Docker Hub
// (https://github.com/distribution/reference, "splitDockerDomain").
func splitHost(imageName string) (host, path string) {
	host, path, ok := strings.Cut(imageName, "/")
	if !ok || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		return "docker.io", imageName
	}
	return host, path
}
