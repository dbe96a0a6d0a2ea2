package overlay_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
)

// usual is a kustomization of the size that people write.
const usual = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: payments

resources:
  - ../../base
  - https://github.com/acme/payments/config/default?ref=1.6.0 # follows
  - ingress.yaml

images:
  - name: payments # the app
    newName: registry.example.com/payments
    newTag: 1.6.0
    digest: sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1
  - name: proxy
    newName: registry.example.com/proxy
    newTag: "2.0"

replicas:
  - name: payments
    count: 3

patches:
  - target: {kind: Deployment, name: payments}
    patch: |-
      - op: replace
        path: /spec/template/spec/containers/0/resources/limits/memory
        value: 512Mi
`

// BenchmarkPlanOneBump is one edit of one file, its proof included.
func BenchmarkPlanOneBump(b *testing.B) {
	img := image.Ref{Name: "registry.example.com/payments", Tag: "1.7.0", Digest: newDigest}
	b.SetBytes(int64(len(usual)))
	for b.Loop() {
		if e, err := overlay.SetImage(file, []byte(usual), img); err != nil || !e.Changed() {
			b.Fatal(err)
		}
	}
}

// BenchmarkBumpOneOf3000 is one bump over a repository of 1,000 apps in three
// environments, of which one overlay runs the image.
func BenchmarkBumpOneOf3000(b *testing.B) {
	files := map[string][]byte{}
	for app := range 1000 {
		for _, env := range []string{"dev", "staging", "prod"} {
			name := fmt.Sprintf("app-%04d-%s", app, env)
			files["apps/"+name+"/kustomization.yaml"] = []byte(strings.ReplaceAll(usual, "payments", name))
		}
	}
	changes := []overlay.Change{{Kind: overlay.KindImage, Name: "registry.example.com/app-0500-prod", Version: "1.7.0", Digest: newDigest}}
	for b.Loop() {
		if edits, err := overlay.Bump(files, changes, overlay.BumpOptions{}); err != nil || len(edits) != 1 {
			b.Fatal(len(edits), err)
		}
	}
}
