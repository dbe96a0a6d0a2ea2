package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// publicName maps the host under which a registry is asked inside a cluster.
func publicName(requestHost string) string {
	if requestHost == "registry.internal:5000" {
		return "registry.example.com"
	}
	return ""
}

func asIs(requestHost string) string { return requestHost }

func TestDecodeDistribution(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)
	for _, c := range []struct {
		file string
		want []Push
	}{
		{"push.json", []Push{{
			ID: "e-1", MediaType: "application/vnd.oci.image.index.v1+json", At: at,
			Image: image.Ref{Name: "registry.example.com/acme/payments", Tag: "1.7.0", Digest: "sha256:" + strings.Repeat("a", 64)},
		}}},
		{"noise.json", nil},
		{"odd.json", []Push{{
			ID: "good", At: at,
			Image: image.Ref{Name: "registry.example.com/acme/payments", Tag: "1.7.1", Digest: "sha256:" + strings.Repeat("9", 64)},
		}}},
	} {
		t.Run(c.file, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeDistribution(body, publicName)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Every ignore rule by itself: an event that differs from a good one in just
// that is left out.
func TestIgnoreRules(t *testing.T) {
	good := `{"events":[{"id":"1","action":"push","timestamp":"2026-03-04T05:06:07Z","target":{` +
		`"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"DIGEST","repository":"acme/api","tag":"1.0.0"},"request":{"host":"h.example"}}]}`
	good = strings.ReplaceAll(good, "DIGEST", "sha256:"+strings.Repeat("0", 64))
	hex := strings.Repeat("0", 64)
	for _, c := range []struct {
		name, old, new string
		kept           bool
	}{
		{name: "nothing changed", kept: true},
		{name: "docker manifest list", old: "manifest.v2+json", new: "manifest.list.v2+json", kept: true},
		{name: "media type not told", old: "application/vnd.docker.distribution.manifest.v2+json", new: "", kept: true},
		{name: "a version that starts like a digest", old: `"1.0.0"`, new: `"sha256-1"`, kept: true},
		{name: "pull", old: `"push"`, new: `"pull"`},
		{name: "no tag", old: `"1.0.0"`, new: `""`},
		{name: "the digest as tag", old: `"1.0.0"`, new: `"sha256:` + hex + `"`},
		{name: "referrers index", old: `"1.0.0"`, new: `"sha256-` + hex + `"`},
		{name: "attestation", old: `"1.0.0"`, new: `"sha256-` + hex + `.att"`},
		{name: "sha512 signature", old: `"1.0.0"`, new: `"sha512-` + hex + hex + `.sig"`},
		{name: "schema 1", old: "manifest.v2+json", new: "manifest.v1+json"},
		{name: "chart", old: "vnd.docker.distribution.manifest.v2+json", new: "vnd.cncf.helm.chart.v1+json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeDistribution([]byte(strings.Replace(good, c.old, c.new, 1)), asIs)
			if err != nil {
				t.Fatal(err)
			}
			if kept := len(got) == 1; kept != c.kept {
				t.Errorf("kept %v, want %v: %v", kept, c.kept, got)
			}
		})
	}
}

func TestDecodeDistributionRefusesWhatIsNoEnvelope(t *testing.T) {
	for _, body := range []string{"", "null x", "[]", `{"events":{}}`, `{"events":[{"timestamp":"yesterday"}]}`, "\xff"} {
		if _, err := DecodeDistribution([]byte(body), asIs); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v; want invalid", body, err)
		}
	}
	for _, body := range []string{"{}", `{"events":[]}`, `{"events":null}`, `{"events":[{}]}`} {
		if got, err := DecodeDistribution([]byte(body), asIs); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v; want nothing and no error", body, got, err)
		}
	}
}

// Bodies that real registries sent: of 7 events of one push and its signature,
// one is an image.
func TestDecodeCapturedNotifications(t *testing.T) {
	const index = "sha256:57b882888f97ec9455f5c37fc9c32a322bcd4e43ebf22a87db325adfa950273e"
	for file, want := range map[string][]string{
		"distribution.json":       {"127.0.0.1:5060/acme/api:v1.5.0@" + index},
		"distribution-noise.json": nil,
	} {
		body, ok := shared(t, file)
		if !ok {
			return
		}
		got, err := DecodeDistribution(body, asIs)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var images []string
		for _, p := range got {
			images = append(images, p.Image.String())
			if p.ID == "" || p.At.IsZero() {
				t.Errorf("%s: %+v has no id or time", file, p)
			}
		}
		if diff := cmp.Diff(want, images); diff != "" {
			t.Errorf("%s: -want +got:\n%s", file, diff)
		}
	}
}

// Something is attached to an image by a tag that names its digest.
func TestDecodeAttached(t *testing.T) {
	hex := strings.Repeat("a", 64)
	event := func(action, host, repo, tag string) string {
		return fmt.Sprintf(`{"action":%q,"target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":%q,"tag":%q},"request":{"host":%q}}`, action, repo, tag, host)
	}
	for story, c := range map[string]struct {
		event string
		want  []string
	}{
		"a signature":                  {event("push", "r.example.com", "acme/payments", "sha256-"+hex+".sig"), []string{"r.example.com/acme/payments@sha256:" + hex}},
		"a list of referrers":          {event("push", "r.example.com", "acme/payments", "sha256-"+hex), []string{"r.example.com/acme/payments@sha256:" + hex}},
		"a signature that is pulled":   {event("pull", "r.example.com", "acme/payments", "sha256-"+hex+".sig"), nil},
		"an image":                     {event("push", "r.example.com", "acme/payments", "1.7.0"), nil},
		"a registry that nobody knows": {event("push", "", "acme/payments", "sha256-"+hex), nil},
		"no repository":                {event("push", "r.example.com", "", "sha256-"+hex), nil},
	} {
		got, err := DecodeAttached([]byte(`{"events":[`+c.event+","+c.event+`]}`), asIs)
		var refs []string
		for _, r := range got {
			refs = append(refs, r.String())
		}
		if err != nil || !slices.Equal(refs, c.want) {
			t.Errorf("%s: %v, %v; want %v", story, refs, err, c.want)
		}
	}
	if _, err := DecodeAttached([]byte("no"), asIs); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// GitLab's registry is a fork of Distribution.
func TestDecodeGitLabRegistry(t *testing.T) {
	body, ok := shared(t, "gitlab-registry.json")
	if !ok {
		return
	}
	got, err := DecodeDistribution(body, asIs)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v; want one push", got, err)
	}
}

// shared reads a captured body from beside the checkout, where it may be absent.
func shared(t testing.TB, file string) ([]byte, bool) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "payloads", file)
	body, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		t.Logf("the captured bodies are not beside this checkout (%s)", path)
		t.Skip("no captured bodies; the examples in testdata are checked anyway")
	}
	if err != nil {
		t.Fatal(err)
	}
	return body, true
}

func FuzzDecodeDistribution(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.json")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, seed := range seeds {
		body, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		pushes, err := DecodeDistribution(body, asIs)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("an error that is not invalid: %v", err)
			}
			return
		}
		for _, p := range pushes {
			if !image.ValidTag(p.Image.Tag) || !image.ValidDigest(p.Image.Digest) || image.AttachedTag(p.Image.Tag) {
				t.Errorf("let through: %+v", p)
			}
			if again, err := image.Parse(p.Image.String()); err != nil || again != p.Image {
				t.Errorf("%q reads back as %v, %v", p.Image, again, err)
			}
		}
	})
}
