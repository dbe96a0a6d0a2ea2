package deploy_test

import (
	"slices"
	"strings"
	"testing"

	gh "github.com/google/go-github/v60/github"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/github"
)

// manifest has the keys of GitHub's App manifests.
type manifest struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	URL         string            `json:"url"`
	Public      bool              `json:"public"`
	Hook        hook              `json:"hook_attributes"`
	Permissions map[string]string `json:"default_permissions"`
	Events      []string          `json:"default_events"`
}

type hook struct {
	URL    string `json:"url"`
	Active bool   `json:"active"`
}

func appManifest(t *testing.T) manifest {
	t.Helper()
	var m manifest
	if err := yaml.UnmarshalStrict(read(t, "github-app.yaml"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheAppSubscribesToWhatTagboatUnderstands(t *testing.T) {
	subscribed := appManifest(t).Events
	known := func(event string) bool {
		_, err := github.Decode(event, []byte("{")) // no error where nobody looks at the body
		return err != nil
	}
	for _, event := range gh.MessageTypes() {
		unasked := strings.HasPrefix(event, "installation") // these come to every App
		switch wants := known(event) && !unasked; {
		case wants && !slices.Contains(subscribed, event):
			t.Errorf("the App does not subscribe to %s, which Tagboat acts on", event)
		case !wants && slices.Contains(subscribed, event):
			t.Errorf("the App subscribes to %s, which Tagboat does not act on", event)
		}
	}
	if len(subscribed) == 0 || len(slices.Compact(slices.Sorted(slices.Values(subscribed)))) != len(subscribed) {
		t.Errorf("the events are missing, or one is there twice: %v", subscribed)
	}
}

// GitHub refuses a manifest with an event that no permission covers: "Default
// events are not supported by permissions" (docs: "Webhook events and payloads",
// the sentence "To subscribe to this event ..." of each event).
func TestEveryEventHasItsPermission(t *testing.T) {
	needs := map[string]string{
		"issue_comment": "issues", "pull_request": "pull_requests", "pull_request_review": "pull_requests",
		"check_run": "checks", "check_suite": "checks", "status": "statuses", "push": "contents",
		"merge_group": "merge_queues", "repository": "metadata",
	}
	m := appManifest(t)
	for _, event := range m.Events {
		permission, ok := needs[event]
		if !ok {
			t.Errorf("this test does not know which permission %s needs: look it up", event)
		} else if m.Permissions[permission] == "" {
			t.Errorf("%s needs the permission %s", event, permission)
		}
	}
}

func TestTheAppAsksForNoMoreThanItUses(t *testing.T) {
	most := map[string]string{
		"metadata": "read", "contents": "write", "pull_requests": "write", "issues": "write", "checks": "write",
		"statuses": "write", "deployments": "write", "members": "read", "merge_queues": "read",
	}
	m := appManifest(t)
	for permission, level := range m.Permissions {
		if most[permission] != level {
			t.Errorf("%s: %s is not what Tagboat needs", permission, level)
		}
	}
	if m.Public || !m.Hook.Active || !strings.HasSuffix(m.Hook.URL, "/hooks/github") {
		t.Errorf("public %t, webhooks %+v", m.Public, m.Hook)
	}
}
