package gitmirror

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChanged(t *testing.T) {
	s := newServer(t)
	s.write("apps/a/x.yaml", "x")
	s.write("apps/a/y.yaml", "y")
	s.write("apps.txt", "t")
	s.write("becomes-dir", "file")
	s.write("becomes-file/inner", "inner")
	s.write("run.sh", "run")
	from := s.commit("main", "before")
	s.write("apps/a/x.yaml", "x2")
	s.write("apps/b/deep/z.yaml", "z")
	s.git(s.clone, "rm", "-q", "-r", "apps/a/y.yaml", "becomes-dir", "becomes-file")
	s.write("becomes-dir/inner", "inner")
	s.write("becomes-file", "file")
	if err := os.Chmod(filepath.Join(s.clone, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	to := s.commit("main", "after")
	got, err := s.mirror().Changed(context.Background(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{
		{"apps/a/x.yaml", Modified}, {"apps/a/y.yaml", Deleted}, {"apps/b/deep/z.yaml", Added},
		{"becomes-dir", Deleted}, {"becomes-dir/inner", Added},
		{"becomes-file", Added}, {"becomes-file/inner", Deleted}, {"run.sh", Modified},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Changed (-want +got):\n%s", diff)
	}
	if same, err := s.mirror().Changed(context.Background(), to, to); err != nil || len(same) != 0 {
		t.Errorf("a commit against itself: %v, %v", same, err)
	}
}
