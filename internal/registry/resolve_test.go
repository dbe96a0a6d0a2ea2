package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

const payments = "registry.example.com/acme/payments"

// start runs a registry that image names know as registry.example.com.
func start(t *testing.T, notify ...registrytest.Notify) (*registrytest.Registry, *Client) {
	t.Helper()
	reg, err := registrytest.Start(t.Context(), registrytest.Options{Notify: notify, Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Stop)
	return reg, client(reg.Host())
}

func client(api string) *Client {
	return New(Config{Endpoints: []Endpoint{{Host: "registry.example.com", API: api, Insecure: true, Username: "robot", Password: "hunter2hunter2"}}})
}

func push(t *testing.T, reg *registrytest.Registry, repo, tag string, c registrytest.Content) string {
	t.Helper()
	digest, err := reg.Push(t.Context(), repo, tag, c)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func tagAt(t *testing.T, reg *registrytest.Registry, reference string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(reg.Host()+"/"+reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func TestResolve(t *testing.T) {
	ctx := t.Context()
	reg, c := start(t)
	labels := map[string]string{sourceLabel: "https://github.com/acme/payments", revisionLabel: "0123abc", "other": "x"}
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	single := push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "payments 1.7.0", Labels: labels})
	want := Artifact{
		Image:     image.Ref{Name: payments, Tag: "1.7.0", Digest: single},
		MediaType: string(types.OCIManifestSchema1), Platforms: []string{"linux/amd64"},
		Source: labels[sourceLabel], Revision: "0123abc", Created: created,
	}
	got, err := c.Resolve(ctx, payments, "1.7.0")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("one platform, -want +got:\n%s", diff)
	}

	multi := push(t, reg, "acme/payments", "1.8.0", registrytest.Content{Seed: "payments 1.8.0", Labels: labels, Platforms: []string{"linux/arm64", "linux/amd64", "linux/arm/v7"}})
	want = Artifact{
		Image:     image.Ref{Name: payments, Tag: "1.8.0", Digest: multi},
		MediaType: string(types.OCIImageIndex), Platforms: []string{"linux/amd64", "linux/arm/v7", "linux/arm64"},
		Source: labels[sourceLabel], Revision: "0123abc", Created: created,
	}
	got, err = c.Resolve(ctx, payments, "1.8.0")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("three platforms, -want +got:\n%s", diff)
	}
	want.Image.Tag = ""
	if got, err = c.ResolveDigest(ctx, payments, multi); err != nil || !cmp.Equal(want, got) {
		t.Errorf("by digest: %v, %v; want %v", got, err, want)
	}

	moved := push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "something else"})
	if got, err = c.Resolve(ctx, payments, "1.7.0"); err != nil || got.Image.Digest != moved || moved == single {
		t.Errorf("a moved tag: %v, %v; want digest %s, which is not %s", got, err, moved, single)
	}
	if again := push(t, reg, "acme/payments", "1.7.0-again", registrytest.Content{Seed: "payments 1.7.0", Labels: labels}); again != single {
		t.Errorf("the same content has digest %s, then %s", single, again)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	ctx := t.Context()
	reg, c := start(t)
	push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "1"})
	for _, ref := range []string{"payments:9.9.9", "nothing:1.0.0"} {
		repo, tag, _ := strings.Cut(ref, ":")
		_, err := c.Resolve(ctx, "registry.example.com/acme/"+repo, tag)
		want := "acme/" + ref + " is not in registry registry.example.com; push it or check the tag."
		if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != want {
			t.Errorf("%s: %v, %s, hint %q; want not found and %q", ref, err, fault.KindOf(err), fault.HintOf(err), want)
		}
	}
	if _, err := c.ResolveDigest(ctx, payments, "sha256:"+strings.Repeat("0", 64)); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown digest: %v; want not found", err)
	}
	for name, tag := range map[string]string{payments: "no/tag", payments + ":1.0.0": "1.0.0", "": "1.0.0", payments + "/../x": "1.0.0"} {
		if _, err := c.Resolve(ctx, name, tag); !fault.Is(err, fault.Invalid) {
			t.Errorf("Resolve(%q, %q): %v; want invalid", name, tag, err)
		}
	}

	multi := push(t, reg, "acme/shop", "1.0.0", registrytest.Content{Seed: "s", Platforms: []string{"linux/amd64", "linux/arm64"}})
	index, err := remote.Index(tagAt(t, reg, "acme/shop:1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts.Manifests {
		if err := remote.Delete(tagAt(t, reg, "acme/shop:x").Context().Digest(part.Digest.String())); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.Resolve(ctx, "registry.example.com/acme/shop", "1.0.0")
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "incomplete") {
		t.Errorf("index %s without its images: %v, hint %q; want invalid, incomplete", multi, err, fault.HintOf(err))
	}
}

