package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/fault"
)

// refusalCap bounds how much of an error answer is read.
const refusalCap = 64 << 10

// apiError is GitHub's own words about a request that it refused.
type apiError struct {
	status  int
	message string   // "Validation Failed"
	details []string // one per entry of "errors"
	unsaid  bool     // a limit that names no time
}

func (e *apiError) Error() string {
	text := e.message
	if text == "" {
		text = http.StatusText(e.status)
	}
	if len(e.details) > 0 {
		text += " (" + strings.Join(e.details, "; ") + ")"
	}
	return fmt.Sprintf("GitHub answered %d: %s", e.status, text)
}

// says reports whether the message or a detail contains text, whatever its case.
func (e *apiError) says(text string) bool {
	all := strings.ToLower(e.message + "\n" + strings.Join(e.details, "\n"))
	return strings.Contains(all, strings.ToLower(text))
}

// refusedWith is GitHub's refusal in err's chain if it had that status.
func refusedWith(err error, status int) (*apiError, bool) {
	e, ok := errors.AsType[*apiError](err)
	return e, ok && e.status == status
}

func readRefusal(resp *http.Response) *apiError {
	e := &apiError{status: resp.StatusCode}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, refusalCap))
	if err != nil {
		return e // the status alone still says what to do
	}
	var body struct {
		Message string            `json:"message"`
		Errors  []json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(raw, &body) != nil {
		// Proxies and GitHub's own load balancers answer in HTML; only rate
		// limits are told in plain text, and those are short.
		if text := strings.TrimSpace(string(raw)); len(text) < 300 && !strings.HasPrefix(text, "<") {
			e.message = Redact(text)
		}
		return e
	}
	e.message = Redact(body.Message)
	for _, item := range body.Errors {
		if text := detail(item); text != "" {
			e.details = append(e.details, Redact(text))
		}
	}
	return e
}

// detail reads one entry of "errors": a string, or an object whose message may
// be missing when its code says it all.
func detail(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var d struct{ Resource, Field, Code, Message string }
	if json.Unmarshal(raw, &d) != nil {
		return ""
	}
	if d.Message != "" {
		return d.Message
	}
	return strings.TrimSpace(d.Resource + " " + d.Field + " " + d.Code)
}

// refusal classifies an answer of 400 and above.
func refusal(req *http.Request, resp *http.Response, now time.Time) error {
	e := readRefusal(resp)
	if until, limited := limitedUntil(resp, e, now); limited {
		return fault.Limited(until, e)
	}
	if err := absent(req, e); err != nil {
		return err
	}
	switch {
	case e.status == http.StatusUnauthorized:
		return unauthorized(req, e)
	case e.status == http.StatusForbidden:
		return forbidden(resp, e)
	case e.status == http.StatusNotFound, e.status == http.StatusGone:
		return fault.E(fault.NotFound, "It does not exist on GitHub, or the App may not see it: "+
			"check the name, and that the App is installed on the repository.", e)
	case e.status == http.StatusMethodNotAllowed, e.status == http.StatusUnavailableForLegalReasons:
		return fault.E(fault.Denied, "GitHub does not allow it: "+e.message, e)
	case e.status == http.StatusConflict:
		return fault.E(fault.Conflict, "", e)
	case e.status == http.StatusUnprocessableEntity && e.says("could not resolve to a node"):
		// GitHub's replicas lag behind its own writes
		// (peter-evans/create-pull-request#4356).
		return fault.E(fault.Transient, "GitHub does not yet see what it was just told; Tagboat tries again.", e)
	case e.status >= 500:
		return fault.E(fault.Transient, "GitHub is having trouble; Tagboat tries again.", e)
	}
	return fault.E(fault.Invalid, "GitHub refused the request: "+strings.Join(append([]string{e.message}, e.details...), "; "), e)
}

// limitedUntil recognises primary and secondary rate limits. GitHub signals
// them with 403 or 429, with or without headers; sometimes only the text says
// it (hub4j/github-api#1805, #2009). Without a time it asks for at least a
// minute of patience (docs.github.com, "Rate limits for the REST API").
func limitedUntil(resp *http.Response, e *apiError, now time.Time) (time.Time, bool) {
	if e.status != http.StatusForbidden && e.status != http.StatusTooManyRequests {
		return time.Time{}, false
	}
	if until, ok := retryAfter(resp.Header.Get("Retry-After"), now); ok {
		return until, true
	}
	if resp.Header.Get("X-RateLimit-Remaining") == "0" {
		if seconds, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			return later(time.Unix(seconds, 0), now.Add(time.Second)), true
		}
	} else if e.status != http.StatusTooManyRequests && !e.says("rate limit") && !e.says("abuse detection") {
		return time.Time{}, false
	}
	e.unsaid = true
	return now.Add(firstStrike), true
}

// retryAfter reads both forms of the header: seconds, or a date.
func retryAfter(value string, now time.Time) (time.Time, bool) {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return now.Add(time.Duration(max(seconds, 1)) * time.Second), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return later(at, now.Add(time.Second)), true
	}
	return time.Time{}, false
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

var clockClaim = regexp.MustCompile(`'(exp|iat)'|expiration time|issued at`)

// unauthorized tells a refused App from a refused installation token: the
// second is replaced by asking for another.
func unauthorized(req *http.Request, e *apiError) error {
	if !strings.HasPrefix(req.Header.Get("Authorization"), "Bearer ") {
		return fault.E(fault.Transient, "GitHub no longer accepts the App's installation token; Tagboat asks for a new one.", e)
	}
	if clockClaim.MatchString(strings.ToLower(e.message)) {
		return fault.E(fault.Denied, "GitHub refuses the App's signature because of its times: "+
			"this machine's clock is probably wrong. Set it (NTP) and try again.", e)
	}
	return fault.E(fault.Denied, "GitHub does not accept the App's id and private key: "+
		"whoever administers the App checks that both belong together and that the key was not deleted.", e)
}

// forbidden names what an administrator has to grant. GitHub tells it in a
// header, as alternatives joined by "; " of lists joined by ","
// (docs.github.com, "Troubleshooting the REST API").
func forbidden(resp *http.Response, e *apiError) error {
	needed := resp.Header.Get("X-Accepted-GitHub-Permissions")
	if needed == "" {
		return fault.E(fault.Denied, "GitHub does not allow it: "+e.message, e)
	}
	needed = strings.NewReplacer("; ", " or ", ";", " or ", ",", " and ").Replace(needed)
	return fault.E(fault.Denied, "The App lacks a permission: it needs "+needed+
		". An administrator of the App grants it in its settings, then an owner of the organisation accepts it.", e)
}

// classify gives a kind to the errors that do not come from wire: go-github's
// own memory of a used-up limit, and answers that broke off.
func classify(err error, now time.Time) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*gh.RateLimitError](err); ok {
		return fault.Limited(later(e.Rate.Reset.Time, now.Add(time.Second)), err)
	}
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, network := errors.AsType[net.Error](err)
	if syntax || network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded) {
		return fault.E(fault.Transient, "GitHub's answer did not arrive whole; Tagboat reads the state again.", err)
	}
	return err
}
