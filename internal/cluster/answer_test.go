package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
)

// Why there was no answer is told in few words, the same ones at every try.
func TestWhyThereWasNoAnswer(t *testing.T) {
	for want, err := range map[string]error{
		"connection refused":       &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{Port: 6443}, Err: syscall.ECONNREFUSED},
		"no such host":             &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "prod.example.com", Server: "192.0.2.1:53", IsNotFound: true}},
		"no answer in time":        &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ETIMEDOUT},
		"connection reset by peer": &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40123}, Err: syscall.ECONNRESET},
		"the connection was cut":   io.EOF,
	} {
		lost := fmt.Errorf("list the kinds: %w", &url.Error{Op: "Get", URL: "https://prod.example.com/version", Err: err})
		classified := (&Cluster{name: "eu", server: "https://prod.example.com"}).classify(lost, action{})
		if hint := fault.HintOf(classified); !fault.Is(classified, fault.Transient) || !strings.Contains(hint, " ("+want+"): ") {
			t.Errorf("%v: %s", err, hint)
		}
	}
}

// What runs out of credentials in the midst of its questions knows nothing: no object is
// refused.
func TestWithoutCredentialsNoObjectIsRefused(t *testing.T) {
	c := &Cluster{name: "eu"}
	err := c.classify(&url.Error{Op: "Patch", URL: "https://prod.example.com", Err: errors.New("getting credentials: exec: executable login failed with exit code 1")}, action{})
	if got := noAnswer(t.Context(), []error{nil, err}); got != err || !fault.Is(got, fault.Denied) {
		t.Errorf("got %v", got)
	}
}
