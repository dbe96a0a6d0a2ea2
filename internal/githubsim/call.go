package githubsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object that the API answers or sends.
type object = map[string]any

// call is one API request at work: who asks, for what, about which repository.
type call struct {
	*Server
	r     *http.Request
	route *route
	vars  map[string]string
	body  []byte
	actor actor
	repo  *repo // of routes below /repos/{owner}/{repo}
}

// answer is a response before it is written.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// reply lets a handler answer with a status other than 200, or headers.
type reply struct {
	status int
	body   any
	header http.Header
}

// list is an answer that is paginated as an array.
type list []any

// wrapped is an answer whose items are paginated inside an object.
type wrapped struct {
	key   string
	items []any
	rest  object
}

func created(body any) reply { return reply{status: http.StatusCreated, body: body} }

func noContent() reply { return reply{status: http.StatusNoContent} }

// apiError is a refusal in GitHub's shape.
type apiError struct {
	status  int
	message string
	details []any
	header  http.Header
	at      string // where a redirect leads
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s", e.status, e.message) }

func fail(status int, message string, details ...any) error {
	return &apiError{status: status, message: message, details: details}
}

func failf(status int, format string, args ...any) error {
	return fail(status, fmt.Sprintf(format, args...))
}

// unprocessable is a 422 about one field of a resource.
func unprocessable(resource, field, code, message string) error {
	detail := object{"resource": resource, "code": code}
	if field != "" {
		detail["field"] = field
	}
	if message != "" {
		detail["message"] = message
	}
	return fail(http.StatusUnprocessableEntity, "Validation Failed", detail)
}

var errNotFound = fail(http.StatusNotFound, "Not Found")

// decode reads the JSON body into v. An absent body is an empty object:
// ghinstallation sends "null" when it has nothing to say.
func (c *call) decode(v any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.body, v); err != nil {
		return fail(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// number is an integer path value; what is no number does not exist.
func (c *call) number(name string) (int64, error) {
	n, err := strconv.ParseInt(c.vars[name], 10, 64)
	if err != nil {
		return 0, errNotFound
	}
	return n, nil
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

const maxRequestBody = 40 << 20

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	a := s.do(r)
	if a == nil { // a fault wants the connection to break without an answer
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the caller may be gone; nobody else is to be told
}

// do answers one API request, with its faults, journal entry and events. A nil
// answer means: hang up.
func (s *Server) do(r *http.Request) *answer {
	began := time.Now()
	s.mu.Lock()
	path := s.byNumber(r.URL.EscapedPath())
	s.mu.Unlock()
	rt, vars := s.router.find(r.Method, path)
	entry := Request{Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, "/api/v3"), Query: r.URL.RawQuery, At: s.opt.Now()}
	if rt != nil {
		entry.Route = rt.name()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody))
	if err != nil {
		return nil
	}
	entry.App, entry.User = s.sender(r)
	defer s.enter(r)()
	fault := s.knobs.take(entry)
	fault.wait(r.Context())
	var a *answer
	if fault == nil || !fault.instead() {
		a = s.work(&call{Server: s, r: r, route: rt, vars: vars, body: body})
	}
	a = fault.apply(a)
	if a != nil {
		entry.Status = a.status
	}
	entry.Took = time.Since(began)
	s.knobs.record(entry)
	return a
}

// sender names who made a request, for the journal and the faults.
func (s *Server) sender(r *http.Request) (app, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := s.identify(credential(r))
	if err != nil {
		return "", ""
	}
	return who.names()
}

// work authorises and performs a call under the lock.
func (s *Server) work(c *call) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.flush()
	header := http.Header{
		"Content-Type":         {"application/json; charset=utf-8"},
		"X-Github-Request-Id":  {strings.ToUpper(randomHex(8))},
		"X-Github-Media-Type":  {"github.v3; format=json"},
		"X-Github-Api-Version": {"2022-11-28"},
		"Date":                 {s.opt.Now().UTC().Format(http.TimeFormat)},
	}
	result, err := s.perform(c, header)
	a := encode(c, result, err, header)
	if c.r.Method == http.MethodGet && a.status == http.StatusOK {
		tag := etag(a.body)
		header.Set("ETag", tag)
		if c.r.Header.Get("If-None-Match") == tag {
			s.refund(c.actor, header)
			return &answer{status: http.StatusNotModified, header: header}
		}
	}
	return a
}

func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:]) + `"`
}

