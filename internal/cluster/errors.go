package cluster

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tagboat/tagboat/internal/fault"
)

// ErrNoAnswer marks errors of a cluster whose API server is not there, or cannot do what it
// should: nothing is known of what is in it.
var ErrNoAnswer = errors.New("the API server gives no answer")

// action is what a request was for, as messages tell it: "apply", an object.
type action struct {
	verb   string
	object Object // nil where the request is about no single object
}

// String is what could not be done: "apply Deployment payments/api".
func (a action) String() string {
	if a.object == nil {
		return cmp.Or(a.verb, "answer")
	}
	return a.verb + " " + name(a.object)
}

// subject is what it could not be done to.
func (a action) subject() string {
	if a.object == nil {
		return "the request"
	}
	return name(a.object)
}

// classify gives an answer of the API server, or the lack of one, its kind and a
// hint. Server messages are passed on, because they are written for people, but
// not those about Secrets: they may quote what is wrong.
func (c *Cluster) classify(err error, a action) error {
	if _, classified := errors.AsType[*fault.Error](err); err == nil || classified || errors.Is(err, context.Canceled) {
		return err
	}
	if is, away := errors.AsType[*errAway](err); away {
		return c.away(is)
	}
	if meta.IsNoMatchError(err) {
		return fault.E(fault.Invalid, c.hint("knows no kind %s. Install what defines it first, or put its CustomResourceDefinition into the same overlay.", kindOf(a.object)), err)
	}
	status, answered := statusOf(err)
	if !answered {
		return c.classifyNoAnswer(err)
	}
	if a.object != nil && a.object.GetKind() == "Secret" {
		err = withoutValues(status)
	}
	said := strings.TrimSuffix(err.Error(), ".")
	if strings.Contains(status.Message, notOfItsSchema) {
		return fault.E(fault.Invalid, c.hint("refuses %s: %s.", a.subject(), said), err)
	}
	switch code := status.Code; {
	case tooLarge.MatchString(status.Message):
		return fault.E(fault.Invalid, c.hint("cannot keep %s: it is larger than its database takes of one object, which is 1.5 MB unless it was set up otherwise. Make it smaller, or two of it.", a.subject()), err)
	case apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict):
		return c.classifyFieldConflict(status, a, err)
	case apierrors.HasStatusCause(err, "NamespaceTerminating"):
		return fault.E(fault.Conflict, c.hint("is still deleting the namespace of %s; it is tried again until the namespace is gone.", a.subject()), err)
	case code == 429:
		seconds, _ := apierrors.SuggestsClientDelay(err)
		return &fault.Error{Kind: fault.RateLimited, Hint: c.hint("is too busy for %s. It is tried again by itself.", a.subject()),
			Until: c.now().Add(time.Duration(max(1, seconds)) * time.Second), Err: err}
	case code == 401:
		return fault.E(fault.Denied, c.hint("does not accept Tagboat's credentials. Whoever runs Tagboat must renew them."), err)
	case code == 403:
		return fault.E(fault.Denied, c.forbidden(a, said), err)
	case code == 404:
		return fault.E(fault.NotFound, c.hint("could not %s: %s.%s", a, said, namespaceHint(status)), err)
	case code == 409:
		return fault.E(fault.Conflict, c.hint("could not %s, because it changed meanwhile: %s. It is tried again by itself.", a, said), err)
	case code == 400, code == 413, code == 415, code == 422:
		return fault.E(fault.Invalid, c.hint("refuses %s: %s.", a.subject(), said), err)
	case code >= 500:
		return fault.E(fault.Transient, c.hint("could not %s now: %s. It is tried again by itself.", a, said), fmt.Errorf("%w: %w", ErrNoAnswer, err))
	}
	return fault.E(fault.Broken, c.hint("answered %s with: %s.", a.subject(), said), err)
}

// notOfItsSchema is how the API server begins to tell that an applied object has
// fields that its kind does not have, or list entries twice. It says so with
// code 500 and no reason (k8s.io/apimachinery/pkg/util/managedfields/internal,
// structuredmerge.go), but no later try will do better.
const notOfItsSchema = "failed to create typed patch object"

// tooLarge is how etcd, and what asks it, refuse an object. The API server passes that on
// with code 500, and a dry run does not meet it.
var tooLarge = regexp.MustCompile(`^(Internal error occurred: )?(etcdserver: request is too large|(rpc error: code = ResourceExhausted desc = )?trying to send message larger than max \([0-9]+ vs\. [0-9]+\))$`)

// willPass reports whether what the API server says with a code of 500 may be over by a
// later try.
func willPass(s metav1.Status) bool {
	return s.Code >= 500 && !strings.Contains(s.Message, notOfItsSchema) && !tooLarge.MatchString(s.Message)
}

// statusOf is the API server's answer, where err is one.
func statusOf(err error) (metav1.Status, bool) {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return metav1.Status{}, false
	}
	return answer.Status(), true
}

// hint is a sentence whose subject is this cluster.
func (c *Cluster) hint(format string, args ...any) string {
	return "Cluster " + c.name + " " + fmt.Sprintf(format, args...)
}