// Things that are pushed to a repository like images and are none.
func TestNotAnImage(t *testing.T) {
	ctx := t.Context()
	reg, c := start(t)
	digest := push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "1"})
	subject, err := remote.Head(tagAt(t, reg, "acme/payments:1.7.0"))
	if err != nil {
		t.Fatal(err)
	}
	oci := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	config := mutate.ConfigMediaType(oci, types.OCIConfigJSON)
	blob, err := mutate.AppendLayers(config, static.NewLayer([]byte("bundle"), "application/vnd.dev.sigstore.bundle.v0.3+json"))
	if err != nil {
		t.Fatal(err)
	}
	attestation, err := mutate.ConfigFile(blob, &v1.ConfigFile{OS: "unknown", Architecture: "unknown"})
	if err != nil {
		t.Fatal(err)
	}
	onlyAttestation := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: attestation, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}})
	for tag, manifest := range map[string]remote.Taggable{
		"signature": mutate.Subject(blob, *subject).(v1.Image),
		"chart-index": mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
			Add: mutate.ConfigMediaType(oci, chartConfig), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}}),
		"no-platform":   blob,
		"empty-index":   mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		"attestation":   onlyAttestation,
		"artifact-type": raw(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","artifactType":"application/vnd.example","manifests":[]}`),
	} {
		var err error
		switch m := manifest.(type) {
		case v1.Image:
			err = remote.Write(tagAt(t, reg, "acme/payments:"+tag), m)
		case v1.ImageIndex:
			err = remote.WriteIndex(tagAt(t, reg, "acme/payments:"+tag), m)
		default:
			err = remote.Put(tagAt(t, reg, "acme/payments:"+tag), m)
		}
		if err != nil {
			t.Fatalf("%s: %v", tag, err)
		}
		_, err = c.Resolve(ctx, payments, tag)
		if hint := fault.HintOf(err); !fault.Is(err, fault.Invalid) || !strings.Contains(hint, "acme/payments:"+tag+" is not an image that can be run") {
			t.Errorf("%s: %v, hint %q; want invalid", tag, err, hint)
		}
	}
	// What cosign 3 leaves at a registry without the referrers API: by its media
	// type a multi-platform image, under a name that is made from a digest.
	attached := strings.Replace(digest, ":", "-", 1)
	if err := remote.WriteIndex(tagAt(t, reg, "acme/payments:"+attached), onlyAttestation); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Resolve(ctx, payments, attached); !fault.Is(err, fault.Invalid) {
		t.Errorf("a referrers index: %v; want invalid", err)
	}

	// BuildKit puts attestations beside the images of an index.
	index, err := remote.Index(tagAt(t, reg, "acme/payments:attestation"))
	if err != nil {
		t.Fatal(err)
	}
	runnable, err := remote.Image(tagAt(t, reg, "acme/payments:1.7.0"))
	if err != nil {
		t.Fatal(err)
	}
	index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: runnable, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	index = mutate.Annotations(index, map[string]string{sourceLabel: "https://github.com/acme/payments"}).(v1.ImageIndex)
	if err := remote.WriteIndex(tagAt(t, reg, "acme/payments:buildkit"), index); err != nil {
		t.Fatal(err)
	}
	got, err := c.Resolve(ctx, payments, "buildkit")
	if err != nil || !cmp.Equal(got.Platforms, []string{"linux/amd64"}) || got.Source != "https://github.com/acme/payments" {
		t.Errorf("with attestations beside: %+v, %v; want linux/amd64 only, and the index's source", got, err)
	}
}

