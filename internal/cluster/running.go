package cluster

import (
	"cmp"
	"context"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Running is one image that really runs in a container of a workload. While a
// workload rolls out, a container has one of these per image.
type Running struct {
	Namespace string
	Kind      string // Deployment, StatefulSet or DaemonSet
	Name      string // of the workload
	Container string
	Image     image.Ref // tag as the pod asks for it, digest as the node pulled it; either may be empty
	Ready     int       // pods in which this container is ready with this image
	Desired   int       // pods that the workload shall have
}

// Running tells which images the workloads of a namespace run ("" for all
// namespaces), from the pods' status and not from what was asked for: a
// container that does not run is not there.
//
// The digest is the one the node reports. Where it reports none (some runtimes
// do for images that were loaded rather than pulled), it is the one that the pod
// is pinned to.
func (c *Cluster) Running(ctx context.Context, namespace string) (_ []Running, err error) {
	defer fault.Wrap(&err, "read what runs in cluster %s", c.name)
	owners, err := c.workloads(ctx, namespace)
	if err != nil {
		return nil, err
	}
	pods, err := list[corev1.Pod](ctx, c, podResource, namespace, "")
	if err != nil {
		return nil, err
	}
	found := map[Running]int{} // with Ready 0, to how many are ready
	for i := range pods {
		owner := metav1.GetControllerOf(&pods[i])
		if owner == nil {
			continue
		}
		workload, ok := owners[owner.UID]
		if !ok {
			continue
		}
		for _, s := range pods[i].Status.ContainerStatuses {
			if s.State.Running == nil {
				continue
			}
			r := workload
			r.Container, r.Image = s.Name, runningImage(&pods[i], s)
			ready := 0
			if s.Ready {
				ready = 1
			}
			found[r] += ready
		}
	}
	out := make([]Running, 0, len(found))
	for r, ready := range found {
		r.Ready = ready
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Running) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.Container, b.Container), cmp.Compare(a.Image.String(), b.Image.String()))
	})
	return out, nil
}

// workloads are the workloads of a namespace by the uid of what owns their pods:
// their own, or those of a Deployment's ReplicaSets.
func (c *Cluster) workloads(ctx context.Context, namespace string) (map[types.UID]Running, error) {
	owners := map[types.UID]Running{}
	deployments, err := list[appsv1.Deployment](ctx, c, deploymentResource, namespace, "")
	if err != nil {
		return nil, err
	}
	for _, d := range deployments {
		owners[d.UID] = Running{Namespace: d.Namespace, Kind: "Deployment", Name: d.Name, Desired: replicas(d.Spec.Replicas)}
	}
	sets, err := list[appsv1.ReplicaSet](ctx, c, replicaSetResource, namespace, "")
	if err != nil {
		return nil, err
	}
	for i := range sets {
		if owner := metav1.GetControllerOf(&sets[i]); owner != nil {
			if deployment, ok := owners[owner.UID]; ok {
				owners[sets[i].UID] = deployment
			}
		}
	}
	statefulSets, err := list[appsv1.StatefulSet](ctx, c, statefulSetResource, namespace, "")
	if err != nil {
		return nil, err
	}
	for _, s := range statefulSets {
		owners[s.UID] = Running{Namespace: s.Namespace, Kind: "StatefulSet", Name: s.Name, Desired: replicas(s.Spec.Replicas)}
	}
	daemonSets, err := list[appsv1.DaemonSet](ctx, c, daemonSetResource, namespace, "")
	if err != nil {
		return nil, err
	}
	for _, d := range daemonSets {
		owners[d.UID] = Running{Namespace: d.Namespace, Kind: "DaemonSet", Name: d.Name, Desired: int(d.Status.DesiredNumberScheduled)}
	}
	return owners, nil
}

// replicas is the field's value, or its default in the API.
func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// runningImage is the reference from the pod's spec with the digest that the
// node reports.
func runningImage(pod *corev1.Pod, s corev1.ContainerStatus) image.Ref {
	asked := s.Image
	for _, c := range pod.Spec.Containers {
		if c.Name == s.Name {
			asked = c.Image
		}
	}
	ref, err := image.Parse(asked)
	if err != nil {
		ref = image.Ref{Name: asked} // an odd name is better than none
	}
	ref.Digest = cmp.Or(pulled(s), ref.Digest)
	return ref
}

// pulled is the digest that a node reports for a container's image: of
// "name@sha256:...", with docker-pullable:// in front where the runtime is Docker's. It
// is "" where the node reports none, or the id of the image's configuration alone, which
// is no digest that a registry knows.
func pulled(s corev1.ContainerStatus) string {
	_, digest, _ := strings.Cut(s.ImageID, "@")
	if !image.ValidDigest(digest) {
		return ""
	}
	return digest
}
