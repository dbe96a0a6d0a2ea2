package app

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/overlay"
)

// staged is a file that is ready to take another's place.
type staged struct{ temporary, file string }

// writeEdits replaces files of a checkout by what was planned. Every new file lies
// ready beside the old one before the first is replaced, so that a full disk or a
// directory that cannot be written changes nothing.
func writeEdits(root *os.Root, edits []overlay.Edit) (err error) {
	var ready []staged
	defer func() {
		for _, s := range ready {
			err = errors.Join(err, root.Remove(s.temporary))
		}
	}()
	for _, e := range edits {
		s, err := stage(root, e)
		if err != nil {
			return err
		}
		ready = append(ready, s)
	}
	for written := 0; len(ready) > 0; written++ {
		if err := root.Rename(ready[0].temporary, ready[0].file); err != nil {
			return fault.E(fault.Broken, fmt.Sprintf("%s cannot be replaced; %d of %d files are written.", filepath.ToSlash(ready[0].file), written, len(edits)), err)
		}
		ready = ready[1:]
	}
	return nil
}

// stage writes the new content of a file beside it, with the file's mode.
func stage(root *os.Root, e overlay.Edit) (_ staged, err error) {
	file, info, err := followLinks(root, e.Path)
	if err != nil {
		return staged{}, err
	}
	now, err := root.ReadFile(file)
	if err != nil {
		return staged{}, fault.E(fault.Invalid, e.Path+" cannot be read.", err)
	}
	if !bytes.Equal(now, e.Before) {
		return staged{}, fault.Errorf(fault.Conflict, "%s changed while the bump was planned; nothing is written, try again", e.Path)
	}
	temporary, err := beside(root, file, e.After, info.Mode().Perm())
	if err != nil {
		return staged{}, fault.E(fault.Invalid, e.Path+" cannot be written; nothing is changed.", err)
	}
	return staged{temporary, file}, nil
}

// beside writes a new file in the directory of another one, whose place it can take
// by a rename.
func beside(root *os.Root, file string, data []byte, mode fs.FileMode) (temporary string, err error) {
	temporary = filepath.Join(filepath.Dir(file), ".tagboat-"+rand.Text())
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, root.Remove(temporary))
	}
	return temporary, nil
}

// maxLinks is how many symbolic links one after the other are followed, as on
// Linux (https://man7.org/linux/man-pages/man7/path_resolution.7.html).
const maxLinks = 40

// followLinks is the file that a path leads to, so that a link stays a link. One
// that leads out of the checkout is refused.
func followLinks(root *os.Root, name string) (string, os.FileInfo, error) {
	file := filepath.FromSlash(name)
	for range maxLinks {
		info, err := root.Lstat(file)
		if err != nil {
			return "", nil, fault.E(fault.Invalid, name+" cannot be read.", err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return file, info, nil
		}
		target, err := root.Readlink(file)
		if err != nil {
			return "", nil, fault.E(fault.Invalid, name+" cannot be read.", err)
		}
		slashed := path.Join(path.Dir(filepath.ToSlash(file)), filepath.ToSlash(target))
		if filepath.IsAbs(target) || slashed == ".." || strings.HasPrefix(slashed, "../") {
			return "", nil, fault.Errorf(fault.Invalid, "%s is a symbolic link that leads out of the checkout, where nothing is written", name)
		}
		file = filepath.FromSlash(slashed)
	}
	return "", nil, fault.Errorf(fault.Invalid, "%s is a symbolic link that leads to itself", name)
}
