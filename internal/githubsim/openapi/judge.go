package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
)

// generic are the statuses that GitHub may answer anywhere, described or not.
// For instance it does not describe 404 for deployments and statuses.
var generic = []int{
	http.StatusMovedPermanently, http.StatusTemporaryRedirect,
	http.StatusNotModified, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone,
	http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusTooManyRequests,
}

// enterprise is where GitHub Enterprise Server has its API.
const enterprise = "/api/v3"

// Wrap judges every API request before next sees it and every answer before the
// client does, and tells report what is wrong; it changes neither. Paths that
// are not the REST API's (git, pages, GraphQL) pass. report may be called at
// the same time by several requests.
//
// Requests without a body where one is described count as wrong; ghinstallation
// v2.10 sends "null" for a token unless it is given options.
func (v *Validator) Wrap(next http.Handler, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, ok := v.apiURL(r.URL)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		judged := r.Clone(r.Context())
		judged.URL = target
		judged.Body = io.NopCloser(bytes.NewReader(body))
		r.Body = io.NopCloser(bytes.NewReader(body))

		tell := func(what string, err error) {
			report(fmt.Errorf("%s of %s %s: %w", what, r.Method, r.URL.RequestURI(), err))
		}
		input, err := v.request(judged)
		if err != nil {
			tell("request", err)
		}
		answer := &recorder{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if input != nil {
			if err := response(input, answer); err != nil {
				tell(fmt.Sprintf("answer %d", answer.status()), err)
			}
		}
		answer.send()
	})
}

// numbered is where redirects from a repository's old name lead. The description
// does not have it; it is the same operation as under the name.
var numbered = regexp.MustCompile(`^/repositories/[0-9]+`)

// apiURL is u below the API's root, if it is there.
func (v *Validator) apiURL(u *url.URL) (*url.URL, bool) {
	out := *u
	if rest, ok := strings.CutPrefix(u.Path, enterprise); ok && strings.HasPrefix(rest, "/") {
		out.Path, out.RawPath = rest, strings.TrimPrefix(u.RawPath, enterprise)
		out.Path, out.RawPath = numbered.ReplaceAllString(out.Path, "/repos/by/number"), numbered.ReplaceAllString(out.RawPath, "/repos/by/number")
		return &out, true
	}
	return &out, v.roots[root(u.Path)]
}

// root is the first element of a path.
func root(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first
}

func options() *openapi3filter.Options {
	o := &openapi3filter.Options{
		MultiError: true, IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
	}
	o.WithCustomSchemaErrorFunc(brief)
	return o
}

// brief says where and what, without the schema and the value, which fill pages.
func brief(e *openapi3.SchemaError) string {
	what := e.Reason
	if e.Origin != nil {
		what = e.Origin.Error()
	}
	if len(what) > 1000 {
		what = what[:1000] + "…"
	}
	return "/" + strings.Join(e.JSONPointer(), "/") + ": " + what
}

func (v *Validator) request(r *http.Request) (*openapi3filter.RequestValidationInput, error) {
	route, params, err := v.router.FindRoute(r)
	if err != nil {
		return nil, fmt.Errorf("not an operation that Tagboat knows: %w", err)
	}
	input := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options()}
	return input, openapi3filter.ValidateRequest(r.Context(), input)
}

func response(request *openapi3filter.RequestValidationInput, answer *recorder) error {
	status := answer.status()
	described := request.Route.Operation.Responses.Status(status) != nil
	if !described && (status >= 500 || slices.Contains(generic, status)) {
		return refusal(status, answer.body.Bytes())
	}
	return openapi3filter.ValidateResponse(request.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: status, Header: answer.Header(),
		Body: io.NopCloser(bytes.NewReader(answer.body.Bytes())), Options: options(),
	})
}

// refusal judges an error that is not described for its operation by the form
// that all of GitHub's errors have.
func refusal(status int, body []byte) error {
	if status == http.StatusNotModified || status >= 500 {
		return nil
	}
	var e struct{ Message *string }
	if err := json.Unmarshal(body, &e); err != nil {
		return fmt.Errorf("the error is not JSON: %w", err)
	}
	if e.Message == nil {
		return fmt.Errorf("the error has no message")
	}
	return nil
}

// Webhook judges a webhook's body. action is "" for events that have none, such
// as push.
func (v *Validator) Webhook(event, action string, body []byte) error {
	name := hookName(event, action)
	schema, ok := v.webhooks[name]
	if !ok {
		return fmt.Errorf("webhook %s: not one that Tagboat knows", name)
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("webhook %s: %w", name, err)
	}
	if err := schema.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsRequest(),
		openapi3.SetSchemaErrorMessageCustomizer(brief)); err != nil {
		return fmt.Errorf("webhook %s: %w", name, err)
	}
	return nil
}

// recorder keeps an answer until it is judged.
type recorder struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// Unwrap lets a handler reach the connection, to break it on purpose.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) send() {
	r.ResponseWriter.WriteHeader(r.status())
	// An error here means that the client is gone.
	_, _ = r.ResponseWriter.Write(r.body.Bytes())
}
