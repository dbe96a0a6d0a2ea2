package worker

import (
	"testing"

	"github.com/tagboat/tagboat/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
