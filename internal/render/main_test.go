package render_test

import (
	"context"
	"io/fs"
	"os"
	"testing"

	"github.com/tagboat/tagboat/internal/render"
)

// pool is what the tests share, so that each does not start children of its own.
var pool *render.Pool

func TestMain(m *testing.M) {
	render.RunIfMischievous()
	render.RunIfUnguarded()
	render.RunIfFree()
	render.RunIfChild()
	if len(os.Args) == 2 && os.Args[1] == "parent" {
		parent()
	}
	pool = render.NewPool(render.Options{Workers: 2})
	code := m.Run()
	if err := pool.Close(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func build(ctx context.Context, tree fs.FS, dir string) ([]byte, error) {
	output, err := pool.Build(ctx, tree, render.Source{Dir: dir})
	return output.Manifests, err
}
