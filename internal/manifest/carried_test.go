package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/manifest"
)

var (
	digestA = "sha256:" + strings.Repeat("a", 64)
	digestB = "sha256:" + strings.Repeat("b", 64)
)

// running is a Deployment with containers, each "name=image".
func running(name string, containers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: shop}\nspec:\n  template:\n    spec:\n      containers:\n", name)
	for _, c := range containers {
		name, image, _ := strings.Cut(c, "=")
		fmt.Fprintf(&b, "      - {name: %s, image: %q}\n", name, image)
	}
	return b.String()
}

func carried(t *testing.T, manifests ...string) []manifest.Carried {
	t.Helper()
	objects, err := manifest.Parse([]byte(strings.Join(manifests, "---\n")))
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Containers(objects)
}

func TestContainersAreKnownByObjectAndName(t *testing.T) {
	got := carried(t, running("web", "web=r/web:1@"+digestA, "proxy=r/proxy"), `
apiVersion: batch/v1
kind: CronJob
metadata: {name: tidy}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          initContainers: [{name: wait, image: "r/wait:2"}, {name: late}]
          containers: [{name: tidy, image: "no reference"}]
`)
	want := []manifest.Carried{
		{image.Ref{Name: "r/web", Tag: "1", Digest: digestA}, "container web of Deployment web"},
		{image.Ref{Name: "r/proxy"}, "container proxy of Deployment web"},
		{image.Ref{Name: "no reference"}, "container tidy of CronJob tidy"},
		{image.Ref{Name: "r/wait", Tag: "2"}, "container wait of CronJob tidy"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

func TestMovements(t *testing.T) {
	web := running("web", "web=r/web:1", "proxy=r/proxy:1")
	for _, c := range []struct {
		story         string
		before, after []string
		moved, added  string
	}{
		{"nothing changes", []string{web}, []string{web}, "", ""},
		{"other fields", []string{web}, []string{strings.Replace(web, "spec:\n", "spec:\n  replicas: 9\n", 1)}, "", ""},
		{"another tag", []string{web}, []string{running("web", "web=r/web:2", "proxy=r/proxy:1")}, "r/web:2", ""},
		{"a sidecar's other tag", []string{web}, []string{running("web", "web=r/web:1", "proxy=r/proxy:2")}, "r/proxy:2", ""},
		{"the version gone", []string{web}, []string{running("web", "web=r/web", "proxy=r/proxy:1")}, "r/web", ""},
		{"the tag beside the same digest", []string{running("web", "web=r/web@"+digestA)}, []string{running("web", "web=r/web:1@"+digestA)}, "", ""},
		{"another digest under the same tag", []string{running("web", "web=r/web:1@"+digestA)}, []string{running("web", "web=r/web:1@"+digestB)}, "r/web:1@" + digestB, ""},
		{"the digest gone", []string{running("web", "web=r/web:1@"+digestA)}, []string{running("web", "web=r/web:1")}, "r/web:1", ""},
		{"another name in the app's container", []string{web}, []string{running("web", "web=evil/web:1", "proxy=r/proxy:1")}, "evil/web:1 for r/web", ""},
		{"the same digest under another name", []string{running("web", "web=r/web@"+digestA)}, []string{running("web", "web=evil/web@"+digestA)}, "evil/web@" + digestA + " for r/web", ""},
		{"another name in a sidecar", []string{web}, []string{running("web", "web=r/web:1", "proxy=evil/proxy:1")}, "evil/proxy:1 for r/proxy", ""},
		{"a sidecar's image in the app's container", []string{web}, []string{running("web", "web=r/proxy:1", "proxy=r/proxy:1")}, "r/proxy:1 for r/web", ""},
		{"no reference at all", []string{web}, []string{running("web", "web=r/web:1 ", "proxy=r/proxy:1")}, "r/web:1  for r/web", ""},
		{"a new sidecar", []string{web}, []string{running("web", "web=r/web:1", "proxy=r/proxy:1", "log=r/log:1")}, "", "r/log:1"},
		{"a new sidecar with an image that is there", []string{web}, []string{running("web", "web=r/web:1", "proxy=r/proxy:1", "twin=r/web:1")}, "", ""},
		{"a new sidecar with another version of it", []string{web}, []string{running("web", "web=r/web:1", "proxy=r/proxy:1", "twin=r/web:2")}, "r/web:2", ""},
		{"a new object", []string{web}, []string{web, running("job", "job=r/job:1")}, "", "r/job:1"},
		{"a sidecar taken out", []string{web}, []string{running("web", "web=r/web:1")}, "", ""},
		{"the app's container taken out", []string{web}, []string{running("web", "proxy=r/proxy:1")}, "gone r/web", ""},
		{"the app under another name of object, container and image", []string{web}, []string{running("www", "www=evil/web:1", "proxy=r/proxy:1")}, "gone r/web", "evil/web:1"},
		{"another name of the object", []string{web}, []string{running("www", "web=r/web:1", "proxy=r/proxy:1")}, "", ""},
		{"another namespace", []string{web}, []string{strings.Replace(running("web", "web=evil/web:1", "proxy=r/proxy:1"), "shop", "other", 1)}, "evil/web:1 for r/web", ""},
		{"another API version", []string{web}, []string{strings.Replace(running("web", "web=evil/web:1", "proxy=r/proxy:1"), "apps/v1", "apps/v2", 1)}, "evil/web:1 for r/web", ""},
		{"an init container of the app's name", []string{web}, []string{strings.Replace(running("web", "web=evil/web:1"), "containers:", "initContainers:", 1)}, "evil/web:1 for r/web", ""},
		{"blue and green change places", []string{running("blue", "web=r/web:1"), running("green", "web=r/web:2")},
			[]string{running("blue", "web=r/web:2"), running("green", "web=r/web:1")}, "", ""},
	} {
		var got, added []string
		moved, brought := manifest.Movements(carried(t, c.before...), carried(t, c.after...), []string{"r/web", "r/never"})
		for _, m := range moved {
			switch {
			case m.Name == "":
				got = append(got, "gone "+m.Was)
			case m.Was != "":
				got = append(got, m.Ref.String()+" for "+m.Was)
			default:
				got = append(got, m.Ref.String())
			}
		}
		for _, a := range brought {
			added = append(added, a.Ref.String())
		}
		if strings.Join(got, ", ") != c.moved || strings.Join(added, ", ") != c.added {
			t.Errorf("%s: moved %q, added %q; want %q and %q", c.story, got, added, c.moved, c.added)
		}
	}
}

// What has no place is not told apart from what has: one version is one movement.
func TestMovementsWithoutPlaces(t *testing.T) {
	at := func(where, name, tag string) manifest.Carried {
		return manifest.Carried{Ref: image.Ref{Name: name, Tag: tag}, At: where}
	}
	before := []manifest.Carried{at("a", "web", "1"), at("", "web", "1"), at("", "chart", "1")}
	after := []manifest.Carried{at("", "web", "2"), at("a", "web", "2"), at("b", "web", "2"), at("", "chart", "2"), at("", "other", "1")}
	moved, added := manifest.Movements(before, after, nil)
	want := []manifest.Movement{{Carried: at("a", "web", "2")}, {Carried: at("b", "web", "2")}, {Carried: at("", "chart", "2")}}
	if diff := cmp.Diff(want, moved); diff != "" {
		t.Errorf("moved (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]manifest.Carried{at("", "other", "1")}, added); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
}
