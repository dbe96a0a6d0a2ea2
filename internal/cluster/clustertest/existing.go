package clustertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// Existing finds a context of the user's own kubeconfig (KUBECONFIG, else the
// one in the home directory). The configuration that it returns stands alone:
// certificate files are read into it.
//
// local says whether the cluster is plainly one on this machine, by the name of
// its context; anything else may be somebody's production and is not to be touched without asking.
func Existing(context string) (_ cluster.Config, local bool, err error) {
	defer fault.Wrap(&err, "kubeconfig context %q", context)
	raw, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
	if err != nil {
		return cluster.Config{}, false, fault.E(fault.Invalid, "Your kubeconfig cannot be read.", err)
	}
	if raw.Contexts[context] == nil {
		return cluster.Config{}, false, fault.Errorf(fault.NotFound, "your kubeconfig has no context %q; it has %s", context, names(raw))
	}
	raw.CurrentContext = context
	if err := clientcmdapi.MinifyConfig(raw); err != nil {
		return cluster.Config{}, false, fault.E(fault.Invalid, fmt.Sprintf("The context %q is incomplete in your kubeconfig.", context), err)
	}
	if err := clientcmdapi.FlattenConfig(raw); err != nil {
		return cluster.Config{}, false, fault.E(fault.Invalid, fmt.Sprintf("A certificate file of the context %q cannot be read.", context), err)
	}
	data, err := clientcmd.Write(*raw)
	if err != nil {
		return cluster.Config{}, false, err
	}
	return cluster.Config{Name: context, KubeconfigData: data, Context: context}, isLocal(context), nil
}

// isLocal goes by the names that the tools for local clusters give to their
// contexts. The address proves nothing: a loopback one may be this end of an SSH
// tunnel to production, and a local cluster may have the address of a virtual
// machine.
func isLocal(context string) bool {
	for _, prefix := range []string{"kind-", "k3d-", "colima-"} {
		if strings.HasPrefix(context, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"minikube", "docker-desktop", "rancher-desktop", "colima", "microk8s", "orbstack"}, context)
}

func names(c *clientcmdapi.Config) string {
	if len(c.Contexts) == 0 {
		return "none at all"
	}
	return strings.Join(slices.Sorted(maps.Keys(c.Contexts)), ", ")
}
