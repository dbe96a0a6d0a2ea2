package image

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	builtImage = "registry.example.com/acme/payments"
	commit     = "0123456789abcdef0123456789abcdef01234567"
)

func TestParseBuilt(t *testing.T) {
	full := Built{Image: builtImage, Tag: "1.7.0", Digest: digest}
	full.Source.Repository, full.Source.Revision = "acme/payments", commit
	full.Run.URL = "https://ci.example.com/runs/17"
	upper := Built{Image: builtImage, Tag: "1.7.0"}
	upper.Source.Revision = commit
	carol := Built{Image: builtImage, Tag: "1.7.0", Actor: Actor{Login: "carol", ID: 583231}}
	loginOnly := Built{Image: builtImage, Tag: "1.7.0", Actor: Actor{Login: "dependabot[bot]"}}
	sha256Commit := Built{Image: builtImage, Tag: "1.7.0"}
	sha256Commit.Source.Revision = commit + commit[:24]

	for _, c := range []struct {
		story, body string
		want        Built
	}{
		{"everything", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "digest": %q, "source": {"repository": "acme/payments", "revision": %q}, "run": {"url": "https://ci.example.com/runs/17"}}`, builtImage, digest, commit), full},
		{"what is needed", fmt.Sprintf(`{"image": %q, "tag": "1.7.0"}`, builtImage), Built{Image: builtImage, Tag: "1.7.0"}},
		{"a local registry", `{"image": "localhost:5000/payments", "tag": "v2"}`, Built{Image: "localhost:5000/payments", Tag: "v2"}},
		{"more than is asked for", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "author": "alice", "source": {"branch": "main"}}`, builtImage), Built{Image: builtImage, Tag: "1.7.0"}},
		{"who built it", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "actor": {"login": "carol", "id": 583231, "type": "User"}}`, builtImage), carol},
		{"who built it, by login", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "actor": "dependabot[bot]"}`, builtImage), loginOnly},
		{"nobody built it", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "actor": null}`, builtImage), Built{Image: builtImage, Tag: "1.7.0"}},
		{"nobody is told", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "actor": {"login": ""}}`, builtImage), Built{Image: builtImage, Tag: "1.7.0"}},
		{"a commit in capitals", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "source": {"revision": %q}}`, builtImage, strings.ToUpper(commit)), upper},
		{"a commit of a SHA-256 repository", fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "source": {"revision": %q}}`, builtImage, commit+commit[:24]), sha256Commit},
		{"whitespace around it", fmt.Sprintf("\n {\"image\": %q, \"tag\": \"1.7.0\"}\n", builtImage), Built{Image: builtImage, Tag: "1.7.0"}},
	} {
		got, err := ParseBuilt([]byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.story, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.story, diff)
		}
	}
}

