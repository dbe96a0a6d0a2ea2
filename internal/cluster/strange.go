package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// pinned are the images of a workload's containers that are pinned by digest, by the
// containers' names. A Job has none: when it is current, it runs no more.
func pinned(workload Object) map[string]image.Ref {
	all := map[string]image.Ref{}
	if workload.GetKind() == "Job" {
		return all
	}
	for _, field := range []string{"initContainers", "containers"} {
		containers, _, _ := unstructured.NestedSlice(workload.Object, "spec", "template", "spec", field)
		for _, entry := range containers {
			c, _ := entry.(map[string]any)
			name, _ := c["name"].(string)
			asked, _ := c["image"].(string)
			if ref, err := image.Parse(asked); err == nil && ref.Digest != "" {
				all[name] = ref
			}
		}
	}
	return all
}

// strangeImages are the containers that run another image than the one that was applied:
// admission has exchanged it, or somebody has, in the pod. Where it comes from does not
// matter (a mirror has the same content), and a node that does not say what it runs is
// believed.
func (w *wait) strangeImages(ctx context.Context, written Object, pods []corev1.Pod) (out []trouble) {
	applied := pinned(written)
	for i := range pods {
		pod := &pods[i]
		for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			want, ok := applied[s.Name]
			got := ""
			if ok && (s.State.Running != nil || s.State.Terminated != nil) {
				got = runs(pod, s)
			}
			if got == "" || got == want.Digest {
				continue
			}
			same, err := w.sameImage(ctx, want, got)
			switch {
			case err != nil:
				out = append(out, trouble{"pod " + pod.Name, fmt.Sprintf("container %s runs %s; whether that belongs to %s, which was applied, could not be found out", s.Name, image.ShortDigest(got), image.ShortDigest(want.Digest)), fault.HintOf(err), false})
			case !same:
				out = append(out, trouble{"pod " + pod.Name, fmt.Sprintf("container %s runs %s (%s), not %s, which was applied; something in the cluster exchanges its image", s.Name, image.ShortDigest(got), s.Image, image.ShortDigest(want.Digest)), "", true})
			}
		}
	}
	return out
}

// runs is the digest that a container runs: the one that its node reports, else the one
// that its pod asks for; "" where neither says.
func runs(pod *corev1.Pod, s corev1.ContainerStatus) string {
	if digest := pulled(s); digest != "" {
		return digest
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range containers {
			if ref, err := image.Parse(c.Image); err == nil && c.Name == s.Name {
				return ref.Digest
			}
		}
	}
	return ""
}

// sameness is what SameImage has answered.
type sameness struct {
	same bool
	err  error
	at   time.Time
}

// askAgain is for how long a question that got no answer is not asked again: a registry
// that is unwell does not get better by being asked at every look.
const askAgain = 15 * time.Second

// sameImage asks once about each two digests.
func (w *wait) sameImage(ctx context.Context, applied image.Ref, running string) (bool, error) {
	if w.options.SameImage == nil {
		return false, nil
	}
	key := applied.Name + " " + applied.Digest + " " + running
	w.mu.Lock()
	defer w.mu.Unlock()
	if a, asked := w.same[key]; asked && (a.err == nil || w.c.now().Sub(a.at) < askAgain) {
		return a.same, a.err
	}
	same, err := w.options.SameImage(ctx, applied.Name, applied.Digest, running)
	if ctx.Err() == nil { // nor is it no answer that nobody waited for one
		w.same[key] = sameness{same, err, w.c.now()}
	}
	return same, err
}
