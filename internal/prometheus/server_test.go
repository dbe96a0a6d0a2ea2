package prometheus_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/prometheus"
	"github.com/tagboat/tagboat/internal/prometheus/prometheustest"
)

func open(t *testing.T, c prometheus.Config) *prometheus.Server {
	t.Helper()
	c.Name = "main"
	s, err := prometheus.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatAQueryGives(t *testing.T) {
	double := prometheustest.Start()
	defer double.Close()
	s := open(t, prometheus.Config{URL: double.URL()})
	for _, tt := range []struct {
		name   string
		answer prometheustest.Answer
		number float64
		kind   fault.Kind // of the error, with its hint
		hint   string
	}{
		{"a number", prometheustest.Vector("0.25"), 0.25, 0, ""},
		{"a scalar", prometheustest.Scalar("1e-3"), 0.001, 0, ""},
		{"no data", prometheustest.Vector(), 0, fault.NotFound, "Prometheus main has no data for it"},
		{"nothing to divide by", prometheustest.Vector("NaN"), 0, fault.NotFound, "gives NaN for it"},
		{"without end", prometheustest.Vector("+Inf"), 0, fault.NotFound, "gives +Inf for it"},
		{"several series", prometheustest.Vector("1", "2"), 0, fault.Invalid, "gives 2 series for it, not one number; aggregate it"},
		{"a range", prometheustest.Matrix(), 0, fault.Invalid, "gives a matrix for it"},
		{"half of the data", prometheustest.Warned("1", "a store is away"), 0, fault.Transient, "warns of its answer: a store is away"},
		{"no PromQL", prometheustest.Refused(400, "bad_data", "1:5: parse error: unexpected end of input"), 0, fault.Invalid, "refuses the query: 1:5: parse error: unexpected end of input"},
		{"too much to evaluate", prometheustest.Refused(422, "execution", "query processing would load too many samples"), 0, fault.Invalid, "would load too many samples"},
		{"too slow", prometheustest.Refused(503, "timeout", "query timed out in expression evaluation"), 0, fault.Transient, "did not answer: server error: 503."},
		{"unwell", prometheustest.Answer{Status: 500, Body: "oops"}, 0, fault.Transient, "did not answer"},
		{"a redirect", prometheustest.Answer{Status: 302, Body: ""}, 0, fault.Transient, "did not answer"},
		{"no JSON", prometheustest.Answer{Status: 200, Body: "<html>"}, 0, fault.Transient, ""},
		{"more than anybody reads", prometheustest.Answer{Status: 200, Body: `{"status":"success","data":"` + strings.Repeat("x", 2<<20) + `"}`}, 0, fault.Transient, ""},
		{"refused", prometheustest.Answer{Status: 403, Body: "no"}, 0, fault.Denied, "does not let Tagboat ask"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			double.Say("q", tt.answer)
			got, err := s.Number(t.Context(), "q")
			if tt.hint == "" && tt.kind == 0 {
				if err != nil || got != tt.number {
					t.Errorf("got %g, %v", got, err)
				}
				return
			}
			if !fault.Is(err, tt.kind) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("got %g, %v (%s), want %s and %q", got, err, fault.HintOf(err), tt.kind, tt.hint)
			}
		})
	}
	if asked := double.Asked(); len(asked) == 0 || asked[0] != "q" {
		t.Errorf("asked %q", asked)
	}
}

func TestWhoAsks(t *testing.T) {
	double := prometheustest.Start()
	defer double.Close()
	double.Say("q", prometheustest.Vector("1"))
	for _, tt := range []struct {
		config prometheus.Config
		header string
	}{
		{prometheus.Config{Username: "tagboat", Password: "pass"}, "Basic dGFnYm9hdDpwYXNz"},
		{prometheus.Config{Token: "abc"}, "Bearer abc"},
	} {
		double.Want(tt.header)
		tt.config.URL = double.URL() + "/"
		if got, err := open(t, tt.config).Number(t.Context(), "q"); err != nil || got != 1 {
			t.Errorf("%s: %v", tt.header, err)
		}
		if _, err := open(t, prometheus.Config{URL: double.URL()}).Number(t.Context(), "q"); !fault.Is(err, fault.Denied) {
			t.Errorf("without credentials: %v", err)
		}
	}
}

// A redirect is not followed: the credentials would go with it.
func TestCredentialsStayWithTheServer(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	leads := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer leads.Close()
	_, err := open(t, prometheus.Config{URL: leads.URL, Token: "hunter2hunter2"}).Number(t.Context(), "q")
	if !fault.Is(err, fault.Transient) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatIsAway(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()    // the server notices who goes away once it has read all
		<-r.Context().Done() // until whoever asked has gone away
	}))
	_, err := open(t, prometheus.Config{URL: silent.URL, Timeout: 50 * time.Millisecond}).Number(t.Context(), "q")
	if !fault.Is(err, fault.Transient) || !strings.Contains(fault.HintOf(err), "Prometheus main cannot be reached.") {
		t.Errorf("silent: %v", err)
	}
	silent.Close()
	if _, err := open(t, prometheus.Config{URL: silent.URL}).Number(t.Context(), "q"); !fault.Is(err, fault.Transient) {
		t.Errorf("closed: %v", err)
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, url := range []string{"", "prometheus:9090", "ftp://prometheus", "https://tagboat:hunter2@prometheus.example.com", "http://a b"} {
		if _, err := prometheus.Open(prometheus.Config{Name: "main", URL: url}); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
