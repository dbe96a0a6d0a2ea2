package github_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/nested"
)

// Webhooks that GitHub really sent, collected by its own SDK's makers, also
// from Enterprise Servers: none may be refused, and those that Tagboat lives on
// must be understood.
func TestRealWebhooksAreUnderstood(t *testing.T) {
	dir, err := nested.NPM(t.Context(), "@octokit/webhooks-examples", "7.6.1", nested.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"api.github.com", "ghes-35"} {
		raw, err := os.ReadFile(filepath.Join(dir, server, "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		var events []struct {
			Name     string
			Examples []json.RawMessage
		}
		if err := json.Unmarshal(raw, &events); err != nil {
			t.Fatal(err)
		}
		understood := map[string]int{}
		for _, event := range events {
			for _, example := range event.Examples {
				e, err := github.Decode(event.Name, example)
				if err != nil {
					t.Errorf("%s: %s: %v in %.300s", server, event.Name, err, example)
				}
				if e != nil {
					understood[event.Name]++
				}
			}
		}
		for _, name := range []string{"issue_comment", "pull_request", "pull_request_review", "check_run", "status", "push", "installation"} {
			if understood[name] == 0 {
				t.Errorf("%s: not one %s was understood", server, name)
			}
		}
	}
}
