package openapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// validator is loaded once: it takes a second or two.
var validator = sync.OnceValues(func() (*Validator, error) { return Load(context.Background(), "") })

func loaded(t *testing.T) *Validator {
	t.Helper()
	v, err := validator()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// exchange sends one request to a server that gives one answer, and returns
// what the validator had to say.
func exchange(t *testing.T, method, path, body string, status int, answer string) []string {
	t.Helper()
	var said []string
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || string(got) != body {
			t.Errorf("the server read %q, %v; sent was %q", got, err, body)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, answer)
	})
	server := httptest.NewServer(loaded(t).Wrap(next, func(err error) { said = append(said, err.Error()) }))
	defer server.Close()
	req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(got) != answer {
		t.Errorf("the client got %d %q, %v; want %d %q", resp.StatusCode, got, err, status, answer)
	}
	return said
}

const (
	sha = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
	ref = `{"ref":"refs/heads/a/b","node_id":"MDM6","url":"https://x/git/refs/heads/a/b",` +
		`"object":{"type":"commit","sha":"` + sha + `","url":"https://x/c"}}`
)

func TestRightAndWrongExchangesAreToldApart(t *testing.T) {
	tests := []struct {
		name, method, path, body string
		status                   int
		answer                   string
		wrong                    string // part of what is said; "" for nothing
	}{
		{"right read", "GET", "/repos/acme/env/git/ref/heads/a/b", "", 200, ref, ""},
		{"right read on Enterprise Server", "GET", "/api/v3/repos/acme/env/git/ref/heads/a/b", "", 200, ref, ""},
		{"right write", "POST", "/repos/acme/env/git/refs", `{"ref":"refs/heads/a/b","sha":"` + sha + `"}`, 201, ref, ""},
		{"answer lacks the object", "GET", "/repos/acme/env/git/ref/heads/a/b", "", 200, `{"ref":"x","node_id":"y","url":"z"}`, "object"},
		{"answer has another status", "POST", "/repos/acme/env/git/refs", `{"ref":"refs/heads/a/b","sha":"` + sha + `"}`, 200, ref, "status is not supported"},
		{"answer is not JSON", "GET", "/repos/acme/env/git/ref/heads/a/b", "", 200, `{"ref":`, "decode"},
		{"request lacks the SHA", "POST", "/repos/acme/env/git/refs", `{"ref":"refs/heads/a/b"}`, 201, ref, `"sha" is missing`},
		{"request has a wrong type", "POST", "/repos/acme/env/git/refs", `{"ref":1,"sha":"` + sha + `"}`, 201, ref, "must be a string"},
		{"request lacks its body", "POST", "/repos/acme/env/git/refs", "", 201, ref, "request body"},
		{"request has a wrong parameter", "GET", "/repos/acme/env/pulls/first", "", 404, `{"message":"Not Found"}`, "pull_number"},
		{"operation nobody knows", "GET", "/repos/acme/env/milestones", "", 200, `[]`, "not an operation"},
		{"method nobody knows", "DELETE", "/repos/acme/env/pulls", "", 204, ``, "not an operation"},
		{"undescribed but usual refusal", "GET", "/repos/acme/env/commits/" + sha + "/status", "", 429, `{"message":"slow down"}`, ""},
		{"refusal without a message", "GET", "/repos/acme/env/commits/" + sha + "/status", "", 429, `{}`, "no message"},
		{"token request with options", "POST", "/app/installations/1/access_tokens", `{}`, 404, `{"message":"Not Found","documentation_url":"d"}`, ""},
		{"token request with null", "POST", "/app/installations/1/access_tokens", `null`, 404, `{"message":"Not Found","documentation_url":"d"}`, "null"},
		{"git passes", "GET", "/acme/env.git/info/refs", "", 200, `whatever`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			said := strings.Join(exchange(t, test.method, test.path, test.body, test.status, test.answer), "\n")
			if test.wrong == "" && said != "" {
				t.Errorf("it found fault: %s", said)
			}
			if !strings.Contains(strings.ToLower(said), strings.ToLower(test.wrong)) {
				t.Errorf("it said %q, want something about %q", said, test.wrong)
			}
		})
	}
}

func TestRightAndWrongWebhooksAreToldApart(t *testing.T) {
	v := loaded(t)
	if err := v.Webhook("membership", "nothing", []byte(`{"action":"nothing"}`)); err == nil || !strings.Contains(err.Error(), "not one") {
		t.Errorf("an unknown action: %v", err)
	}
	if err := v.Webhook("push", "", []byte(`{"ref":"refs/heads/main"}`)); err == nil || !strings.Contains(err.Error(), `"commits"`) {
		t.Errorf("a push without commits: %v", err)
	}
	if err := v.Webhook("push", "", []byte(`{"ref":`)); err == nil {
		t.Error("half a body passed")
	}
	ping := `{"zen":"Keep it logically awesome.","hook_id":7,"hook":{"active":true,"config":{"content_type":"json"},` +
		`"created_at":"2026-11-23T10:00:00Z","events":["push"],"id":7,"name":"web","type":"App","updated_at":"2026-11-23T10:00:00Z"}}`
	if err := v.Webhook("ping", "", []byte(ping)); err != nil {
		t.Errorf("a right ping: %v", err)
	}
	if err := v.Webhook("ping", "", []byte(strings.Replace(ping, `"hook_id":7`, `"hook_id":"7"`, 1))); err == nil {
		t.Error("a ping whose hook_id is text passed")
	}
}

func TestEveryWantedWebhookHasASchema(t *testing.T) {
	v := loaded(t)
	for _, event := range wantedWebhooks {
		found := false
		for name := range v.webhooks {
			found = found || name == hookName(event, "") || strings.HasPrefix(name, hookName(event, "")+"-")
		}
		if !found {
			t.Errorf("no schema for webhook %s", event)
		}
	}
}

func TestTrimmingIsKept(t *testing.T) {
	loaded(t)
	dir := t.TempDir()
	raw, err := trimmed(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if size := len(raw); size > 3<<20 {
		t.Errorf("the trimmed description has %d bytes", size)
	}
	var doc struct{ Paths map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &doc); err != nil || len(doc.Paths) != len(wanted) {
		t.Errorf("it has %d paths, %v; want %d", len(doc.Paths), err, len(wanted))
	}
	path := filepath.Join(dir, "description.json")
	if err := writeWhole(path, raw); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != int64(len(raw)) {
		t.Errorf("kept: %v %v", info, err)
	}
}
