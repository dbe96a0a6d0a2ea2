package worker

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

// A key that cannot be read is told in words, and never as a passing trouble.
func TestPublicKeysOfARepository(t *testing.T) {
	key, err := registrytest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.Symlink("/etc/passwd", outside+"/out.pub"); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(outside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	tree := fstest.MapFS{
		"keys/release.pub": {Data: key.Public()}, "keys/huge.pub": {Data: []byte(strings.Repeat("x", 1<<20))}, "keys/text.pub": {Data: []byte("none")},
	}
	for _, c := range []struct {
		tree       fs.FS
		file, says string
	}{
		{tree, "keys/release.pub", ""},
		{tree, "keys/lost.pub", "asks for a signature by keys/lost.pub, and there is no such file"},
		{tree, "keys", "which is no file that could hold a public key"},
		{tree, "keys/huge.pub", "which is no file that could hold a public key"},
		{tree, "keys/text.pub", "keys/text.pub is no public key"},
		{root.FS(), "out.pub", "which cannot be read"},
	} {
		got, err := PublicKey(c.tree, c.file)
		var words string
		if err != nil && (lasting(err, &words) != nil || words == "") {
			t.Errorf("%s: %v is no lasting trouble", c.file, err)
		}
		if (got != nil) != (c.says == "") || !strings.Contains(fault.HintOf(err), c.says) {
			t.Errorf("%s: %v; want it to say %q", c.file, err, c.says)
		}
	}
}
