package gitmirror

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// wire is the HTTP transport under go-git. It turns answers that say no into
// classified errors, because go-git's decoder passes over the ERR line of a
// shallow request and its errors drop the status code.
type wire struct {
	next      http.RoundTripper
	url       string
	anonymous bool // without a token
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	next := w.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := w.refusal(res); err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

// refusal is what an answer says no with, or nil.
func (w *wire) refusal(res *http.Response) error {
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fault.E(fault.Denied, w.denied(), fmt.Errorf("status %d", code))
	case code == http.StatusNotFound:
		return fault.E(fault.NotFound, w.notFound(), fmt.Errorf("status %d", code))
	case code == http.StatusTooManyRequests:
		return fault.Limited(retryAfter(res.Header, time.Now()), fmt.Errorf("status %d", code))
	case code >= http.StatusBadRequest:
		return fault.E(fault.Transient, fmt.Sprintf("%s answered with status %d.", w.url, code), fmt.Errorf("status %d", code))
	}
	return w.errorLine(res)
}

func (w *wire) denied() string {
	if w.anonymous {
		return fmt.Sprintf("%s may not be read without credentials, or does not exist. A repository that is used without them has to be public.", w.url)
	}
	return fmt.Sprintf("%s may not be read. Check that the GitHub App is installed on the repository and may read its contents.", w.url)
}

func (w *wire) notFound() string {
	if w.anonymous {
		return fmt.Sprintf("There is no public repository at %s.", w.url)
	}
	return fmt.Sprintf("There is no repository at %s, or the GitHub App is not installed on it.", w.url)
}

// errorLine reads the packet "ERR ..." with which a git server refuses a request
// that it understood, and puts everything else back.
func (w *wire) errorLine(res *http.Response) error {
	if res.Request == nil || res.Request.Method != http.MethodPost || res.StatusCode != http.StatusOK {
		return nil
	}
	body := bufio.NewReader(res.Body)
	head, _ := body.Peek(8) // a shorter answer is no ERR packet
	if len(head) < 8 || !bytes.Equal(head[4:], []byte("ERR ")) {
		res.Body = struct {
			io.Reader
			io.Closer
		}{body, res.Body}
		return nil
	}
	size, err := strconv.ParseUint(string(head[:4]), 16, 16)
	if err != nil {
		return fmt.Errorf("malformed packet")
	}
	line, _ := io.ReadAll(io.LimitReader(body, int64(size)))
	said := strings.TrimSpace(strings.TrimPrefix(string(line[min(4, len(line)):]), "ERR "))
	if strings.Contains(said, "not our ref") { // git's upload-pack.c
		return fault.E(fault.NotFound, fmt.Sprintf("%s does not give out the commit: it does not exist there, or no branch or tag of it leads to the commit.", w.url), fmt.Errorf("the server says %q", said))
	}
	return fault.E(fault.Transient, fmt.Sprintf("%s refused: %q.", w.url, said), fmt.Errorf("the server says %q", said))
}

// retryAfter is when a rate-limited caller may come back: what the answer says,
// in seconds, or a minute.
func retryAfter(h http.Header, now time.Time) time.Time {
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil && s > 0 {
		return now.Add(time.Duration(s) * time.Second)
	}
	return now.Add(time.Minute)
}
