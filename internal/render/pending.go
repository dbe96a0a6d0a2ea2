//go:build pending

package render

import (
	_ "github.com/elastic/go-seccomp-bpf"
	_ "golang.org/x/sys/unix"
	_ "helm.sh/helm/v4/pkg/chart/common/util"
	_ "helm.sh/helm/v4/pkg/chart/v2/loader"
	_ "helm.sh/helm/v4/pkg/engine"
	_ "helm.sh/helm/v4/pkg/release/v1/util"
)
