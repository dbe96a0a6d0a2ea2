package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// controllers is what a GitOps test needs; the rest (node lifecycle, cloud,
// volumes, CSR) would only cost memory or taint the simulated node.
var controllers = []string{
	"deployment-controller", "replicaset-controller", "statefulset-controller",
	"daemonset-controller", "job-controller", "cronjob-controller",
	"endpoints-controller", "endpointslice-controller", "disruption-controller",
	"horizontal-pod-autoscaler-controller", "resourcequota-controller",
	"namespace-controller", "serviceaccount-controller",
	"serviceaccount-token-controller", "root-ca-certificate-publisher-controller",
	"garbage-collector-controller", "clusterrole-aggregation-controller",
	"ttl-after-finished-controller", "validatingadmissionpolicy-status-controller",
	"persistentvolumeclaim-protection-controller", "persistentvolume-protection-controller",
}

// ready is the one line on standard output by which the caller knows that the
// cluster is up.
type ready struct {
	Kubeconfig string  `json:"kubeconfig"` // path
	Server     string  `json:"server"`     // URL
	Context    string  `json:"context"`    // in the kubeconfig
	Seconds    float64 `json:"seconds"`    // since the start
}

func up(args []string) int {
	if err := run(args); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		return 1
	}
	return 0
}

func run(args []string) error {
	fs := flag.NewFlagSet("up", flag.ExitOnError)
	dir := fs.String("dir", "", "state directory; a fresh one each time, with a short path (it holds a unix socket)")
	life := fs.Duration("max-life", 20*time.Minute, "stop after this long, whatever happens; 0 for no limit")
	_ = fs.Parse(args) // exits on error
	if *dir == "" {
		return errors.New("--dir is required")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if *life > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, *life, errors.New("its life (--max-life) is over"))
		defer cancel()
	}
	orders := make(chan string)
	go func() {
		defer stop() // standard input is closed when the caller ends, however
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			select {
			case orders <- lines.Text():
			case <-ctx.Done():
			}
		}
	}()

	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return err
	}
	processes := newProcesses(*dir)
	defer processes.kill()
	start := time.Now()
	r, err := boot(ctx, *dir, processes)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(r); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-processes.exited:
			return err
		case order := <-orders:
			var a answer
			if err := obey(ctx, order, r, processes); err != nil {
				a.Error = err.Error()
			}
			if err := answers.Encode(a); err != nil {
				return err
			}
		}
	}
}

// answer is the line on standard output that follows each line of standard input.
type answer struct {
	Error string `json:"error,omitempty"`
}

// The lines that standard input may have. The API server comes back at the same
// address, to what etcd has kept.
const (
	stopAPIServer  = "stop " + apiServer
	startAPIServer = "start " + apiServer
)

func obey(ctx context.Context, order string, r ready, ps *processes) error {
	switch order {
	case stopAPIServer:
		ps.stop(apiServer)
		return nil
	case startAPIServer:
		if err := ps.again(apiServer); err != nil {
			return err
		}
		cs, err := client(r.Kubeconfig)
		if err != nil {
			return err
		}
		return answering(ctx, cs, ps)
	}
	return fmt.Errorf("unknown order %q", order)
}

// answering waits until the API server does.
func answering(ctx context.Context, cs kubernetes.Interface, ps *processes) error {
	return ps.await(ctx, "/readyz", func(ctx context.Context) error {
		return cs.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// apiServer and controllerManager are stock commands, by their names.
const (
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
)

// boot starts everything in order and waits until pods can be made.
func boot(ctx context.Context, dir string, ps *processes) (r ready, err error) {
	port, reservation, err := reservePort()
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			unix.Close(reservation) // otherwise kept as long as the process lives
		}
	}()
	r = ready{
		Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Server:     fmt.Sprintf("https://127.0.0.1:%d", port),
		Context:    contextName,
	}
	if err := writePKI(dir); err != nil {
		return r, err
	}
	if err := writeKubeconfig(dir, r.Kubeconfig, r.Server); err != nil {
		return r, err
	}
	etcd, err := startEtcd(dir)
	if err != nil {
		return r, err
	}
	if err := ps.start(apiServer, apiserverFlags(dir, etcd, port)...); err != nil {
		return r, err
	}
	cs, err := client(r.Kubeconfig)
	if err != nil {
		return r, err
	}
	if err := answering(ctx, cs, ps); err != nil {
		return r, err
	}
	if err := ps.start(controllerManager, controllerFlags(dir, r.Kubeconfig)...); err != nil {
		return r, err
	}
	if err := startKubelet(ctx, cs); err != nil {
		return r, err
	}
	// Pods are admitted only once the default service account is there.
	return r, ps.await(ctx, "default service account", func(ctx context.Context) error {
		_, err := cs.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func client(kubeconfig string) (kubernetes.Interface, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.QPS, cfg.Burst = 500, 1000
	return kubernetes.NewForConfig(cfg)
}

func apiserverFlags(dir, etcdSocket string, port int) []string {
	in := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"--etcd-servers=unix://" + etcdSocket,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--permit-port-sharing",
		"--endpoint-reconciler-type=none", // a loopback address is no valid Endpoint
		"--tls-cert-file=" + in("apiserver.crt"), "--tls-private-key-file=" + in("apiserver.key"),
		"--client-ca-file=" + in("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + in("sa.key"), "--service-account-signing-key-file=" + in("sa.key"),
		"--service-cluster-ip-range=10.0.0.0/16",
		"--authorization-mode=RBAC", "--allow-privileged=true", "--profiling=false",
		"--enable-priority-and-fairness=false",
	}
}

func controllerFlags(dir, kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--controllers=" + strings.Join(controllers, ","),
		"--service-account-private-key-file=" + filepath.Join(dir, "sa.key"),
		"--root-ca-file=" + filepath.Join(dir, "ca.crt"),
		"--use-service-account-credentials=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
}