func TestAHelmChartIsAnArtifactToo(t *testing.T) {
	reg, c := start(t)
	chart := mutate.Annotations(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), chartConfig),
		map[string]string{sourceLabel: "https://github.com/acme/charts"}).(v1.Image)
	if err := remote.Write(tagAt(t, reg, "charts/payments:1.2.3"), chart); err != nil {
		t.Fatal(err)
	}
	digest, err := chart.Digest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Resolve(t.Context(), "registry.example.com/charts/payments", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	want := Artifact{
		Image: image.Ref{Name: "registry.example.com/charts/payments", Tag: "1.2.3", Digest: digest.String()},
		Chart: true, MediaType: string(types.OCIManifestSchema1), Source: "https://github.com/acme/charts",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// raw is a manifest as bytes.
type raw string

func (r raw) RawManifest() ([]byte, error)        { return []byte(r), nil }
func (r raw) MediaType() (types.MediaType, error) { return types.OCIImageIndex, nil }

func TestNotificationsOfARealRegistry(t *testing.T) {
	ctx := t.Context()
	var mu sync.Mutex
	var events, authorized int
	var pushes []Push
	changed := make(chan struct{}, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, err := DecodeDistribution(body, func(string) string { return "registry.example.com" })
		if err != nil {
			t.Errorf("%v: %s", err, body)
		}
		mu.Lock()
		defer mu.Unlock()
		if events++; events == 1 { // a receiver that is just restarting
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.Header.Get("Authorization") == "Bearer s3cret" {
			authorized++
		}
		pushes = append(pushes, got...)
		select {
		case changed <- struct{}{}:
		default:
		}
	}))
	defer receiver.Close()
	reg, c := start(t, registrytest.Notify{URL: receiver.URL + "/hooks/registry/distribution", Authorization: "Bearer s3cret"})

	digest := push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "1", Platforms: []string{"linux/amd64", "linux/arm64"}})
	index, err := remote.Index(tagAt(t, reg, "acme/payments:1.7.0"))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tagAt(t, reg, "acme/payments:"+strings.Replace(digest, ":", "-", 1)), index); err != nil {
		t.Fatal(err)
	}
	last := push(t, reg, "acme/payments", "1.7.1", registrytest.Content{Seed: "2"})

	deadline := time.After(2 * time.Minute)
	for {
		mu.Lock()
		n := len(pushes)
		done := n > 0 && pushes[n-1].Image.Tag == "1.7.1"
		mu.Unlock()
		if done {
			break
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("after two minutes: %d events, pushes %v", events, pushes)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	var images []string
	for _, p := range pushes {
		images = append(images, p.Image.String())
	}
	want := []string{payments + ":1.7.0@" + digest, payments + ":1.7.1@" + last}
	if diff := cmp.Diff(want, images); diff != "" {
		t.Errorf("of %d events, -want +got:\n%s", events, diff)
	}
	if authorized != events-1 || events < 8 {
		t.Errorf("%d events, %d of them authorized; want all, and many that are no image", events, authorized)
	}
	for _, p := range pushes {
		if a, err := c.Resolve(ctx, p.Image.Name, p.Image.Tag); err != nil || a.Image != p.Image {
			t.Errorf("the registry says %v, %v; its notification %v", a.Image, err, p.Image)
		}
	}
}

func TestTroubleWithTheRegistry(t *testing.T) {
	ctx := t.Context()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		name   string
		status int
		header string
		kind   fault.Kind
		until  time.Time
	}{
		{"unauthorized", 401, "", fault.Denied, time.Time{}},
		{"forbidden", 403, "", fault.Denied, time.Time{}},
		{"rate limited, seconds", 429, "90", fault.RateLimited, now.Add(90 * time.Second)},
		{"rate limited, date", 429, now.Add(time.Hour).Format(http.TimeFormat), fault.RateLimited, now.Add(time.Hour)},
		{"rate limited, silent", 429, "", fault.RateLimited, now.Add(time.Minute)},
		{"down for maintenance", 503, "", fault.Transient, time.Time{}},
		{"broken", 500, "", fault.Transient, time.Time{}},
		{"teapot", 418, "", fault.Invalid, time.Time{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" && r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				w.Header().Set("Retry-After", c.header)
				w.WriteHeader(c.status)
				user, password, _ := r.BasicAuth()
				fmt.Fprintf(w, "you are %s with %s, that is %s", user, password, r.Header.Get("Authorization"))
			}))
			defer server.Close()
			asked := client(strings.TrimPrefix(server.URL, "http://"))
			asked.config.Now = func() time.Time { return now }
			_, err := asked.Resolve(ctx, payments, "1.7.0")
			if !fault.Is(err, c.kind) || !fault.UntilOf(err).Equal(c.until) {
				t.Errorf("%v is %s until %v; want %s until %v", err, fault.KindOf(err), fault.UntilOf(err), c.kind, c.until)
			}
			mustNotLeak(t, err)
			if c.kind != fault.RateLimited && !strings.Contains(fault.HintOf(err), "registry.example.com") {
				t.Errorf("the hint %q does not name the registry", fault.HintOf(err))
			}
		})
	}
}

