// Ssaapply applies a file of manifests as Flux's controller or as kubectl does, by
// their own libraries, and prints how long that took. Tagboat's benchmarks compare
// themselves with it. It is a Go module of its own, so that these libraries never get
// into Tagboat's go.mod.
//
//	ssaapply flux|kubectl <kubeconfig> <manifests>
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/utils"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: ssaapply flux|kubectl <kubeconfig> <manifests>")
		os.Exit(2)
	}
	apply := map[string]func(kubeconfig, manifests string) (time.Duration, error){"flux": byFlux, "kubectl": byKubectl}[os.Args[1]]
	if apply == nil {
		fmt.Fprintln(os.Stderr, "ssaapply: neither flux nor kubectl:", os.Args[1])
		os.Exit(2)
	}
	took, err := apply(os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "ssaapply:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{"seconds": took.Seconds()})
}

// byFlux is what kustomize-controller does with rendered objects, without a limit to
// its requests; reading the file is not counted.
func byFlux(kubeconfig, manifests string) (time.Duration, error) {
	ctx := context.Background()
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return 0, err
	}
	cfg.QPS = -1
	cfg.WarningHandler = rest.NoWarnings{}
	f, err := os.Open(manifests)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	objects, err := utils.ReadObjects(f)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return 0, err
	}
	mapper, err := apiutil.NewDynamicRESTMapper(cfg, hc)
	if err != nil {
		return 0, err
	}
	c, err := client.New(cfg, client.Options{HTTPClient: hc, Mapper: mapper})
	if err != nil {
		return 0, err
	}
	manager := ssa.NewResourceManager(c, polling.NewStatusPoller(c, mapper, polling.Options{}), ssa.Owner{Field: "ssaapply", Group: "ssaapply.example.com"})
	manager.SetOwnerLabels(objects, "bench", "bench")
	_, err = manager.ApplyAllStaged(ctx, objects, ssa.DefaultApplyOptions())
	return time.Since(start), err
}

func byKubectl(kubeconfig, manifests string) (time.Duration, error) {
	start := time.Now()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	args := []string{"kubectl", "apply", "--server-side", "--kubeconfig", kubeconfig, "-f", manifests}
	os.Args = args // kubectl looks there, too
	cmd := kubectl.NewDefaultKubectlCommandWithArgs(kubectl.KubectlOptions{
		Arguments: args, IOStreams: genericiooptions.IOStreams{In: null, Out: null, ErrOut: os.Stderr},
	})
	cmd.SetArgs(args[1:])
	err = cmd.Execute()
	return time.Since(start), err
}
