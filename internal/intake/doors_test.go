package intake_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/intake"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	githubSecret, githubNext     = "github-secret", "github-next-secret"
	registrySecret, registryNext = "registry-secret", "registry-next-secret"
	ciSecret, ciNext             = "ci-secret", "ci-next-secret"
)

var secrets = intake.Secrets{
	GitHub:   [][]byte{[]byte(githubSecret), []byte(githubNext)},
	Registry: [][]byte{[]byte(registrySecret), []byte(registryNext)},
	CI:       [][]byte{[]byte(ciSecret), []byte(ciNext)},
}

const (
	githubDoor   = "/hooks/github"
	registryDoor = "/hooks/registry/distribution"
	ciDoor       = "/hooks/ci"

	builtBody = `{"image": "registry.example.com/acme/payments", "tag": "1.7.0"}`
)

var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// house is the doors over a real database.
type house struct {
	*testing.T
	store *store.Store
	url   string
	log   *bytes.Buffer
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, store: storetest.Open(t), log: new(bytes.Buffer)}
	doors, err := intake.New(h.store, secrets, func() time.Time { return noon }, slog.New(slog.NewTextHandler(h.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	doors.Register(e)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// send posts a body and answers the status and what was said.
func (h *house) send(door string, header http.Header, body string) (int, string) {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), http.MethodPost, h.url+door, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		h.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// kept is how many deliveries, and how many jobs for them, there are.
func (h *house) kept() (deliveries, jobs int) {
	h.Helper()
	if err := h.store.Pool().QueryRow(h.Context(), `SELECT (SELECT count(*) FROM delivery),
		(SELECT count(*) FROM river.river_job j JOIN delivery d ON d.id = (j.args->>'delivery')::bigint WHERE j.kind = 'deliver')`).Scan(&deliveries, &jobs); err != nil {
		h.Fatal(err)
	}
	return deliveries, jobs
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// byGitHub is what GitHub sends with a webhook.
func byGitHub(secret, id, body string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return header("X-GitHub-Delivery", id, "X-GitHub-Event", "push", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

func byRegistry(token string) http.Header { return header("Authorization", "Bearer "+token) }

// byCI is what a CI sends that signs at a moment.
func byCI(secret string, at time.Time, body string) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	return header(intake.HeaderTimestamp, stamp, intake.HeaderSignature, intake.SignCI([]byte(secret), stamp, []byte(body)))
}

func without(h http.Header, name string) http.Header {
	h = h.Clone()
	h.Del(name)
	return h
}

func TestWhoIsLetIn(t *testing.T) {
	h := newHouse(t)
	for story, c := range map[string]struct {
		door   string
		header http.Header
		body   string
	}{
		"GitHub, with the secret":          {githubDoor, byGitHub(githubSecret, "guid-1", "{}"), "{}"},
		"GitHub, with the next secret":     {githubDoor, byGitHub(githubNext, "guid-2", "{}"), "{}"},
		"GitHub, with an empty body":       {githubDoor, byGitHub(githubSecret, "guid-3", ""), ""},
		"a registry, with the token":       {registryDoor, byRegistry(registrySecret), `{"events": [1]}`},
		"a registry, with the next token":  {registryDoor, byRegistry(registryNext), `{"events": [2]}`},
		"a CI, with the secret":            {ciDoor, byCI(ciSecret, noon, builtBody), builtBody},
		"a CI, with the next secret":       {ciDoor, byCI(ciNext, noon, builtBody+" "), builtBody + " "},
		"a CI whose clock is 5 min behind": {ciDoor, byCI(ciSecret, noon.Add(-5*time.Minute), builtBody+"  "), builtBody + "  "},
		"a CI whose clock is 5 min ahead":  {ciDoor, byCI(ciSecret, noon.Add(5*time.Minute), builtBody+"   "), builtBody + "   "},
	} {
		before, _ := h.kept()
		status, text := h.send(c.door, c.header, c.body)
		if status != http.StatusAccepted || !strings.Contains(text, `"accepted"`) {
			t.Errorf("%s: %d %s", story, status, text)
		}
		if after, jobs := h.kept(); after != before+1 || jobs != after {
			t.Errorf("%s: %d deliveries were kept, and of all %d have %d jobs", story, after-before, after, jobs)
		}
	}
}

// Who cannot prove who they are learns that, and nothing is stored.
func TestWhoIsNotLetIn(t *testing.T) {
	h := newHouse(t)
	signed := byGitHub(githubSecret, "guid-1", "{}")
	built := byCI(ciSecret, noon, builtBody)
	stamp := built.Get(intake.HeaderTimestamp)
	for story, c := range map[string]struct {
		door   string
		header http.Header
		body   string
	}{
		"GitHub, without a signature":        {githubDoor, without(signed, "X-Hub-Signature-256"), "{}"},
		"GitHub, with another secret":        {githubDoor, byGitHub("guess", "guid-1", "{}"), "{}"},
		"GitHub, with an empty secret":       {githubDoor, byGitHub("", "guid-1", "{}"), "{}"},
		"GitHub, with the CI's secret":       {githubDoor, byGitHub(ciSecret, "guid-1", "{}"), "{}"},
		"GitHub, with another body":          {githubDoor, signed, "{} "},
		"GitHub, with half a signature":      {githubDoor, header("X-GitHub-Delivery", "g", "X-GitHub-Event", "push", "X-Hub-Signature-256", signed.Get("X-Hub-Signature-256")[:40]), "{}"},
		"GitHub, with the old SHA-1":         {githubDoor, header("X-GitHub-Delivery", "g", "X-GitHub-Event", "push", "X-Hub-Signature", "sha1="+strings.Repeat("a", 40)), "{}"},
		"a registry, without a token":        {registryDoor, header(), "{}"},
		"a registry, with an empty token":    {registryDoor, byRegistry(""), "{}"},
		"a registry, with another token":     {registryDoor, byRegistry("guess"), "{}"},
		"a registry, with half the token":    {registryDoor, byRegistry(registrySecret[:8]), "{}"},
		"a registry, with more than a token": {registryDoor, byRegistry(registrySecret + "x"), "{}"},
		"a CI, without a signature":          {ciDoor, without(built, intake.HeaderSignature), builtBody},
		"a CI, without a timestamp":          {ciDoor, without(built, intake.HeaderTimestamp), builtBody},
		"a CI, with another secret":          {ciDoor, byCI("guess", noon, builtBody), builtBody},
		"a CI, with GitHub's secret":         {ciDoor, byCI(githubSecret, noon, builtBody), builtBody},
		"a CI, with another body":            {ciDoor, built, builtBody + " "},
		"a CI, more than 5 min behind":       {ciDoor, byCI(ciSecret, noon.Add(-5*time.Minute-time.Second), builtBody), builtBody},
		"a CI, more than 5 min ahead":        {ciDoor, byCI(ciSecret, noon.Add(5*time.Minute+time.Second), builtBody), builtBody},
		"a CI, with a timestamp set anew":    {ciDoor, header(intake.HeaderTimestamp, strconv.FormatInt(noon.Unix()+1, 10), intake.HeaderSignature, built.Get(intake.HeaderSignature)), builtBody},
		"a CI, whose timestamp is no number": {ciDoor, header(intake.HeaderTimestamp, "noon", intake.HeaderSignature, intake.SignCI([]byte(ciSecret), "noon", []byte(builtBody))), builtBody},
		"a CI, whose timestamp is huge":      {ciDoor, header(intake.HeaderTimestamp, "9223372036854775807", intake.HeaderSignature, intake.SignCI([]byte(ciSecret), "9223372036854775807", []byte(builtBody))), builtBody},
		"a CI, signed over the body alone":   {ciDoor, header(intake.HeaderTimestamp, stamp, intake.HeaderSignature, byGitHub(ciSecret, "", builtBody).Get("X-Hub-Signature-256")), builtBody},
	} {
		status, text := h.send(c.door, c.header, c.body)
		if status != http.StatusUnauthorized || !strings.Contains(text, "message") {
			t.Errorf("%s: %d %s; want 401, and words about it", story, status, text)
		}
		for _, s := range []string{githubSecret, registrySecret, ciSecret} {
			if strings.Contains(text+h.log.String(), s) {
				t.Errorf("%s: a secret is shown: %s", story, text)
			}
		}
	}
	if deliveries, jobs := h.kept(); deliveries != 0 || jobs != 0 {
		t.Errorf("%d deliveries and %d jobs of strangers were kept", deliveries, jobs)
	}
}

func TestWhatIsTooLarge(t *testing.T) {
	h := newHouse(t)
	for story, c := range map[string]struct {
		door   string
		limit  int
		header func(body string) http.Header
	}{
		"a webhook":      {githubDoor, 25 << 20, func(body string) http.Header { return byGitHub(githubSecret, "guid-1", body) }},
		"a notification": {registryDoor, 1 << 20, func(string) http.Header { return byRegistry(registrySecret) }},
		"a callback":     {ciDoor, 64 << 10, func(body string) http.Header { return byCI(ciSecret, noon, body) }},
	} {
		body := builtBody + strings.Repeat(" ", c.limit-len(builtBody)+1)
		if status, text := h.send(c.door, c.header(body), body); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s of a byte too many: %d %s", story, status, text)
		}
		if deliveries, _ := h.kept(); deliveries != 0 {
			t.Errorf("%s of a byte too many was kept", story)
		}
		if c.limit > 1<<20 {
			continue // what is as large as it may be takes a while to store
		}
		body = body[:c.limit]
		if status, text := h.send(c.door, c.header(body), body); status != http.StatusAccepted {
			t.Errorf("%s as large as it may be: %d %s", story, status, text)
		}
		if _, err := h.store.Pool().Exec(t.Context(), "DELETE FROM delivery"); err != nil {
			t.Fatal(err)
		}
	}
}

// I3: a sender that sends again is told that all is well, and nothing happens.
func TestWhatIsSentAgain(t *testing.T) {
	h := newHouse(t)
	doors := map[string]http.Header{
		githubDoor:   byGitHub(githubSecret, "guid-1", builtBody),
		registryDoor: byRegistry(registrySecret),
		ciDoor:       byCI(ciSecret, noon, builtBody),
	}
	for door, header := range doors {
		if status, text := h.send(door, header, builtBody); status != http.StatusAccepted {
			t.Fatalf("%s: %d %s", door, status, text)
		}
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if status, text := h.send(door, header, builtBody); status != http.StatusAccepted || !strings.Contains(text, "known already") {
					t.Errorf("%s, again: %d %s", door, status, text)
				}
			})
		}
		group.Wait()
	}
	if deliveries, jobs := h.kept(); deliveries != 3 || jobs != 3 {
		t.Errorf("%d deliveries and %d jobs; want one for each door", deliveries, jobs)
	}
	// A CI that signs again later has built nothing new.
	if status, text := h.send(ciDoor, byCI(ciSecret, noon.Add(time.Minute), builtBody), builtBody); status != http.StatusAccepted || !strings.Contains(text, "known already") {
		t.Errorf("signed again: %d %s", status, text)
	}
}

func TestWhatIsNotUnderstood(t *testing.T) {
	h := newHouse(t)
	signed := byGitHub(githubSecret, "guid-1", "{}")
	latest := `{"image": "registry.example.com/acme/payments:1.7.0", "tag": "1.7.0"}`
	for story, c := range map[string]struct {
		door   string
		header http.Header
		body   string
		says   string
	}{
		"GitHub names no delivery": {githubDoor, without(signed, "X-GitHub-Delivery"), "{}", "X-GitHub-Delivery"},
		"GitHub names no event":    {githubDoor, without(signed, "X-GitHub-Event"), "{}", "X-GitHub-Event"},
		"a CI sends no JSON":       {ciDoor, byCI(ciSecret, noon, "1.7.0"), "1.7.0", "JSON"},
		"a CI sends no tag":        {ciDoor, byCI(ciSecret, noon, `{"image": "a"}`), `{"image": "a"}`, "tag"},
		"a CI sends the tag twice": {ciDoor, byCI(ciSecret, noon, latest), latest, "fields of their own"},
	} {
		status, text := h.send(c.door, c.header, c.body)
		if status != http.StatusBadRequest || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s; want 400, naming %q", story, status, text, c.says)
		}
	}
	if deliveries, _ := h.kept(); deliveries != 0 {
		t.Errorf("%d of them were kept", deliveries)
	}
}