// classifyNoAnswer is for requests that the API server did not answer.
func (c *Cluster) classifyNoAnswer(err error) error {
	if certificateRefused(err) {
		return fault.E(fault.Invalid, c.hint("shows a certificate at %s that its kubeconfig does not trust: %s. Whoever runs Tagboat corrects the certificate authority or the server's name in the kubeconfig; or whoever runs the cluster renews its certificate.", c.server, strings.TrimPrefix(innermost(err), "x509: ")), err)
	}
	if said, failed := noCredentials(err); failed && strings.HasPrefix(said, stillAsked) {
		return fault.E(fault.Transient, c.hint("was not asked: the program that the kubeconfig names has printed no credentials in time. It may wait for somebody to log in, or for a server of its own; whoever runs Tagboat can find out by starting it as Tagboat does. It is tried again by itself."),
			fmt.Errorf("%w: %w: %s", ErrNoAnswer, errNoCredentials, said))
	} else if failed {
		return fault.E(fault.Denied, c.hint("was not asked, because there are no credentials for it: %s. Whoever runs Tagboat has to log in again, or to mend the program that the kubeconfig names; what that says itself is in Tagboat's log.", said),
			fmt.Errorf("%w: %s", errNoCredentials, said))
	}
	_, isURL := errors.AsType[*url.Error](err)
	if isURL || errors.Is(err, context.DeadlineExceeded) {
		return fault.E(fault.Transient, c.hint("cannot be reached at %s (%s): check that it is up and that Tagboat may connect to it. It is tried again by itself.", c.server, innermost(err)), fmt.Errorf("%w: %w", ErrNoAnswer, err))
	}
	return err
}

// errNoCredentials marks the error of a request that was not sent. It holds nothing of the
// error that it takes the place of, which may quote a token.
var errNoCredentials = errors.New("no credentials")

// gettingCredentials is how client-go begins to tell that a program which a kubeconfig
// names printed no credentials (plugin/pkg/client/auth/exec). No request is sent then.
const gettingCredentials = "getting credentials: "

// noCredentials says, where a program printed no credentials, why not: in one line, and
// without what it printed.
func noCredentials(err error) (said string, failed bool) {
	lost, isURL := errors.AsType[*url.Error](err)
	if !isURL {
		return "", false
	}
	said, failed = strings.CutPrefix(lost.Err.Error(), gettingCredentials)
	if !failed {
		return "", false
	}
	said, _, _ = strings.Cut(said, "\n") // an installation hint follows, once
	if what, _, printed := strings.Cut(said, "decoding stdout: "); printed {
		return what + "the program that the kubeconfig names printed something else", true
	}
	return told(brief(strings.TrimSuffix(said, ".")), true, nil), true
}

// innermost is why there was no answer: without addresses, which change with every try.
func innermost(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return brief(lookup.Err)
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was cut"
	}
	return brief(err.Error())
}

func certificateRefused(err error) bool {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, hostname := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return authority || hostname || invalid
}

// forbiddenAccess is the API server's sentence for a missing permission, as
// opposed to a refusal by an admission plugin.
var forbiddenAccess = regexp.MustCompile(`User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?`)

func (c *Cluster) forbidden(a action, said string) string {
	m := forbiddenAccess.FindStringSubmatch(said)
	if m == nil {
		return c.hint("refuses %s: %s.", a.subject(), said)
	}
	user, verb, resource, group, namespace := m[1], m[2], m[3], m[4], m[5]
	if group != "" {
		resource += "." + group
	}
	where, role := "cluster-wide", "ClusterRole"
	if namespace != "" {
		where, role = "in namespace "+namespace, "Role"
	}
	return c.hint("does not let Tagboat %s: its user %q lacks the permission to %s %s %s. An administrator of the cluster can grant it with a %s.",
		a, user, verb, resource, where, role)
}

func namespaceHint(s metav1.Status) string {
	if s.Details == nil || s.Details.Kind != "namespaces" {
		return ""
	}
	return fmt.Sprintf(" Create the namespace %s, or add a Namespace object to the overlay.", s.Details.Name)
}

// withoutValues is the error about an object whose values nobody may read: the
// paths of the refused fields, but not what the server said about them.
func withoutValues(s metav1.Status) error {
	reason := cmp.Or(strings.ToLower(string(s.Reason)), "an error")
	text := reason + " (details are left out, they may quote the secret)"
	if s.Details != nil {
		var fields []string
		for _, cause := range s.Details.Causes {
			if cause.Field != "" {
				fields = append(fields, cause.Field)
			}
		}
		if len(fields) > 0 {
			text = fmt.Sprintf("%s: fields %s", text, strings.Join(fields, ", "))
		}
	}
	if s.Reason == metav1.StatusReasonForbidden {
		if m := forbiddenAccess.FindString(s.Message); m != "" {
			text = m // about a permission: says nothing of the content
		}
	}
	if tooLarge.MatchString(s.Message) {
		text = s.Message // nor does that
	}
	s.Message = text
	return statusError(s)
}

func statusError(s metav1.Status) error { return &apierrors.StatusError{ErrStatus: s} }

func kindOf(o Object) string {
	if o == nil {
		return "of that name"
	}
	return fmt.Sprintf("%s (%s)", o.GetKind(), o.GetAPIVersion())
}

// all is one error for several objects that were refused: its kind is that of
// the first one that only a person can mend, because a retry would meet it again.
func all(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) <= 1 {
		return errors.Join(errs...)
	}
	worst := errs[0]
	var hints []string
	for _, err := range errs {
		if fault.KindOf(worst).Retryable() && !fault.KindOf(err).Retryable() {
			worst = err
		}
		if hint := fault.HintOf(err); hint != "" && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	const enough = 5
	if more := len(hints) - enough; more > 0 {
		hints = append(hints[:enough], fmt.Sprintf("And %d more.", more))
	}
	return &fault.Error{Kind: fault.KindOf(worst), Until: fault.UntilOf(worst), Hint: strings.Join(hints, "\n"), Err: errors.Join(errs...)}
}
