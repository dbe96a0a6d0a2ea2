package demo

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	services    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
)

// client is what a person's kubectl is: it knows nothing of Tagboat.
func (w *World) client(cluster string) (dynamic.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(w.dir, cluster+".kubeconfig"))
	if err != nil {
		return nil, err
	}
	return dynamic.NewForConfig(config)
}

// scale gives an app another number of pods, in the cluster and past Git, as somebody
// with kubectl edit does.
func (w *World) scale(ctx context.Context, cluster, app string, pods int) error {
	client, err := w.client(cluster)
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, pods)
	_, err = client.Resource(deployments).Namespace(w.Namespaces[cluster]).Patch(ctx, app, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "kubectl-edit"})
	return err
}

// scaled wants an app to have a number of pods, all of them ready.
func (w *World) scaled(ctx context.Context, cluster, app string, pods int) error {
	containers, err := w.Clusters[cluster].Running(ctx, w.Namespaces[cluster])
	if err != nil {
		return err
	}
	for _, c := range containers {
		if c.Name == app && (c.Desired != pods || c.Ready != pods) {
			return fmt.Errorf("%d of %d pods of %s are ready in %s, not %d", c.Ready, c.Desired, app, cluster, pods)
		}
	}
	return nil
}

// state is what a cluster was told about an object, and how often that changed.
type state struct {
	Spec       any
	Generation int64
}

// live are the objects that the apps have in a namespace of a cluster.
func (w *World) live(ctx context.Context, cluster, namespace string) (map[string]state, error) {
	client, err := w.client(cluster)
	if err != nil {
		return nil, err
	}
	all := map[string]state{}
	for _, kind := range []schema.GroupVersionResource{deployments, services} {
		list, err := client.Resource(kind).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, o := range list.Items {
			spec, _ := o.Object["spec"].(map[string]any)
			maps.DeleteFunc(spec, func(name string, _ any) bool { return strings.HasPrefix(name, "clusterIP") }) // each cluster gives its own
			all[kind.Resource+" "+o.GetName()] = state{spec, o.GetGeneration()}
		}
	}
	return all, nil
}

// same wants two clusters to have the same objects, and their pods to run the same.
func (w *World) same(ctx context.Context, one, other string) error {
	objects, err := w.live(ctx, one, w.Namespaces[one])
	if err != nil {
		return err
	}
	others, err := w.live(ctx, other, w.Namespaces[other])
	if err != nil {
		return err
	}
	if len(objects) != 2*len(apps) || len(others) != len(objects) {
		return fmt.Errorf("%s has %d objects, and %s has %d", one, len(objects), other, len(others))
	}
	for name, o := range objects {
		if is := others[name]; !reflect.DeepEqual(is.Spec, o.Spec) {
			return fmt.Errorf("%s is %v in %s, and %v in %s", name, o.Spec, one, is.Spec, other)
		}
	}
	runs, err := w.runningIn(ctx, one)
	if err != nil {
		return err
	}
	runsThere, err := w.runningIn(ctx, other)
	if err == nil && !maps.Equal(runs, runsThere) {
		err = fmt.Errorf("%s runs %v, and %s runs %v", one, runs, other, runsThere)
	}
	return err
}