func TestOnlyPostsAreTaken(t *testing.T) {
	h := newHouse(t)
	for _, door := range []string{githubDoor, registryDoor, ciDoor} {
		answer, err := http.Get(h.url + door)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("GET %s: %d", door, answer.StatusCode)
		}
	}
}

// What cannot be stored was not taken: the sender has to send it again.
func TestTheDatabaseIsGone(t *testing.T) {
	h := newHouse(t)
	h.store.Close()
	for door, header := range map[string]http.Header{
		githubDoor: byGitHub(githubSecret, "guid-1", builtBody), registryDoor: byRegistry(registrySecret), ciDoor: byCI(ciSecret, noon, builtBody),
	} {
		status, text := h.send(door, header, builtBody)
		if status != http.StatusServiceUnavailable || !strings.Contains(text, "send it again") {
			t.Errorf("%s: %d %s; want 503", door, status, text)
		}
		if strings.Contains(text, "pool") || strings.Contains(text, "postgres") {
			t.Errorf("%s tells a stranger about our insides: %s", door, text)
		}
	}
	if !strings.Contains(h.log.String(), "could not be stored") {
		t.Errorf("the log does not say it: %s", h.log)
	}
}

// nowhere keeps nothing.
type nowhere struct{}

func (nowhere) Accept(context.Context, store.Arrival, func(int64) river.JobArgs) (bool, error) {
	return false, errors.New("nowhere")
}

