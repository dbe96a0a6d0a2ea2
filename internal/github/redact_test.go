package github

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestRedactKnowsEveryKindOfSecret(t *testing.T) {
	for _, secret := range []string{
		"ghs_16C7e42F292c6912E7710c838347Ae178B4a",
		"ghs_1234_eyJhbGciOi.eyJpc3Mi-x_y.sig-na_ture", // the format since April 2026
		"ghp_abcdefghijklmnopqrstuvwxyz0123456789",
		"github_pat_11ABCDEFG0123456789_abcdef",
		"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nx+/=\n-----END RSA PRIVATE KEY-----",
		"-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA",
	} {
		got := Redact("before " + secret + " after")
		if strings.Contains(got, secret[len(secret)-10:]) || !strings.HasPrefix(got, "before ") {
			t.Errorf("Redact left %q", got)
		}
	}
	for text, want := range map[string]string{
		"Authorization: Bearer abcdefghijklmnopqrstuvwxyz":    "Authorization: Bearer [secret]",
		"authorization: token 0123456789abcdef0123":           "authorization: token [secret]",
		"Basic eC1hY2Nlc3MtdG9rZW46Z2hzXw==":                  "Basic [secret]",
		"https://x-access-token:hunter2@github.com/a/b.git":   "https://[secret]@github.com/a/b.git",
		"an installation token and https://github.com/a/b@v1": "an installation token and https://github.com/a/b@v1",
		"sha256:0123456789abcdef0123456789abcdef":             "sha256:0123456789abcdef0123456789abcdef",
	} {
		if got := Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestNoSecretReachesALog(t *testing.T) {
	const secret = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
	var out bytes.Buffer
	log := slog.New(RedactHandler(slog.NewJSONHandler(&out, nil))).With("with", secret).WithGroup("g")
	log.Info("message "+secret, "text", secret, "err", errors.New(secret), "raw", []byte(secret),
		slog.Group("inner", "deep", secret), "any", map[string]string{"k": secret}, "n", 7)
	if strings.Contains(out.String(), "16C7e42F") {
		t.Errorf("the log shows a token: %s", out.String())
	}
	if !strings.Contains(out.String(), `"n":7`) || strings.Count(out.String(), "[token]") != 7 {
		t.Errorf("the log lost something: %s", out.String())
	}
}
