package checklist_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
)

func TestWhatLiesBetween(t *testing.T) {
	show := func(b *checklist.Between) string {
		p := payments()
		p.Between = b
		body, err := checklist.RenderBody("{{.Gates}}\n\n<{{.Commits}}>", p)
		if err != nil {
			t.Fatal(err)
		}
		return body[strings.LastIndex(body, "\n<")+2 : strings.LastIndex(body, ">")]
	}
	for _, tt := range []struct {
		story string
		b     *checklist.Between
		want  string
	}{
		{"nothing to compare with", nil, ""},
		{"not known", &checklist.Between{Unknown: "the App is not installed on acme/payments."}, "Not known: the App is not installed on acme/payments."},
		{"the same", &checklist.Between{Repo: "acme/payments"}, "None: `1.6.0` and `1.7.0` were built from the same commit of `acme/payments`."},
		{"one", &checklist.Between{Repo: "acme/payments", Ahead: 1, Newest: []checklist.Commit{{SHA: "0123456789abcdef", Title: "Round"}}},
			"1 commit of `acme/payments` since `1.6.0` (compare):\n\n- `0123456789ab` Round"},
		{"back", &checklist.Between{Repo: "acme/payments", Behind: 3},
			"**This goes back**: `1.7.0` was built from an older commit of `acme/payments` than `1.6.0`, and lacks 3 commits (compare)."},
		{"apart", &checklist.Between{Repo: "acme/payments", Ahead: 2, Behind: 1},
			"**The two were built from different lines of history** of `acme/payments`: `1.7.0` has 2 commits that `1.6.0` has not, and lacks 1 commit that `1.6.0` has (compare). New are:\n\n- and 2 older"},
	} {
		if got := show(tt.b); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.story, got, tt.want)
		}
	}
	many := &checklist.Between{Repo: "acme/payments", Ahead: 5000}
	for range 300 {
		many.Newest = append(many.Newest, checklist.Commit{SHA: "0123456789abcdef", Title: strings.Repeat("@", 5000), Author: strings.Repeat("<", 5000)})
	}
	if got := show(many); strings.Count(got, "\n- `") != checklist.MaxCommits || !strings.Contains(got, "and 4990 older") || len(got) > 20_000 {
		t.Errorf("%d bytes:\n%.500s", len(got), got)
	}
}

func TestWhatRunsUpstream(t *testing.T) {
	at := time.Date(2026, 10, 1, 8, 0, 0, 0, time.UTC)
	digest := "sha256:" + strings.Repeat("b2", 32)
	for want, u := range map[string]checklist.Upstream{
		"- **staging** is not known to run anything yet.":                                                                                              {},
		"- **staging** runs `1.6.0@sha256:b2b2b2b2b2b2`, which is not what is promoted here.":                                                          {Tag: "1.6.0", Digest: digest, Healthy: true, Since: at},
		"- **staging** runs `1.7.0@sha256:b2b2b2b2b2b2`, and is not healthy: 1 of 3":                                                                   {Tag: "1.7.0", Digest: digest, Wanted: true, Reason: "1 of 3"},
		"- **staging** runs `1.7.0@sha256:b2b2b2b2b2b2`, healthy since 2026-10-01 08:00 UTC.":                                                          {Tag: "1.7.0", Digest: digest, Wanted: true, Healthy: true, Since: at},
		"- **staging** runs `1.7.0@sha256:b2b2b2b2b2b2`, healthy since 2026-10-01 08:00 UTC. It has to stay so for 1h30m, until 2026-10-01 09:30 UTC.": {Tag: "1.7.0", Digest: digest, Wanted: true, Healthy: true, Since: at, Soak: 90 * time.Minute},
	} {
		p := payments()
		u.Env = "staging"
		p.Upstream = []checklist.Upstream{u}
		body, err := checklist.RenderBody("{{.Gates}}\n\n{{.Upstream}}\n", p)
		if err != nil || !strings.HasSuffix(body, "\n"+want+"\n") {
			t.Errorf("%v, want %q in\n%s", err, want, body)
		}
	}
}

func TestTheWayBack(t *testing.T) {
	p := payments()
	body, err := checklist.RenderBody("{{.Gates}}\n\n{{.Rollback}}\n", p)
	if want := fmt.Sprintf("Before this there is `1.6.0@%s`. After the merge, comment `/rollback prod payments <reason>`", p.Old.Digest); err != nil || !strings.Contains(body, want) {
		t.Errorf("%v, want %q in\n%s", err, want, body)
	}
	p.Old.Tag, p.Old.Digest = "", ""
	body, err = checklist.RenderBody("{{.Gates}}\n\n{{.Rollback}}\n", p)
	if err != nil || !strings.Contains(body, "no earlier version") || strings.Contains(body, "Revert") {
		t.Errorf("%v:\n%s", err, body)
	}
}

func TestWhatComesAlong(t *testing.T) {
	p := payments()
	show := func() string {
		body, err := checklist.RenderBody("{{.Gates}}\n\n{{.Carries}}\n", p)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	if strings.Contains(show(), "WARNING") {
		t.Error("nothing comes along")
	}
	p.Carries = []checklist.Carried{
		{Cluster: "eu", Commit: "0123456789abcdef", Objects: []string{"Deployment payments changed", "ConfigMap `x` added"}, More: 3, Why: "selector @here"},
		{Cluster: "us", Commit: "0123456789abcdef", Unknown: "the commit is gone"},
		{Cluster: "new"},
		{Cluster: "ap", Commit: "0123456789abcdef", Objects: []string{"Deployment payments changed"}, Waits: "ap waits for wave 1: eu is not healthy."},
	}
	for _, part := range []string{
		"\n> [!WARNING]\n> **More than the image would reach the clusters.**",
		"\n> - **eu** was last brought to commit `0123456789ab`; since then: `Deployment payments changed`, ``ConfigMap `x` added`` and 3 more. It is behind because its last sync failed: selector @&#8203;here\n",
		"\n> - **us** was last brought to commit `0123456789ab`; it is not known what has changed since: the commit is gone\n",
		"\n> - **new** was never brought to any commit, so that all of the overlay is new there.\n",
		"since then: `Deployment payments changed`. It is behind for its turn has not come: ap waits for wave 1: eu is not healthy.\n",
	} {
		if !strings.Contains(show(), part) {
			t.Errorf("want %q in\n%s", part, show())
		}
	}
	if text := checklist.RenderCheck(p, checklist.StateOpen).Text; !strings.HasPrefix(text, "> [!WARNING]") {
		t.Errorf("the check begins with %.200s", text)
	}
	for range 1000 {
		p.Carries = append(p.Carries, checklist.Carried{Cluster: "c", Commit: "0", Objects: make([]string, 1000), Why: strings.Repeat("<", 10_000)})
	}
	if body := show(); len(body) > 15_000 || !strings.Contains(body, "and 999 more clusters") {
		t.Errorf("%d bytes", len(body))
	}
}