func mustNotLeak(t *testing.T, err error) {
	t.Helper()
	const basic = "cm9ib3Q6aHVudGVyMmh1bnRlcjI=" // robot:hunter2hunter2
	for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fault.HintOf(err)} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, basic) {
			t.Errorf("the error shows the password: %s", text)
		}
	}
}

func TestRegistryOutOfReach(t *testing.T) {
	ctx := t.Context()
	_, err := client("127.0.0.1:1").Resolve(ctx, payments, "1.7.0")
	if !fault.Is(err, fault.Transient) || !strings.Contains(fault.HintOf(err), "registry.example.com could not be reached") {
		t.Errorf("nobody listens: %v, %s, hint %q", err, fault.KindOf(err), fault.HintOf(err))
	}
	mustNotLeak(t, err)

	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	slow := client(strings.TrimPrefix(silent.URL, "http://"))
	slow.config.Timeout = 50 * time.Millisecond
	_, err = slow.Resolve(ctx, payments, "1.7.0")
	if !fault.Is(err, fault.Transient) || !strings.Contains(fault.HintOf(err), "in time") {
		t.Errorf("a registry that does not answer: %v, %s, hint %q", err, fault.KindOf(err), fault.HintOf(err))
	}
}

// Credentials go to the registry they are for, over HTTPS unless it is
// configured otherwise, and to nobody it points at.
func TestCredentialsStayWithTheRegistry(t *testing.T) {
	ctx := t.Context()
	var plain int
	http1 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { plain++ }))
	defer http1.Close()
	secure := New(Config{Endpoints: []Endpoint{{Host: "registry.example.com", API: strings.TrimPrefix(http1.URL, "http://"), Username: "robot", Password: "hunter2hunter2"}}})
	_, err := secure.Resolve(ctx, payments, "1.7.0")
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "insecure") || plain != 0 {
		t.Errorf("a registry that speaks plain HTTP got %d requests: %v, hint %q; want none, and a hint", plain, err, fault.HintOf(err))
	}

	reg, direct := start(t)
	push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "1"})
	if _, err := direct.Resolve(ctx, payments, "1.7.0"); err != nil {
		t.Fatal(err)
	}
	var seen string
	cdn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen += r.Header.Get("Authorization")
		http.Redirect(w, r, "http://"+reg.Host()+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer cdn.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/v2/" {
			http.Redirect(w, r, cdn.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}
	}))
	defer front.Close()
	_, err = client(strings.TrimPrefix(front.URL, "http://")).Resolve(ctx, payments, "1.7.0")
	if err == nil || seen != "" {
		t.Errorf("a redirect to plain HTTP elsewhere: %v, the other server saw %q", err, seen)
	}
	mustNotLeak(t, err)
}

func TestNamesWithoutAHostAreAtDockerHub(t *testing.T) {
	reg, _ := start(t)
	digest := push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "1"})
	hub := New(Config{Endpoints: []Endpoint{{Host: "docker.io", API: reg.Host(), Insecure: true}}})
	for _, name := range []string{"acme/payments", "docker.io/acme/payments"} {
		if a, err := hub.Resolve(t.Context(), name, "1.7.0"); err != nil || a.Image != (image.Ref{Name: name, Tag: "1.7.0", Digest: digest}) {
			t.Errorf("Resolve(%q) = %v, %v", name, a.Image, err)
		}
	}
}

func TestTwoQuestionsAtOnce(t *testing.T) {
	reg, c := start(t)
	digest := push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "1"})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if a, err := c.Resolve(context.Background(), payments, "1.7.0"); err != nil || a.Image.Digest != digest {
				t.Errorf("%v, %v; want %s", a, err, digest)
			}
		})
	}
	all.Wait()
}
