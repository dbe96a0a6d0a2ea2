package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// TestVersionsMoveAsTheTeamKeepsThem tells of the three ways to promote beside an
// image's tag in an overlay: a tag in Helm values, a chart's version, and a branch
// of its own for an environment.
func TestVersionsMoveAsTheTeamKeepsThem(t *testing.T) {
	s := newScene(t)
	s.story("an image's tag in Helm values", tagInHelmValues)
	s.story("the version of a chart in the registry", chartVersion)
	s.story("an environment on a branch of its own", branchOfItsOwn)
}

// deploymentOf is a workload that needs nothing but its image.
const deploymentOf = `apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers: [{name: NAME, image: "IMAGE", resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}}]
`

func deployment(name, namespace, image string) string {
	return strings.NewReplacer("NAMESPACE", namespace, "NAME", name, "IMAGE", image).Replace(deploymentOf)
}

// addApp adds an entry under apps: of tagboat.yaml, and files.
func (s *scene) addApp(entry string, files map[string]string) {
	s.Helper()
	config, err := s.w.GitHub.File(envRepo, "main", "tagboat.yaml")
	s.must(err)
	files["tagboat.yaml"] = strings.Replace(string(config), "environments:\n", "  - "+entry+"\nenvironments:\n", 1)
	s.pushMain("Add an app", files)
}

func (s *scene) push(app, version string) string {
	s.Helper()
	digest, err := s.w.Registry.Push(s.ctx, app, version, registrytest.Content{Seed: app + " " + version})
	s.must(err)
	return digest
}

func tagInHelmValues(s *scene) {
	const values = "helm/web/values-dev.yaml"
	namespace := s.w.Namespaces["dev"]
	first := s.push("web", "1.0.0")
	s.addApp(fmt.Sprintf(`{name: web, file: "helm/web/values-{env}.yaml", helm: {chart: helm/web, values: ["helm/web/values-{env}.yaml"], namespace: %s}}`, namespace), map[string]string{
		"helm/web/Chart.yaml":                "apiVersion: v2\nname: web\nversion: 0.1.0\n",
		"helm/web/templates/deployment.yaml": deployment("web", "{{ .Release.Namespace }}", "{{ .Values.image.repository }}:{{ .Values.image.tag }}@{{ .Values.image.digest }}"),
		values:                               "# what web runs in dev\nimage:\n    repository: " + imageHost + "/web\n    tag: 1.0.0 # moved by Tagboat\n    digest: " + first + "\n",
	})
	s.runs("dev", "web", "1.0.0", first)
	second := s.push("web", "1.1.0")
	p := s.merged("dev", "web", "1.1.0")
	want := "-    tag: 1.0.0 # moved by Tagboat\n-    digest: " + first + "\n+    tag: 1.1.0 # moved by Tagboat\n+    digest: " + second + "\n"
	if !strings.Contains(p.Diff, want) || len(p.Files) != 1 || p.Files[0] != values {
		s.Errorf("it changes %v:\n%s", p.Files, p.Diff)
	}
	s.runs("dev", "web", "1.1.0", second)

	old := strings.NewReplacer("1.1.0", "1.0.0", second, first).Replace(s.on("main", values))
	s.verdict(s.propose("web-back", "main", map[string]string{values: old}), "success", "one overlay was rendered")
	const template = "helm/web/templates/deployment.yaml"
	fixed := strings.Replace(s.on("main", template), "{{ .Values.image.tag }}@{{ .Values.image.digest }}", "9.9.9", 1)
	s.verdict(s.propose("web-past", "main", map[string]string{template: fixed}), "failure", "web in dev", imageHost+"/web:9.9.9")
}

