package checklist

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

func TestWhatRunsWhereIsATable(t *testing.T) {
	at := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	eu := Running{App: "payments", Env: "prod", ClusterStatus: ClusterStatus{Cluster: "eu", Tag: "1.7.0", Digest: "sha256:" + strings.Repeat("a", 64), Phase: Healthy, Since: at}, MergedAt: at, Pull: 7,
		Coming: []Coming{{Tag: "1.8.0", Pull: 9, State: "open"}, {Tag: "1.9.0"}}}
	empty := Running{App: "shop", Env: "prod", ClusterStatus: ClusterStatus{Cluster: "eu", Phase: Failed, Reason: "no such | @namespace"}}
	text := RenderStatus([]Running{eu, empty})
	for _, want := range []string{
		"| ✅ | payments | prod | eu | `1.7.0` | `sha256:aaaaaaaaaaaa` | 2026-03-05 09:00 UTC, #7 | healthy | 2026-03-05 09:00 UTC | `1.8.0` (#9, open), `1.9.0` |",
		"| ❌ | shop | prod | eu |  |  |  | failed: no such \\| @&#8203;namespace |  |  |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no row %q in\n%s", want, text)
		}
	}
	text = RenderStatus(make([]Running, 1000))
	if !strings.Contains(text, "and 900 more: name an environment") || len(text) > MaxReply {
		t.Errorf("a thousand rows are %d bytes: %s", len(text), text[:200])
	}
}

func TestAChangeSaysFromWhatToWhat(t *testing.T) {
	c := Change{
		App: "payments", Env: "prod", Old: image.Ref{Tag: "1.6.0"}, New: image.Ref{Tag: "1.7.0"}, Pull: 7,
		Diff: "-1.6.0\n+1.7.0\n```\n@alice\n", Rendered: "**1 object changes**\n",
	}
	text := RenderChange(c)
	for _, want := range []string{"**payments** in **prod**, from `1.6.0` to `1.7.0` (#7).", "**1 object changes**", "````diff\n-1.6.0"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	c.Pull, c.Rendered, c.Unknown, c.Old = 0, "", "With this version it cannot be rendered: <b>", image.Ref{}
	text = RenderChange(c)
	for _, want := range []string{"from `nothing` to `1.7.0`, if somebody asked for it: `/promote prod payments 1.7.0`.", "cannot be rendered: &lt;b&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	c.Diff = strings.Repeat("+"+strings.Repeat("x", 99)+"\n", 5000)
	c.Rendered = strings.Repeat(fmt.Sprintln("y"), 10_000)
	if text := RenderChange(c); len(text) > MaxReply {
		t.Errorf("%d bytes", len(text))
	}
}
