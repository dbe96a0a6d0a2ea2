package cluster

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
)

// refusal is why the API server does not take an object, for people, and who of them
// can mend that.
func (c *Cluster) refusal(ch *comparison, err error) (why, who string) {
	administrator := "an administrator of cluster " + c.name
	why, who = fault.HintOf(err), "whoever maintains the overlay"
	if why == "" {
		why = err.Error()
	}
	status, answered := statusOf(err)
	if !answered {
		switch {
		case errors.Is(err, ErrHeldUp):
			who = administrator
		case fault.Is(err, fault.Denied): // it is another target's
			who += " or the other one"
		}
		return why, who
	}
	// Of a Secret, the hint tells the names of fields and nothing more.
	if fields := fieldsOf(status); fields != "" && ch.desired.GetKind() != "Secret" {
		why = fields
	}
	why = wrongType.ReplaceAllString(why, "got something else")
	why = strings.TrimPrefix(why, c.hint("refuses %s: ", name(ch.desired)))
	switch {
	case status.Code >= 500 && !strings.Contains(status.Message, notOfItsSchema), fault.KindOf(err).Retryable():
		who = administrator
	case forbiddenAccess.MatchString(status.Message):
		who = administrator
	case fault.Is(err, fault.Denied) && status.Code == http.StatusConflict:
		who += ", or whoever else manages the fields"
	case ch.wayOut != "":
		why, _, _ = strings.Cut(why, ". It cannot be changed in place: ")
		why = strings.TrimSuffix(why, ".") + ". It cannot be changed in place: " + ch.wayOut
		who += ", or " + administrator
	case ch.live != nil && unchangeable.MatchString(status.Message):
		why = strings.TrimSuffix(why, ".") + ". It cannot be changed in place: change it back in Git, or delete the object in the cluster, and it can be made anew."
		who += ", or " + administrator
	case status.Code == http.StatusForbidden, admissionRefused.MatchString(status.Message), status.Code == http.StatusNotFound:
		who += ", or " + administrator
	}
	return why, who
}

var (
	// wrongType is how a value of the wrong type is quoted: .data.PIN: expected string,
	// got &value.valueUnstructured{Value:1234}.
	wrongType = regexp.MustCompile(`got &value\..*`)
	// unchangeable is how API servers say that a field of an object stays as it is.
	unchangeable = regexp.MustCompile(`(?i)immutable|may not change once set|may not be changed|cannot be changed|forbidden: updates to`)
	// admissionRefused is how policies and webhooks begin their refusals.
	admissionRefused = regexp.MustCompile(`denied (the )?request|admission webhook`)
)

// fieldsOf is what the API server says of the refused fields, without the values: it
// quotes them, whole pod templates among them. "" where it names no fields.
func fieldsOf(s metav1.Status) string {
	if s.Details == nil || len(s.Details.Causes) == 0 {
		return ""
	}
	var parts []string
	for _, cause := range s.Details.Causes {
		if cause.Field == "" || cause.Type == metav1.CauseTypeFieldManagerConflict {
			return ""
		}
		part := cause.Field + ": " + withoutValue(cause.Message)
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// quoting is how the API server begins a sentence that goes on with a value.
var quoting = regexp.MustCompile(`^(Invalid value|Unsupported value|Duplicate value|Not found|Too long|Internal error): `)

// withoutValue is what is said about a value, without it:
// `Invalid value: "x": must be a number` is "must be a number".
func withoutValue(message string) string {
	start := quoting.FindString(message)
	if start == "" {
		// Of a pod, all that it is and that it should be follows.
		first, _, _ := strings.Cut(message, "\n")
		return first
	}
	nothing := strings.ToLower(strings.TrimSuffix(start, ": "))
	rest := message[len(start):]
	if value, err := strconv.QuotedPrefix(rest); err == nil && value[0] == '"' {
		if detail := strings.TrimPrefix(rest[len(value):], ": "); detail != "" {
			return detail
		}
		return nothing
	}
	// A value that is no text may hold texts; what is surely behind it has none.
	if i := strings.LastIndex(rest, ": "); i >= 0 && !strings.ContainsAny(rest[i:], "\"{}[]") {
		return rest[i+2:]
	}
	return nothing
}

// diff is how a pod that is and one that should be follow what the API server says.
var diff = regexp.MustCompile(`(?s)\n\s*(@@ -|core\.).*$`)

// withoutDiff is an answer of the API server without such a comparison: what is in a pod
// that is there nobody here knows to be a secret.
func withoutDiff(err error) error {
	status, answered := statusOf(err)
	if !answered || !diff.MatchString(status.Message) {
		return err
	}
	status.Message = diff.ReplaceAllString(status.Message, "")
	if d := status.Details.DeepCopy(); d != nil {
		for i := range d.Causes {
			d.Causes[i].Message = diff.ReplaceAllString(d.Causes[i].Message, "")
		}
		status.Details = d
	}
	return statusError(status)
}

// discreet is an error of an apply without what nobody may read of its objects: an API
// server, or what it asks, may quote any of that, and the texts are shown and logged. What
// is called like the objects, their namespaces or the cluster is no secret.
func (p *plan) discreet(err error) error {
	if err == nil {
		return nil
	}
	names := []string{p.c.name, p.run.Target.Key}
	for _, ch := range p.changes {
		names = append(names, name(ch.desired))
	}
	known := strings.Join(names, " ")
	q := quiet{err, slices.DeleteFunc(hushOf(p.run.Objects, p.run.Target.Secret), func(text string) bool { return strings.Contains(known, text) })}
	hint := fault.HintOf(err)
	if q.told(hint) == hint && q.Error() == err.Error() {
		return err
	}
	return &fault.Error{Kind: fault.KindOf(err), Hint: q.told(hint), Until: fault.UntilOf(err), Err: q}
}

// quiet is an error whose text has no value of hush in it.
type quiet struct {
	err  error
	hush []string
}

func (q quiet) Error() string { return q.told(q.err.Error()) }

func (q quiet) Unwrap() error { return q.err }

func (q quiet) told(text string) string {
	for _, secret := range q.hush {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// maxTold is how much is told of a reason, in characters: with a command in it, too.
const maxTold = 700

// valueless reports whether what the API server says of an object quotes no values,
// though it names fields and kinds in a way that looks like it: "secrets=1".
func valueless(o Object, err error) bool {
	status, answered := statusOf(err)
	return answered && (o.GetKind() == "Secret" || fieldsOf(status) != "" || strings.Contains(status.Message, notOfItsSchema) ||
		status.Code == http.StatusForbidden && quotaExceeded.MatchString(status.Message))
}

// quotaExceeded is all of what the API server says of a quota that is used up.
var quotaExceeded = regexp.MustCompile(`^[a-z0-9.]+ "[a-z0-9.-]+" is forbidden: exceeded quota: [a-z0-9.-]+, requested: [A-Za-z0-9./=,: -]+$`)

// told is a reason as it may be shown: without the secrets of the objects, without
// what looks like one, and not too long.
func told(why string, valueless bool, hush []string) string {
	for _, secret := range hush {
		why = strings.ReplaceAll(why, secret, "***")
	}
	if manifest.SecretForm(why) || !valueless && manifest.SecretText(why) {
		return "the reason is left out, it may quote a secret"
	}
	if runes := []rune(why); len(runes) > maxTold {
		why = string(runes[:maxTold]) + "…"
	}
	return why
}
