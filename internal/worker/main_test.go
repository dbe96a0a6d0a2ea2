package worker

import (
	"testing"

	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

var planes clustertest.Shared

func TestMain(m *testing.M) {
	render.RunIfChild()
	storetest.Main(m, planes.Stop)
}
