package clustertest

import (
	"context"
	"fmt"
	"os"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Shared is one control plane for all the tests of a package. The first test
// that asks starts it; TestMain stops it:
//
//	var shared clustertest.Shared
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		shared.Stop()
//		os.Exit(code)
//	}
type Shared struct {
	once sync.Once
	cp   *ControlPlane
	err  error
}

// TB is the part of testing.TB that For needs.
type TB interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// For returns the control plane and the name of a fresh namespace of the test's
// own. The namespace is left behind: deleting one takes 5 s at least, and the
// whole cluster goes away soon.
func (s *Shared) For(t TB) (cp *ControlPlane, namespace string) {
	t.Helper()
	s.once.Do(func() {
		// Not the test's context: the next test uses it too.
		s.cp, s.err = Start(context.Background(), Options{Progress: func(what string) {
			fmt.Fprintln(os.Stderr, "clustertest:", what)
		}})
	})
	if s.err != nil {
		t.Fatalf("%v", s.err)
	}
	namespace, err := s.cp.NewNamespace(t.Context(), "test-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s.cp, namespace
}

// Stop stops the control plane, if any test started it.
func (s *Shared) Stop() {
	if s.cp != nil {
		s.cp.Stop()
	}
}

// NewNamespace makes a namespace and names it with the prefix and a few random
// characters.
func (cp *ControlPlane) NewNamespace(ctx context.Context, prefix string) (name string, err error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", cp.Kubeconfig)
	if err != nil {
		return "", err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return "", err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}
	ns, err = client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("make a namespace: %w", err)
	}
	return ns.Name, nil
}
