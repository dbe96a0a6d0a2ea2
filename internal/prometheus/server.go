package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/tagboat/tagboat/internal/fault"
)

// Config says which server and how to reach it. With Username or Token, not both.
type Config struct {
	Name      string // as tagboat.yaml calls it; for messages
	URL       string // "https://prometheus.example.com/prefix", without user or password
	Username  string
	Password  string
	Token     string            // sent as a bearer token
	Timeout   time.Duration     // of one query; 0 for 10 s
	Transport http.RoundTripper // nil for the library's
}

const (
	defaultTimeout = 10 * time.Second
	maxAnswer      = 1 << 20 // bytes; one number is a hundred
)

// Server is one Prometheus server. It is safe for concurrent use.
type Server struct {
	name    string
	timeout time.Duration
	api     v1.API
}

// Open reads the configuration. It does not talk to the server yet.
func Open(c Config) (*Server, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fault.Errorf(fault.Invalid, "Prometheus %s: an http or https URL is expected", c.Name)
	}
	if u.User != nil {
		return nil, fault.Errorf(fault.Invalid, "Prometheus %s: its URL has a user or a password in it, which others can see; give them apart", c.Name)
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Transport == nil {
		c.Transport = api.DefaultRoundTripper
	}
	// A redirect could lead the credentials elsewhere; it is an answer like any other.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client, err := api.NewClient(api.Config{Address: c.URL, Client: &http.Client{Transport: &door{c}, CheckRedirect: stay}})
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("Prometheus %s: its URL cannot be used.", c.Name), err)
	}
	return &Server{name: c.Name, timeout: c.Timeout, api: v1.NewAPI(client)}, nil
}

// door puts the credentials on requests and bounds the answers.
type door struct{ config Config }

func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "tagboat")
	switch {
	case d.config.Token != "":
		r.Header.Set("Authorization", "Bearer "+d.config.Token)
	case d.config.Username != "":
		r.SetBasicAuth(d.config.Username, d.config.Password)
	}
	resp, err := d.config.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = body{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

type body struct {
	io.Reader
	io.Closer
}

// Number is what a query gives at this moment, by the server's clock.
//
// Errors: NotFound where it gives nothing or NaN; Invalid where the server refuses it, or
// it gives more than one number; Denied where the server does not let us ask; Transient
// where it is away, or warns that its answer is not whole.
func (s *Server) Number(ctx context.Context, query string) (_ float64, err error) {
	defer fault.Wrap(&err, "ask Prometheus %s", s.name)
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	value, warnings, err := s.query(ctx, query)
	if err != nil {
		return 0, s.classify(err)
	}
	if len(warnings) > 0 {
		return 0, fault.Errorf(fault.Transient, "Prometheus %s warns of its answer: %s", s.name, short(strings.Join(warnings, "; ")))
	}
	number, what := one(value)
	switch {
	case what != "":
		return 0, fault.Errorf(fault.Invalid, "Prometheus %s gives %s for it, not one number; aggregate it to one, as sum(…) does", s.name, what)
	case number == nil:
		return 0, fault.Errorf(fault.NotFound, "Prometheus %s has no data for it", s.name)
	case math.IsNaN(*number) || math.IsInf(*number, 0):
		return 0, fault.Errorf(fault.NotFound, "Prometheus %s gives %g for it, as when there is nothing to divide by", s.name, *number)
	}
	return *number, nil
}

// query has the server end by itself what nobody waits for any more.
func (s *Server) query(ctx context.Context, query string) (model.Value, v1.Warnings, error) {
	value, warnings, _, err := s.api.Query(ctx, query, time.Time{}, v1.WithTimeout(s.timeout))
	return value, warnings, err
}

// one is the number of an answer, nil where it has none; what it is instead, where it is
// something else.
func one(value model.Value) (number *float64, what string) {
	switch v := value.(type) {
	case *model.Scalar:
		f := float64(v.Value)
		return &f, ""
	case model.Vector:
		switch {
		case len(v) == 0:
			return nil, ""
		case len(v) > 1:
			return nil, fmt.Sprintf("%d series", len(v))
		case v[0].Histogram != nil:
			return nil, "a histogram"
		}
		f := float64(v[0].Value)
		return &f, ""
	}
	return nil, fmt.Sprintf("a %s", value.Type())
}

func (s *Server) classify(err error) error {
	var refused *v1.Error
	if !errors.As(err, &refused) {
		return fault.E(fault.Transient, fmt.Sprintf("Prometheus %s cannot be reached.", s.name), err)
	}
	switch {
	case refused.Type == v1.ErrBadData || refused.Type == v1.ErrExec:
		return fault.E(fault.Invalid, fmt.Sprintf("Prometheus %s refuses the query: %s", s.name, short(refused.Msg)), err)
	case strings.HasSuffix(refused.Msg, " 401") || strings.HasSuffix(refused.Msg, " 403"):
		return fault.E(fault.Denied, fmt.Sprintf("Prometheus %s does not let Tagboat ask; whoever runs Tagboat has to give it other credentials.", s.name), err)
	}
	return fault.E(fault.Transient, fmt.Sprintf("Prometheus %s did not answer: %s.", s.name, short(refused.Msg)), err)
}

// short is a server's text on one line, as long as people read it.
func short(s string) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > 200 {
		return string(runes[:199]) + "…"
	}
	return string(runes)
}
