package clustertest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/fault"
)

// An API server that was stopped refuses connections. Started again it has all that was
// there, and the controllers and the node go on with it: also with pods that they were
// in the middle of.
func TestTheAPIServerComesBack(t *testing.T) {
	cp, err := clustertest.Start(t.Context(), clustertest.Options{Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	defer cp.Stop()
	config, err := clientcmd.BuildConfigFromFlags("", cp.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := cp.NewNamespace(t.Context(), "kept-")
	if err != nil {
		t.Fatal(err)
	}
	const pods = 20
	app := map[string]string{"app": "web"}
	before, err := client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(pods)), Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: app},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "registry.example.com/web:1"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the first pods are made", func(ctx context.Context) error {
		some, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err == nil && len(some.Items) == 0 {
			err = fmt.Errorf("there is none")
		}
		return err
	})

	if err := cp.StopAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if listens(strings.TrimPrefix(cp.Server, "https://")) {
		t.Error("a stopped API server takes connections")
	}
	if err := cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "all pods are ready", func(ctx context.Context) error {
		now, err := client.AppsV1().Deployments(namespace).Get(ctx, "web", metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case now.UID != before.UID:
			t.Fatal("it is another Deployment than the one that was there")
		case now.Status.ReadyReplicas != pods:
			return fmt.Errorf("%d of %d are", now.Status.ReadyReplicas, pods)
		}
		return nil
	})

	if err := cp.StartAPIServer(t.Context()); !strings.Contains(fault.HintOf(err), "runs") {
		t.Errorf("one that runs is started: %v", err)
	}
	cp.Stop()
	if err := cp.StopAPIServer(t.Context()); err == nil {
		t.Error("the API server of a control plane that is gone was stopped")
	}
}

// await waits until look finds nothing wrong.
func await(t *testing.T, what string, look func(ctx context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 3*time.Minute, true, func(ctx context.Context) (bool, error) {
		last = look(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v: %v", what, err, last)
	}
}
