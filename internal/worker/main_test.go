package worker

import (
	"testing"

	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

func TestMain(m *testing.M) {
	render.RunIfChild()
	storetest.Main(m)
}
