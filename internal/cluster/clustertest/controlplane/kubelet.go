package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	nodeName = "node-0"
	hostIP   = "192.0.2.1" // documentation range (RFC 5737)
)

// startKubelet registers one node and then plays scheduler and kubelet: it
// binds every pod to that node, reports its status and finishes its deletion.
//
// What becomes of a pod is told by its first container's image tag:
//
//	...:bad*    ImagePullBackOff, never starts
//	...:crash*  CrashLoopBackOff
//	...:stuck*  runs, but never becomes ready
//	...:slow*   becomes ready after 3 seconds
//
// Any other image is ready at once; a Job's pod succeeds at once.
func startKubelet(ctx context.Context, cs kubernetes.Interface) error {
	rl := corev1.ResourceList{
		"cpu": resource.MustParse("1k"), "memory": resource.MustParse("1Ti"), "pods": resource.MustParse("10k"),
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{
		"kubernetes.io/hostname": nodeName, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}}}
	node, err := cs.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	// Admission taints a new node not-ready; no node lifecycle controller runs
	// that would take that away, and a DaemonSet would get no pod.
	node.Spec.Taints = nil
	if node, err = cs.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{}); err != nil {
		return err
	}
	now := metav1.Now()
	node.Status.Capacity, node.Status.Allocatable = rl, rl
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
		Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}}
	if _, err := cs.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return err
	}
	return watchPods(ctx, cs)
}

func watchPods(ctx context.Context, cs kubernetes.Interface) error {
	k := &kubelet{ctx: ctx, cs: cs, reported: map[types.UID]bool{}}
	f := informers.NewSharedInformerFactory(cs, 0)
	if _, err := f.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.sync(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { k.sync(o.(*corev1.Pod)) },
	}); err != nil {
		return err
	}
	f.Start(ctx.Done())
	return nil
}

type kubelet struct {
	ctx context.Context // of the process
	cs  kubernetes.Interface
	ip  atomic.Uint32 // pods that got an address
	// reported are pods of which sync has told once: a change of somebody else's may come
	// before the own report is seen, and must not have it told again over what a test says.
	reported map[types.UID]bool
}

// sync takes one pod a step further; the informer calls it for every change.
func (k *kubelet) sync(p *corev1.Pod) {
	pods := k.cs.CoreV1().Pods(p.Namespace)
	var err error
	switch {
	case p.DeletionTimestamp != nil:
		zero := int64(0)
		err = k.insist(func() error {
			return pods.Delete(k.ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &p.UID}})
		})
	case p.Spec.NodeName == "":
		err = k.insist(func() error {
			return pods.Bind(k.ctx, &corev1.Binding{
				ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID},
				Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName}}, metav1.CreateOptions{})
		})
	case p.Status.StartTime == nil && !k.reported[p.UID]: // bound, not yet reported on
		k.reported[p.UID] = true
		if strings.HasPrefix(tag(p), "slow") {
			time.AfterFunc(3*time.Second, func() { k.report(p, "") })
			return
		}
		k.report(p, tag(p))
	}
	k.complain(p, err)
}

// insist does something until the API server has answered: while it is away nothing
// tells of the pod a second time. Whatever comes later waits meanwhile.
func (k *kubelet) insist(do func() error) (err error) {
	_ = wait.PollUntilContextCancel(k.ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) {
		err = do()
		var refused apierrors.APIStatus
		return err == nil || errors.As(err, &refused) && refused.Status().Code < 500, nil
	})
	return err
}

// tag is the tag of the pod's first image, which decides what becomes of the pod.
func tag(p *corev1.Pod) string {
	ref, _, _ := strings.Cut(p.Spec.Containers[0].Image, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return ref[i+1:]
	}
	return ""
}

// imageID is what a container runtime reports for an image that it pulled:
// "name@sha256:..." without the tag. Nothing is pulled here, so only a reference
// with a digest has one.
func imageID(image string) string {
	ref, digest, pinned := strings.Cut(image, "@")
	if !pinned {
		return ""
	}
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref + "@" + digest
}

// fate is what the kubelet reports of every container of a pod.
type fate struct {
	phase    corev1.PodPhase
	state    corev1.ContainerState
	ready    bool
	started  bool
	pulled   bool
	restarts int32
}

func fateOf(p *corev1.Pod, tag string, now metav1.Time) fate {
	waiting := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
	switch {
	case strings.HasPrefix(tag, "bad"):
		message := fmt.Sprintf("Back-off pulling image %q: not found", p.Spec.Containers[0].Image)
		return fate{phase: corev1.PodPending, state: waiting("ImagePullBackOff", message)}
	case strings.HasPrefix(tag, "crash"):
		state := waiting("CrashLoopBackOff", "back-off 40s restarting failed container")
		return fate{phase: corev1.PodRunning, state: state, pulled: true, restarts: 3}
	case strings.HasPrefix(tag, "stuck"):
		return fate{phase: corev1.PodRunning, state: running, started: true, pulled: true}
	case isJob(p):
		return fate{phase: corev1.PodSucceeded, state: completed(now), pulled: true}
	}
	return fate{phase: corev1.PodRunning, state: running, ready: true, started: true, pulled: true}
}

func completed(now metav1.Time) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}}
}

// report patches the pod's status to the fate that the tag stands for.
func (k *kubelet) report(p *corev1.Pod, tag string) {
	now := metav1.Now()
	f := fateOf(p, tag, now)
	n := k.ip.Add(1)
	ip := fmt.Sprintf("10.244.%d.%d", n>>8&255, n&255)
	s := corev1.PodStatus{
		Phase: f.phase, StartTime: &now, ObservedGeneration: p.Generation,
		HostIP: hostIP, HostIPs: []corev1.HostIP{{IP: hostIP}},
		PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: conditions(p, f, now),
	}
	for _, c := range p.Spec.Containers {
		cs := corev1.ContainerStatus{Name: c.Name, Image: c.Image, State: f.state, Ready: f.ready, Started: &f.started, RestartCount: f.restarts}
		if f.pulled {
			cs.ImageID = imageID(c.Image)
		}
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
	}
	for _, c := range p.Spec.InitContainers {
		s.InitContainerStatuses = append(s.InitContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: imageID(c.Image), Ready: true, State: completed(now)})
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": s})
	if err == nil {
		err = k.insist(func() error {
			_, err := k.cs.CoreV1().Pods(p.Namespace).Patch(k.ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
			return err
		})
	}
	k.complain(p, err)
}

// conditions are the pod's, as a kubelet reports them for that fate.
func conditions(p *corev1.Pod, f fate, now metav1.Time) (all []corev1.PodCondition) {
	add := func(t corev1.PodConditionType, ok bool, reason string) {
		c := corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: now, ObservedGeneration: p.Generation}
		if !ok {
			c.Status, c.Reason = corev1.ConditionFalse, reason
		}
		all = append(all, c)
	}
	notReady := "ContainersNotReady"
	if f.phase == corev1.PodSucceeded {
		notReady = "PodCompleted"
	}
	add(corev1.PodReadyToStartContainers, f.phase == corev1.PodRunning, "")
	add(corev1.PodInitialized, true, "")
	add(corev1.ContainersReady, f.ready, notReady)
	add(corev1.PodReady, f.ready, notReady)
	return all
}

// complain says on standard error what went wrong, unless it is what happens
// when a pod goes away meanwhile.
func (k *kubelet) complain(p *corev1.Pod, err error) {
	if err != nil && k.ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		fmt.Fprintf(os.Stderr, "kubelet: %s/%s: %v\n", p.Namespace, p.Name, err)
	}
}

func isJob(p *corev1.Pod) bool {
	for _, o := range p.OwnerReferences {
		if o.Kind == "Job" {
			return true
		}
	}
	return false
}
