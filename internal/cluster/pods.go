package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var (
	podResource         = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	replicaSetResource  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
	deploymentResource  = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	statefulSetResource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}
	daemonSetResource   = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}
)

// census is the pods and replica sets of one look. A namespace is listed once, however
// many of its workloads are looked at.
type census struct{ of map[string]*register }

// register is what runs in one namespace, read when it is first asked for.
type register struct {
	pods func() ([]corev1.Pod, error)
	sets func() ([]appsv1.ReplicaSet, error)
}

// census is for looking at these workloads. Where one is alone in its namespace, its own
// selector narrows what is listed; several are sorted out by their owners here.
func (c *Cluster) census(ctx context.Context, workloads []Object) *census {
	selectors := map[string]string{}
	for _, o := range workloads {
		namespace, selector := o.GetNamespace(), selectorOf(o)
		if _, several := selectors[namespace]; several {
			selector = labels.Everything().String()
		}
		selectors[namespace] = selector
	}
	all := &census{of: map[string]*register{}}
	for namespace, selector := range selectors {
		all.of[namespace] = &register{
			pods: sync.OnceValues(func() ([]corev1.Pod, error) { return list[corev1.Pod](ctx, c, podResource, namespace, selector) }),
			sets: sync.OnceValues(func() ([]appsv1.ReplicaSet, error) {
				return list[appsv1.ReplicaSet](ctx, c, replicaSetResource, namespace, selector)
			}),
		}
	}
	return all
}

// hasPods reports whether an object is a workload whose pods are looked at.
func hasPods(o Object) bool {
	switch o.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "Job.batch":
		return true
	}
	return false
}

// newestPods are the pods of a workload that run what was applied last, the youngest
// first.
func (s *census) newestPods(live Object) ([]corev1.Pod, error) {
	var newest func(corev1.Pod) bool
	switch live.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps":
		set, err := s.newestReplicaSet(live)
		if err != nil || set == nil {
			return nil, err
		}
		newest = func(p corev1.Pod) bool { return ownedBy(&p, set.UID) }
	case "StatefulSet.apps":
		revision, _, _ := unstructured.NestedString(live.Object, "status", "updateRevision")
		newest = func(p corev1.Pod) bool {
			return ownedBy(&p, live.GetUID()) && p.Labels[appsv1.ControllerRevisionHashLabelKey] == revision
		}
	case "DaemonSet.apps":
		// The pods' label repeats the set's counter of pod templates.
		generation := live.GetAnnotations()[appsv1.DeprecatedTemplateGeneration]
		newest = func(p corev1.Pod) bool {
			return ownedBy(&p, live.GetUID()) && p.Labels["pod-template-generation"] == generation
		}
	case "Job.batch":
		newest = func(p corev1.Pod) bool { return ownedBy(&p, live.GetUID()) }
	default:
		return nil, nil
	}
	pods, err := s.of[live.GetNamespace()].pods()
	if err != nil {
		return nil, err
	}
	var out []corev1.Pod
	for _, p := range pods {
		if p.DeletionTimestamp == nil && newest(p) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// revisionAnnotation is written by the deployment controller on the Deployment
// and on each of its ReplicaSets; the newest one bears the Deployment's number.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// newestReplicaSet is nil as long as the controller has not made it, or has not
// seen the newest generation, so that the annotation may still be the old one.
func (s *census) newestReplicaSet(live Object) (*appsv1.ReplicaSet, error) {
	observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
	revision := live.GetAnnotations()[revisionAnnotation]
	if observed < live.GetGeneration() || revision == "" {
		return nil, nil
	}
	sets, err := s.of[live.GetNamespace()].sets()
	if err != nil {
		return nil, err
	}
	for i := range sets {
		if ownedBy(&sets[i], live.GetUID()) && sets[i].Annotations[revisionAnnotation] == revision {
			return &sets[i], nil
		}
	}
	return nil, nil
}

// selectorOf is the workload's spec.selector as a list request takes it.
func selectorOf(o Object) string {
	raw, _, _ := unstructured.NestedMap(o.Object, "spec", "selector")
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return labels.Everything().String() // wider: what is listed is filtered by its owner anyway
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return labels.Everything().String()
	}
	return s.String()
}

func ownedBy(o metav1.Object, uid types.UID) bool {
	owner := metav1.GetControllerOf(o)
	return owner != nil && owner.UID == uid
}

// list reads all objects of a kind in a namespace ("" for all of them), page by
// page.
func list[T any](ctx context.Context, c *Cluster, resource schema.GroupVersionResource, namespace, selector string) ([]T, error) {
	var out []T
	options := metav1.ListOptions{LabelSelector: selector, Limit: 500}
	for {
		page, err := c.dynamic.Resource(resource).Namespace(namespace).List(ctx, options)
		if expired(err) && options.Limit > 0 {
			out, options = nil, metav1.ListOptions{LabelSelector: selector}
			continue
		}
		if err != nil {
			return nil, c.classify(err, action{verb: "list " + resource.Resource})
		}
		for i := range page.Items {
			var item T
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(page.Items[i].Object, &item); err != nil {
				return nil, fmt.Errorf("read %s: %w", name(&page.Items[i]), err)
			}
			out = append(out, item)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return out, nil
		}
	}
}

// expired reports whether a list of several pages cannot be gone on with: the API server
// keeps its state for some minutes. Then all of it is asked for at once.
func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }
