package registry

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// door is the HTTP transport under go-containerregistry. It lets plain HTTP
// through only to a registry that was configured so, whatever a private address
// makes the library try or a redirect asks for; and it keeps Retry-After, which
// the library's errors drop.
type door struct {
	next     http.RoundTripper
	now      func() time.Time
	api      string // host and port of the registry
	insecure bool
}

func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	plain := req.URL.Scheme != "https"
	switch {
	case plain && !(d.insecure && req.URL.Host == d.api):
		return nil, fmt.Errorf("plain HTTP to %s is not allowed", req.URL.Host)
	case !plain && d.insecure && req.URL.Host == d.api:
		return nil, fmt.Errorf("%s is configured as plain HTTP", d.api)
	}
	res, err := d.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusTooManyRequests {
		res.Body.Close()
		return nil, fault.Limited(retryAfter(res.Header, d.now()), fmt.Errorf("registry %s answered 429 Too Many Requests", req.URL.Host))
	}
	return res, nil
}

// retryAfter is when to come back: what the answer says, as seconds or as a
// date, or else a minute from now.
func retryAfter(h http.Header, now time.Time) time.Time {
	said := h.Get("Retry-After")
	if s, err := strconv.Atoi(said); err == nil && s > 0 {
		return now.Add(time.Duration(s) * time.Second)
	}
	if at, err := http.ParseTime(said); err == nil && at.After(now) {
		return at
	}
	return now.Add(time.Minute)
}
