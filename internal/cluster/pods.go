package cluster

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
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

// trouble is what keeps a workload from becoming healthy.
type trouble struct {
	subject string // "pod api-5d4f-x2x", or "" for the workload itself
	reason  string // "ImagePullBackOff"
	message string // the cluster's; may be empty
	fatal   bool   // will hardly pass without a change of what was applied
}

func (t trouble) String() string {
	s := t.reason
	if t.subject != "" {
		s = t.subject + ": " + s
	}
	if t.message != "" {
		s += ": " + t.message
	}
	return s
}

// cannotStart are the reasons of a waiting container that hardly pass by
// themselves. (The kubelet's names: k8s.io/kubernetes pkg/kubelet/images/types.go
// and pkg/kubelet/kuberuntime.)
var cannotStart = map[string]bool{
	"ImagePullBackOff": true, "ErrImagePull": true, "InvalidImageName": true, "ErrImageNeverPull": true,
	"CrashLoopBackOff": true, "CreateContainerConfigError": true, "CreateContainerError": true, "RunContainerError": true,
}

// troubles are those of a workload's newest version: of the workload itself and
// of its pods. Other kinds of objects have none.
func (c *Cluster) troubles(ctx context.Context, live Object) (out []trouble, err error) {
	newest, err := c.newestPods(ctx, live)
	if err != nil {
		return nil, err
	}
	if failure := condition(live, "ReplicaFailure"); failure.true() {
		// A quota, or admission that refuses the pods.
		out = append(out, trouble{reason: failure.reason, message: failure.message, fatal: true})
	}
	for i := range newest {
		out = append(out, podTroubles(&newest[i])...)
	}
	return out, nil
}

func podTroubles(pod *corev1.Pod) (out []trouble) {
	subject := "pod " + pod.Name
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if w := s.State.Waiting; w != nil && cannotStart[w.Reason] {
			out = append(out, trouble{subject, w.Reason, w.Message, true})
		}
	}
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			// Not fatal: a cluster may get another node within minutes.
			out = append(out, trouble{subject, cond.Reason, cond.Message, false})
		}
	}
	return out
}

// newestPods are the pods of a workload that run what was applied last.
func (c *Cluster) newestPods(ctx context.Context, live Object) ([]corev1.Pod, error) {
	var newest func(corev1.Pod) bool
	switch live.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps":
		set, err := c.newestReplicaSet(ctx, live)
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
	pods, err := list[corev1.Pod](ctx, c, podResource, live.GetNamespace(), selectorOf(live))
	if err != nil {
		return nil, err
	}
	var out []corev1.Pod
	for _, p := range pods {
		if p.DeletionTimestamp == nil && newest(p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// revisionAnnotation is written by the deployment controller on the Deployment
// and on each of its ReplicaSets; the newest one bears the Deployment's number.
const revisionAnnotation = "deployment.kubernetes.io/revision"

// newestReplicaSet is nil as long as the controller has not made it, or has not
// seen the newest generation, so that the annotation may still be the old one.
func (c *Cluster) newestReplicaSet(ctx context.Context, live Object) (*appsv1.ReplicaSet, error) {
	observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
	revision := live.GetAnnotations()[revisionAnnotation]
	if observed < live.GetGeneration() || revision == "" {
		return nil, nil
	}
	sets, err := list[appsv1.ReplicaSet](ctx, c, replicaSetResource, live.GetNamespace(), selectorOf(live))
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