func (s *Server) perform(c *call, header http.Header) (any, error) {
	if c.route == nil {
		return nil, errNotFound
	}
	if err := s.authenticate(c); err != nil {
		return nil, err
	}
	if err := s.charge(c.actor, header); err != nil {
		return nil, err
	}
	if err := s.restrain(c); err != nil {
		return nil, err
	}
	if err := s.authorize(c); err != nil {
		return nil, err
	}
	return c.route.handle(c)
}

// encode turns what a handler returned into bytes.
func encode(c *call, result any, err error, header http.Header) *answer {
	a := &answer{status: http.StatusOK, header: header}
	if err != nil {
		result = failure(c, a, err)
	}
	if r, ok := result.(reply); ok {
		a.status, result = r.status, r.body
		for name, values := range r.header {
			header[name] = values
		}
		if result == nil {
			header.Del("Content-Type")
			return a
		}
	}
	switch v := result.(type) {
	case list:
		result = c.page(v, header)
	case wrapped:
		v.rest[v.key] = c.page(v.items, header)
		result = v.rest
	}
	if raw, ok := result.([]byte); ok {
		a.body = raw
		return a
	}
	a.body, err = json.Marshal(result)
	if err != nil {
		a.status, a.body = http.StatusInternalServerError, []byte(`{"message":"Server Error"}`)
	}
	return a
}

// failure is the body of an error; what is no apiError is a defect of ours
// and becomes a 500 that says so.
func failure(c *call, a *answer, err error) object {
	var ae *apiError
	if !errors.As(err, &ae) {
		c.log.Error("the GitHub simulator could not answer", "method", c.r.Method, "path", c.r.URL.Path, "err", err)
		ae = &apiError{status: http.StatusInternalServerError, message: "Server Error: " + err.Error()}
	}
	a.status = ae.status
	for name, values := range ae.header {
		a.header[name] = values
	}
	body := object{
		"message": ae.message, "status": strconv.Itoa(ae.status),
		"documentation_url": "https://docs.github.com/rest",
	}
	if ae.at != "" {
		body["url"] = ae.at
	}
	if len(ae.details) > 0 {
		body["errors"] = ae.details
	}
	return body
}

// page cuts one page out of items and links to the others.
func (c *call) page(items []any, header http.Header) []any {
	size, page := 30, 1
	if n, err := strconv.Atoi(c.query("per_page")); err == nil && n > 0 {
		size = min(n, 100)
	}
	if n, err := strconv.Atoi(c.query("page")); err == nil && n > 0 {
		page = n
	}
	last := max(1, (len(items)+size-1)/size)
	var links []string
	link := func(rel string, to int) {
		u := *c.r.URL
		q := u.Query()
		q.Set("page", strconv.Itoa(to))
		u.RawQuery = q.Encode()
		links = append(links, fmt.Sprintf(`<%s%s>; rel="%s"`, c.url, u.RequestURI(), rel))
	}
	if page > 1 {
		link("prev", page-1)
		link("first", 1)
	}
	if page < last {
		link("next", page+1)
		link("last", last)
	}
	if len(links) > 0 {
		header.Set("Link", strings.Join(links, ", "))
	}
	from := min((page-1)*size, len(items))
	to := min(from+size, len(items))
	if cut := items[from:to]; len(cut) > 0 {
		return cut
	}
	return []any{}
}
