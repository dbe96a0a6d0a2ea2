package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
)

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestVerify(t *testing.T) {
	// GitHub's own example (docs.github.com, "Validating webhook deliveries").
	const secret, body = "It's a Secret to Everybody", "Hello, World!"
	const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	tests := []struct {
		name      string
		secrets   []string
		signature string
		body      string
		hint      string // "" for accepted
	}{
		{"GitHub's example", []string{secret}, signature, body, ""},
		{"while secrets rotate", []string{"new", secret}, signature, body, ""},
		{"the other of two", []string{secret, "old"}, sign("old", body), body, ""},
		{"another body", []string{secret}, signature, "Hello, World?", "does not match"},
		{"another secret", []string{"wrong"}, signature, body, "does not match"},
		{"no secrets", nil, signature, body, "no webhook secret"},
		{"an empty secret signs nothing", []string{""}, sign("", body), body, "no webhook secret"},
		{"an empty secret beside a real one", []string{"", secret}, sign("", body), body, "does not match"},
		{"unsigned", []string{secret}, "", body, "X-Hub-Signature-256"},
		{"SHA-1", []string{secret}, "sha1=0123456789012345678901234567890123456789", body, "X-Hub-Signature-256"},
		{"without its scheme", []string{secret}, strings.TrimPrefix(signature, "sha256="), body, "X-Hub-Signature-256"},
		{"half of it", []string{secret}, signature[:39], body, "X-Hub-Signature-256"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var secrets [][]byte
			for _, s := range test.secrets {
				secrets = append(secrets, []byte(s))
			}
			err := Verify(secrets, test.signature, []byte(test.body))
			if test.hint == "" && err != nil {
				t.Error(err)
			}
			if test.hint != "" && (!fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), test.hint)) {
				t.Errorf("%v, want a hint about %q", err, test.hint)
			}
		})
	}
}

// around is what every webhook carries besides its subject.
const around = `"repository":{"id":35129377,"name":"env","full_name":"acme/env","owner":{"login":"acme","id":5},"created_at":1430869212},
	"installation":{"id":77,"node_id":"x"},"sender":{"id":2,"login":"alice","type":"User"}`

const pullJSON = `{"number":7,"state":"closed","merged":true,"merge_commit_sha":"m","title":"t","body":null,"draft":false,
	"head":{"ref":"bump","sha":"h","repo":{"id":1,"full_name":"acme/env"}},"base":{"ref":"main","sha":"b","repo":{"id":1,"full_name":"acme/env"}},
	"user":{"id":9,"login":"tagboat[bot]","type":"Bot"},"mergeable":null,"mergeable_state":"unknown","html_url":"https://x/7",
	"labels":[{"name":"prod"}],"updated_at":"2026-11-23T10:00:00Z"}`

