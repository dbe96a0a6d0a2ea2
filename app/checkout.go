package app

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/tagboat/tagboat/internal/fault"
)

// The offline commands work on a checkout: a directory that somebody has on disk,
// mostly an env repo. Nothing outside of it is read or written, wherever its
// symbolic links lead.

// openCheckout opens a checkout. The caller closes it.
func openCheckout(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.E(fault.NotFound, "There is no directory "+dir+" that could be read.", err)
	}
	return root, nil
}

// below is a path that a person typed, as a path of the checkout.
func below(typed string) (string, error) {
	name := path.Clean(filepath.ToSlash(typed))
	if !fs.ValidPath(name) {
		return "", fault.Errorf(fault.Invalid, "%s is not below the checkout; write a path relative to --dir, without ..", typed)
	}
	return name, nil
}

// kustomizations are the names that Kustomize knows
// (https://pkg.go.dev/sigs.k8s.io/kustomize/api/konfig#RecognizedKustomizationFileNames).
var kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// kustomizationIn is the kustomization file of a directory; "" where it has none.
func kustomizationIn(tree fs.FS, dir string) (string, error) {
	for _, name := range kustomizations {
		file := path.Join(dir, name)
		switch _, err := fs.Stat(tree, file); {
		case err == nil:
			return file, nil
		case !absent(err):
			return "", fault.E(fault.Invalid, file+" cannot be read.", err)
		}
	}
	return "", nil
}

// absent tells an absence from what keeps a path from being read. That a directory
// on the way is a file is an absence too, of which operating systems have their own
// error.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// maxFile bounds what is read of a checkout at once, in bytes.
const maxFile = 4 << 20

// readFile reads a file of a checkout that is worth reading: neither huge nor a
// pipe.
func readFile(tree fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(tree, file)
	switch {
	case absent(err):
		return nil, fault.E(fault.NotFound, "There is no file "+file+" in the checkout; correct the path.", err)
	case err != nil:
	case !info.Mode().IsRegular():
		return nil, fault.Errorf(fault.Invalid, "%s is not a file", file)
	case info.Size() > maxFile:
		return nil, fault.Errorf(fault.Invalid, "%s:1: the file is larger than %d MiB; split it", file, maxFile>>20)
	}
	data, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil, fault.E(fault.Invalid, file+" cannot be read.", err)
	}
	return data, nil
}
