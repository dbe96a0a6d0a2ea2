package github

import (
	"context"
	"log/slog"
	"regexp"
)

// Tokens have no fixed length any more: since April 2026 installation tokens
// are "ghs_<app id>_<JWT>".
var secrets = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "[private key]"},
	{regexp.MustCompile(`\b(gh[a-z]|github_pat)_[A-Za-z0-9_.\-]+`), "[token]"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*`), "[token]"},
	{regexp.MustCompile(`(?i)\b(bearer|basic|token)(\s+)[A-Za-z0-9+/=_.\-~]{16,}`), "$1$2[secret]"},
	{regexp.MustCompile(`(://)[^/\s:@]+:[^/\s@]+@`), "$1[secret]@"},
}

// Redact replaces GitHub tokens, JSON web tokens, authorization values,
// credentials in URLs and private keys by a word that says what stood there.
func Redact(s string) string {
	for _, secret := range secrets {
		s = secret.pattern.ReplaceAllString(s, secret.with)
	}
	return s
}

// RedactHandler wraps h so that no record carries a secret that Redact knows:
// in its message, in texts, errors and other printable values, in groups.
func RedactHandler(h slog.Handler) slog.Handler { return redactHandler{h} }

type redactHandler struct{ next slog.Handler }

func (h redactHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h redactHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, Redact(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(redactAttr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h redactHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = redactAttr(a)
	}
	return redactHandler{h.next.WithAttrs(clean)}
}

func (h redactHandler) WithGroup(name string) slog.Handler {
	return redactHandler{h.next.WithGroup(name)}
}

func redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, Redact(v.String()))
	case slog.KindGroup:
		group := v.Group()
		clean := make([]any, len(group))
		for i, inner := range group {
			clean[i] = redactAttr(inner)
		}
		return slog.Group(a.Key, clean...)
	case slog.KindAny:
		return redactAny(a.Key, v)
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// redactAny prints values of other types only where that shows a secret:
// otherwise a JSON handler keeps their structure.
func redactAny(key string, v slog.Value) slog.Attr {
	text := v.String()
	if raw, ok := v.Any().([]byte); ok {
		text = string(raw)
	}
	if clean := Redact(text); clean != text {
		return slog.String(key, clean)
	}
	return slog.Attr{Key: key, Value: v}
}