func chartVersion(s *scene) {
	images := registry.New(registry.Config{Endpoints: []registry.Endpoint{{Host: imageHost, API: s.w.Registry.Host(), Insecure: true}}})
	publish := func(version, image string) string {
		s.Helper()
		dir := s.TempDir()
		for name, content := range map[string]string{
			"Chart.yaml":                "apiVersion: v2\nname: store\nversion: " + version + "\n",
			"values.yaml":               "{}\n",
			"templates/deployment.yaml": deployment("store", "{{ .Release.Namespace }}", image),
		} {
			file := filepath.Join(dir, "store", name)
			s.must(os.MkdirAll(filepath.Dir(file), 0o755))
			s.must(os.WriteFile(file, []byte(content), 0o644))
		}
		for _, args := range [][]string{{"package", "store"}, {"push", "store-" + version + ".tgz", "oci://" + s.w.Registry.Host() + "/charts", "--plain-http"}} {
			out, err := rendertest.RunHelm(s.ctx, dir, args...)
			if err != nil {
				s.Fatalf("%v: %s", err, out)
			}
		}
		pushed, err := images.Resolve(s.ctx, imageHost+"/charts/store", version)
		s.must(err)
		return pushed.Image.Digest
	}
	const overlay = "charts/store/dev/kustomization.yaml"
	one, two := s.push("store", "1"), s.push("store", "2")
	first := publish("1.0.0", imageHost+"/store:1@"+one)
	s.addApp(`{name: store, path: "charts/store/{env}", charts: [`+imageHost+`/charts/store]}`, map[string]string{
		overlay: "namespace: " + s.w.Namespaces["dev"] + "\nhelmCharts:\n- name: store\n  releaseName: store\n  repo: oci://" + imageHost +
			"/charts\n  version: 1.0.0 # " + first + "\n",
	})
	s.runs("dev", "store", "1", one)
	second := publish("1.1.0", imageHost+"/store:2@"+two)
	p := s.merged("dev", "store", "1.1.0")
	want := "-  version: 1.0.0 # " + first + "\n+  version: 1.1.0 # " + second + "\n"
	if !strings.Contains(p.Diff, want) || len(p.Files) != 1 || p.Files[0] != overlay {
		s.Errorf("it changes %v:\n%s", p.Files, p.Diff)
	}
	s.runs("dev", "store", "2", two)

	back := map[string]string{overlay: strings.NewReplacer("1.1.0", "1.0.0", second, first).Replace(s.on("main", overlay))}
	s.verdict(s.propose("store-back", "main", back), "success", "store in dev gets what another version of its chart brings")
	s.verdict(s.propose("store-past", "main", map[string]string{overlay: strings.Replace(s.on("main", overlay), "1.1.0 # "+second, "9.9.9", 1)}),
		"failure", "store in dev", "charts/store:9.9.9")
	back[overlay] += "images: [{name: " + imageHost + "/store, newTag: 9.9.9, digest: ''}]\n"
	s.verdict(s.propose("store-back-and-past", "main", back), "failure", "store in dev", "in a pull request of its own")
}

func branchOfItsOwn(s *scene) {
	const overlay = "apps/edgy/overlays/edge/kustomization.yaml"
	first := s.push("edgy", "1.0.0")
	config, err := s.w.GitHub.File(envRepo, "main", "tagboat.yaml")
	s.must(err)
	_, err = s.as("alice").Push(envRepo, "env/edge", "What edge runs", map[string]string{
		"apps/edgy/overlays/edge/deployment.yaml": deployment("edgy", s.w.Namespaces["dev"], "edgy"),
		overlay: "resources: [deployment.yaml]\nimages: [{name: edgy, newName: " + imageHost + "/edgy, newTag: 1.0.0, digest: '" + first + "'}]\n",
	})
	s.must(err)
	s.pushMain("Add an environment on a branch of its own", map[string]string{
		"tagboat.yaml": strings.Replace(string(config), "environments:\n", "environments:\n  - name: edge\n    branch: env/edge\n    follow: {semver: \">=1.0.0\"}\n    clusters: [dev]\n", 1),
	})
	s.runs("dev", "edgy", "1.0.0", first)
	second := s.push("edgy", "1.1.0")
	p := s.merged("edge", "edgy", "1.1.0")
	if p.BaseRef != "env/edge" || len(p.Files) != 1 || p.Files[0] != overlay {
		s.Errorf("it changes %v of %s:\n%s", p.Files, p.BaseRef, p.Diff)
	}
	s.runs("dev", "edgy", "1.1.0", second)
	if _, err := s.w.GitHub.File(envRepo, "main", overlay); err == nil {
		s.Error("the overlay came to main")
	}

	edge := map[string]string{
		"apps/edgy/overlays/edge/deployment.yaml": s.on("env/edge", "apps/edgy/overlays/edge/deployment.yaml"),
		overlay: strings.NewReplacer("1.1.0", "1.0.0", second, first).Replace(s.on("env/edge", overlay)),
	}
	s.verdict(s.propose("edge-back", "env/edge", edge), "success", "one overlay was rendered")
	edge[overlay] = strings.Replace(edge[overlay], "/edgy, newTag: 1.0.0", "/payments, newTag: 1.0.0", 1)
	s.verdict(s.propose("edge-past", "env/edge", edge), "failure", "edgy in edge", "in place of")
}