// A door without a secret would let everybody in.
func TestDoorsWithoutSecretsDoNotOpen(t *testing.T) {
	one := [][]byte{[]byte("secret")}
	for story, c := range map[string]struct {
		secrets intake.Secrets
		missing []string
	}{
		"all are there":       {intake.Secrets{GitHub: one, Registry: one, CI: one}, nil},
		"none is there":       {intake.Secrets{}, []string{"GitHub webhook", "registry notification", "CI callback"}},
		"GitHub's lacks":      {intake.Secrets{Registry: one, CI: one}, []string{"GitHub webhook"}},
		"the CI's is empty":   {intake.Secrets{GitHub: one, Registry: one, CI: [][]byte{{}}}, []string{"CI callback"}},
		"one of two is empty": {intake.Secrets{GitHub: one, Registry: [][]byte{[]byte("secret"), nil}, CI: one}, []string{"registry notification"}},
	} {
		if diff := cmp.Diff(c.missing, c.secrets.Missing()); diff != "" {
			t.Errorf("%s:\n%s", story, diff)
		}
		_, err := intake.New(nowhere{}, c.secrets, time.Now, slog.New(slog.DiscardHandler))
		if (err == nil) != (c.missing == nil) {
			t.Errorf("%s: %v", story, err)
		}
		for _, name := range c.missing {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v does not name %q", story, err, name)
			}
		}
	}
}