var decoded = []struct {
	event, body string
	want        Event
}{
	{"issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},
		"comment":{"id":9007199254740993,"body":"/promote prod","user":{"id":2,"login":"alice","type":"User"},"created_at":"2026-11-23T10:00:00Z"},` + around + `}`,
		CommentCreated{Repo: env, Number: 7, IsPull: true, CommentID: 9007199254740993, Body: "/promote prod", Author: alice, At: ten}},
	{"issue_comment", `{"action":"edited","issue":{"number":7},"comment":{"id":1},` + around + `}`, nil},
	{"pull_request_review", `{"action":"submitted","pull_request":` + pullJSON + `,"review":{"id":8,"state":"approved","commit_id":"c",
		"submitted_at":"2026-11-23T10:00:00Z","user":{"id":2,"login":"alice","type":"User"}},` + around + `}`,
		ReviewSubmitted{Repo: env, Number: 7, ReviewID: 8, Reviewer: alice, State: "APPROVED", HeadSHA: "h", CommitID: "c", At: ten, Sender: alice}},
	{"pull_request_review", `{"action":"dismissed","pull_request":` + pullJSON + `,"review":{"id":8,"state":"dismissed","commit_id":null,
		"submitted_at":"2026-11-01T10:00:00Z","user":null},` + around + `}`,
		ReviewDismissed{Repo: env, Number: 7, ReviewID: 8, State: "DISMISSED", HeadSHA: "h", At: ten, Sender: alice}},
	{"pull_request", `{"action":"edited","number":7,"changes":{"body":{"from":"- [ ] x"},"base":{"ref":{"from":"old"},"sha":{"from":"s"}}},"pull_request":` + pullJSON + `,` + around + `}`,
		PullChanged{Repo: env, Number: 7, Action: "edited", Pull: merged, Sender: alice, OldBody: new("- [ ] x"), OldBase: "old", At: ten}},
	{"pull_request", `{"action":"synchronize","before":"b4","after":"h","pull_request":` + pullJSON + `,` + around + `}`,
		PullChanged{Repo: env, Number: 7, Action: "synchronize", Pull: merged, Sender: alice, Before: "b4", At: ten}},
	{"check_run", `{"action":"completed","check_run":{"id":3,"name":"lint","head_sha":"h","status":"completed","conclusion":"success",
		"html_url":"https://x/c","details_url":"","started_at":"2026-11-23T09:00:00Z","completed_at":"2026-11-23T10:00:00Z","app":{"id":4}},` + around + `}`,
		CheckChanged{Repo: env, HeadSHA: "h", Check: Check{Kind: RunKind, AppID: 4, Name: "lint", Status: "completed", Conclusion: "success", URL: "https://x/c", At: ten}}},
	{"check_run", `{"action":"rerequested","check_run":{"id":3,"name":"tagboat","head_sha":"h","started_at":"2026-11-23T10:00:00Z","completed_at":null,"app":{"id":4}},` + around + `}`,
		CheckRerequested{Repo: env, HeadSHA: "h", CheckRunID: 3, Name: "tagboat", AppID: 4, Sender: alice, At: ten}},
	{"check_suite", `{"action":"rerequested","check_suite":{"id":3,"head_sha":"h","updated_at":"2026-11-23T10:00:00Z","app":{"id":4}},` + around + `}`,
		CheckRerequested{Repo: env, HeadSHA: "h", AppID: 4, Sender: alice, At: ten}},
	{"check_suite", `{"action":"completed","check_suite":{"id":3},` + around + `}`, nil},
	{"status", `{"id":1,"sha":"h","context":"scan","state":"error","target_url":null,"updated_at":"2026-11-23T10:00:00Z",` + around + `}`,
		CheckChanged{Repo: env, HeadSHA: "h", Check: Check{Kind: StatusKind, Name: "scan", Status: "completed", Conclusion: "failure", At: ten}}},
	{"push", `{"ref":"refs/heads/main","before":"b","after":"a","forced":true,"deleted":false,"pusher":{"name":"alice"},` + around + `}`,
		Pushed{Repo: env, Ref: "refs/heads/main", Before: "b", After: "a", Forced: true, Pusher: alice}},
	{"push", `{"ref":"refs/heads/main","before":"b","after":"a","repository":{"id":35129377,"full_name":"acme/env","default_branch":"main"},
		"installation":{"id":77},"commits":[{"added":["tagboat.yaml"],"removed":["x"],"modified":[]},{"added":[],"modified":["README.md"]}]}`,
		Pushed{Repo: env, Ref: "refs/heads/main", Before: "b", After: "a", DefaultBranch: "main", Files: []string{"tagboat.yaml", "README.md"}}},
	{"repository", `{"action":"renamed","changes":{"repository":{"name":{"from":"old"}}},` + around + `}`,
		RepositoryChanged{Repo: env, Action: "renamed", Sender: alice}},
	{"installation", `{"action":"created","installation":{"id":77,"account":{"id":5,"login":"acme","type":"Organization"}},
		"repositories":[{"id":35129377,"name":"env","full_name":"acme/env"}],"sender":{"id":2,"login":"alice","type":"User"}}`,
		InstallationChanged{InstallationID: 77, Account: User{ID: 5, Login: "acme"}, Action: "created", Added: []RepoRef{env}, Sender: alice}},
	{"installation_repositories", `{"action":"removed","installation":{"id":77,"account":{"id":5,"login":"acme"}},"repositories_added":[],
		"repositories_removed":[{"id":35129377,"name":"env","full_name":"acme/env"}],"sender":{"id":2,"login":"alice","type":"User"}}`,
		InstallationChanged{InstallationID: 77, Account: User{ID: 5, Login: "acme"}, Action: "removed", Removed: []RepoRef{env}, Sender: alice}},
	{"ping", `{"zen":"Keep it logically awesome."}`, nil},
}

var (
	env    = RepoRef{Owner: "acme", Name: "env", ID: 35129377, InstallationID: 77}
	alice  = User{ID: 2, Login: "alice"}
	ten    = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	merged = Pull{Number: 7, State: "closed", Merged: true, MergeSHA: "m", HeadSHA: "h", HeadRef: "bump", HeadRepo: "acme/env",
		BaseRef: "main", BaseSHA: "b", Title: "t", Author: User{ID: 9, Login: "tagboat[bot]", Bot: true},
		MergeableState: "unknown", URL: "https://x/7", Labels: []string{"prod"}}
)

func TestDecode(t *testing.T) {
	for _, test := range decoded {
		got, err := Decode(test.event, []byte(test.body))
		if err != nil {
			t.Errorf("%s %s: %v", test.event, test.body, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.event, diff)
		}
	}
}

func TestIncompleteWebhooksAreRefused(t *testing.T) {
	for event, lacking := range map[string]string{
		"issue_comment":       `{"action":"created","issue":{"number":7},` + around + `}`,
		"pull_request_review": `{"action":"submitted","pull_request":{"number":7},"review":null,` + around + `}`,
		"pull_request":        `{"action":"opened","pull_request":null,` + around + `}`,
		"check_run":           `{"action":"completed","check_run":{"id":1},` + around + `}`,
		"check_suite":         `{"action":"rerequested",` + around + `}`,
		"status":              `{"sha":"h",` + around + `}`,
		"push":                `{"ref":"refs/heads/main","after":"a","repository":{"id":1,"full_name":"acme"}}`,
		"installation":        `{"action":"created"}`,
	} {
		for _, body := range []string{lacking, `{`, `[]`, `null`, `{"action":7}`, ``} {
			e, err := Decode(event, []byte(body))
			if err == nil && e == nil {
				continue // nothing about it that Tagboat wants
			}
			if !fault.Is(err, fault.Invalid) || e != nil || fault.HintOf(err) == "" {
				t.Errorf("%s %s: %v, %v", event, body, e, err)
			}
		}
		if _, err := Decode(event, []byte(lacking)); err == nil {
			t.Errorf("%s %s: accepted", event, lacking)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, test := range decoded {
		f.Add(test.event, []byte(test.body))
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		e, err := Decode(event, body)
		if err != nil && (e != nil || !fault.Is(err, fault.Invalid)) {
			t.Errorf("%v with %v", e, err)
		}
		if c, ok := e.(CommentCreated); ok && (c.Repo.ID == 0 || c.Repo.Owner == "" || c.Number == 0 || c.CommentID == 0) {
			t.Errorf("a comment without what identifies it: %+v", c)
		}
	})
}