// Whoever wrote the CI step learns which field is wrong.
func TestParseBuiltRefuses(t *testing.T) {
	with := func(field string) string { return fmt.Sprintf(`{"image": %q, "tag": "1.7.0", %s}`, builtImage, field) }
	for _, c := range []struct{ story, body, says string }{
		{"nothing", "", "JSON"},
		{"no JSON", "payments:1.7.0", "JSON"},
		{"half of it", `{"image": "a"`, "JSON"},
		{"a list", `[]`, "JSON"},
		{"two objects", with(`"a": 1`) + `{"tag": "2"}`, "JSON"},
		{"a tag that is a number", `{"image": "a", "tag": 17}`, "JSON"},
		{"null", `null`, "image"},
		{"no image", `{"tag": "1.7.0"}`, "image"},
		{"an image with a tag", fmt.Sprintf(`{"image": "%s:1.7.0", "tag": "1.7.0"}`, builtImage), "fields of their own"},
		{"an image with a digest", fmt.Sprintf(`{"image": "%s@%s", "tag": "1.7.0"}`, builtImage, digest), "fields of their own"},
		{"an image that is a URL", `{"image": "https://registry.example.com/acme", "tag": "1.7.0"}`, "image"},
		{"no tag", fmt.Sprintf(`{"image": %q}`, builtImage), "tag"},
		{"a tag with a space", fmt.Sprintf(`{"image": %q, "tag": "1 7"}`, builtImage), "tag"},
		{"half a digest", with(`"digest": "sha256:12"`), "digest"},
		{"a digest in capitals", with(fmt.Sprintf(`"digest": %q`, strings.ToUpper(digest))), "digest"},
		{"a repository that is a URL", with(`"source": {"repository": "https://github.com/acme/payments"}`), "source.repository"},
		{"a repository without an owner", with(`"source": {"repository": "payments"}`), "source.repository"},
		{"a short commit", with(`"source": {"revision": "0123456"}`), "source.revision"},
		{"a branch", with(`"source": {"revision": "main"}`), "source.revision"},
		{"an actor that is a list", with(`"actor": ["carol"]`), "JSON"},
		{"an actor with a number for a login", with(`"actor": {"login": 1}`), "JSON"},
		{"an actor with text for a number", with(`"actor": {"login": "carol", "id": "583231"}`), "JSON"},
		{"an actor with markup", with(`"actor": "<b>carol</b>"`), "actor.login"},
		{"an actor with a mention", with(`"actor": {"login": "@carol"}`), "actor.login"},
		{"an actor without a login", with(`"actor": {"id": 583231}`), "actor.id"},
		{"an actor with a negative number", with(`"actor": {"login": "carol", "id": -1}`), "actor.id"},
		{"a run that is a script", with(`"run": {"url": "javascript:alert(1)"}`), "run.url"},
		{"a run without a host", with(`"run": {"url": "https:///runs/17"}`), "run.url"},
		{"a run of endless length", with(`"run": {"url": "https://ci.example.com/` + strings.Repeat("x", 2000) + `"}`), "run.url"},
	} {
		got, err := ParseBuilt([]byte(c.body))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v does not name %s", c.story, err, c.says)
		}
		if got != (Built{}) {
			t.Errorf("%s: a refused body gave %+v", c.story, got)
		}
	}
}

func TestTheRepositoryOfASourceLabel(t *testing.T) {
	for source, want := range map[string]string{
		"https://github.com/acme/payments":               "acme/payments",
		" https://GitHub.com/acme/payments.git/ ":        "acme/payments",
		"http://github.com/acme/payments?tab=readme#top": "acme/payments",
		"acme/payments": "acme/payments",
		"":              "",
		"https://gitlab.example.com/acme/payments":      "",
		"https://github.com.evil.example/acme/payments": "",
		"https://github.com@evil.example/acme/payments": "",
		"https://evil.example/github.com/acme/payments": "",
		"https://github.com/acme/payments/tree/main":    "",
		"https://github.com/acme/../payments":           "",
		"https://github.com/acme/pay ments":             "",
		"git@github.com:acme/payments.git":              "",
		"@acme/payments":                                "",
		"javascript:alert(1)":                           "",
	} {
		if got := SourceRepository(source, "github.com"); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

// Whatever is taken is right in every part, and is taken again when it is sent on.
func FuzzParseBuilt(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"image": "a", "tag": "1"}`))
	f.Add([]byte(fmt.Sprintf(`{"image": %q, "tag": "1.7.0", "digest": %q, "source": {"repository": "acme/payments", "revision": %q}, "run": {"url": "https://ci.example.com/runs/17"}}`, builtImage, digest, commit)))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := ParseBuilt(body)
		if err != nil {
			return
		}
		ref := Ref{Name: b.Image, Tag: b.Tag, Digest: b.Digest}
		if again, err := Parse(ref.String()); err != nil || again != ref {
			t.Errorf("%q was taken as %v, which reads as %v, %v", body, ref, again, err)
		}
		if strings.ContainsAny(b.Source.Repository+b.Source.Revision, " \n\r<>\"") {
			t.Errorf("%q was taken with source %+v", body, b.Source)
		}
		sent, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseBuilt(sent); err != nil || again != b {
			t.Errorf("%q is not taken when sent on as %s: %+v, %v", body, sent, again, err)
		}
	})
}

func TestARevisionIsACommit(t *testing.T) {
	id := strings.Repeat("0a", 20)
	for label, want := range map[string]bool{id: true, strings.ToUpper(id): false, "": false, "v1": false, id + "\n\nApproved-by: bob": false, "@acme/platform": false, id[:7]: false} {
		if got := IsRevision(label); got != want {
			t.Errorf("%q: %v", label, got)
		}
	}
}
