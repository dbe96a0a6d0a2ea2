package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// notRunnableError is an answer that is no image, with the reason.
type notRunnableError struct{ reason string }

func (e *notRunnableError) Error() string { return "not a runnable image: " + e.reason }

func notRunnable(format string, args ...any) error {
	return &notRunnableError{fmt.Sprintf(format, args...)}
}

// partError is the failure to read something that an image refers to.
type partError struct {
	digest string
	err    error
}

func (e *partError) Error() string { return image.ShortDigest(e.digest) + ": " + e.err.Error() }
func (e *partError) Unwrap() error { return e.err }

// classify says what a failed question means and what to do about it. The cause
// is kept as text only, without credentials.
func (q *question) classify(ctx context.Context, ref image.Ref, err error) error {
	if n, ok := errors.AsType[*notRunnableError](err); ok {
		return fault.E(fault.Invalid, fmt.Sprintf("%s is not an image that can be run: %s.", q.short(ref), n.reason), err)
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f // the door's: rate limited
	}
	if ctx.Err() != nil {
		return fault.E(fault.Transient, fmt.Sprintf("Registry %s did not answer in time.", q.host()), ctx.Err())
	}
	cause := errors.New(q.clean(err.Error()))
	answer, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return fault.E(q.unreachable(err, cause))
	}
	switch code := answer.StatusCode; {
	case code == http.StatusNotFound:
		return fault.E(q.missing(ref, err, cause))
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fault.E(fault.Denied, fmt.Sprintf("Registry %s does not let Tagboat read %s. Check its credentials for that registry, and that the repository exists: some registries answer so for one that does not.", q.host(), q.repo.RepositoryStr()), cause)
	case code >= http.StatusInternalServerError, code == http.StatusRequestTimeout, answer.Temporary():
		return fault.E(fault.Transient, fmt.Sprintf("Registry %s is unwell: it answered with status %d.", q.host(), code), cause)
	default:
		return fault.E(fault.Invalid, fmt.Sprintf("Registry %s refused the question about %s with status %d.", q.host(), q.short(ref), code), cause)
	}
}

func (q *question) missing(ref image.Ref, err, cause error) (fault.Kind, string, error) {
	if part, ok := errors.AsType[*partError](err); ok {
		return fault.Invalid, fmt.Sprintf("%s is incomplete: registry %s does not have %s, which it refers to. Push the image again.", q.short(ref), q.host(), image.ShortDigest(part.digest)), cause
	}
	if ref.Tag == "" {
		return fault.NotFound, fmt.Sprintf("%s is not in registry %s; it was deleted or never pushed.", q.short(ref), q.host()), cause
	}
	return fault.NotFound, fmt.Sprintf("%s is not in registry %s; push it or check the tag.", q.short(ref), q.host()), cause
}

func (q *question) unreachable(err, cause error) (fault.Kind, string, error) {
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return fault.Invalid, fmt.Sprintf("Registry %s speaks plain HTTP. If that is meant, configure it as insecure.", q.host()), cause
	}
	return fault.Transient, fmt.Sprintf("Registry %s could not be reached or broke off.", q.host()), cause
}

// host is the registry as people know it.
func (q *question) host() string { return cmp.Or(q.endpoint.Host, q.repo.RegistryStr()) }

// short is the image without its registry: "acme/payments:1.7.0".
func (q *question) short(ref image.Ref) string {
	_, ref.Name = splitHost(ref.Name)
	ref.Digest = image.ShortDigest(ref.Digest)
	return ref.String()
}

// clean takes credentials out of a text that partly comes from outside, and
// bounds its length.
func (q *question) clean(text string) string {
	e := q.endpoint
	if e.Password != "" {
		basic := base64.StdEncoding.EncodeToString([]byte(e.Username + ":" + e.Password))
		text = strings.NewReplacer(e.Password, "[redacted]", basic, "[redacted]").Replace(text)
	}
	const most = 400
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " ..."
	}
	return text
}
