package nested

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

var (
	npmName    = regexp.MustCompile(`^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*$`)
	npmVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*$`)
)

// NPM returns the directory of one exact version of an npm package, fetching it
// with the npm client (and so through the registry that npm is configured for)
// if the cache does not have it. Only the package's own files: no dependencies,
// no install scripts.
func NPM(ctx context.Context, pkg, version string, o Options) (dir string, err error) {
	defer fault.Wrap(&err, "fetch npm package %s@%s", pkg, version)
	if !npmName.MatchString(pkg) || !npmVersion.MatchString(version) {
		return "", fault.Errorf(fault.Invalid, "%q is not an npm package with an exact version", pkg+"@"+version)
	}
	cache, err := o.dir("npm")
	if err != nil {
		return "", err
	}
	entry := strings.NewReplacer("@", "", "/", "-").Replace(pkg) + "-" + version
	dir = filepath.Join(cache, entry)
	if isDir(dir) {
		return dir, nil
	}
	unlock, err := o.lock(ctx, dir+".lock", "fetching "+pkg)
	if err != nil {
		return "", err
	}
	defer unlock()
	if isDir(dir) {
		return dir, nil
	}
	if err := o.ensureNPM(ctx, cache); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := o.pack(ctx, tmp, pkg+"@"+version); err != nil {
		return "", err
	}
	unpacked := filepath.Join(tmp, "unpacked")
	if err := unpackOnly(tmp, unpacked); err != nil {
		return "", err
	}
	return dir, os.Rename(unpacked, dir)
}

// pack leaves the package's tarball, and nothing else, in dir.
func (o Options) pack(ctx context.Context, dir, spec string) error {
	stop := o.report("fetching npm package " + spec)
	defer stop()
	out, err := run(ctx, dir, "npm", "pack", "--silent", spec)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault.E(fault.Transient, fmt.Sprintf("npm could not fetch %s: %s", spec, lastLines(out, 5)), err)
}

// ensureNPM makes sure that there is an npm client, installing the system's own
// where that can be done without asking anybody: as root with apt-get.
func (o Options) ensureNPM(ctx context.Context, cache string) error {
	if _, err := exec.LookPath("npm"); err == nil {
		return nil
	}
	const hint = "This needs the npm client, which is not in PATH: install npm (on Debian and Ubuntu: apt-get install npm) and try again."
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fault.E(fault.Invalid, hint, nil)
	}
	unlock, err := o.lock(ctx, filepath.Join(cache, "apt.lock"), "installing npm")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := exec.LookPath("npm"); err == nil {
		return nil
	}
	stop := o.report("installing npm with apt-get")
	defer stop()
	for _, args := range [][]string{
		{"update"},
		{"install", "-y", "--no-install-recommends", "npm", "ca-certificates"},
	} {
		args = append([]string{"-q", "-o", "DPkg::Lock::Timeout=300"}, args...)
		if out, err := run(ctx, cache, "apt-get", args...); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.E(fault.Transient, hint+" apt-get said: "+lastLines(out, 3), err)
		}
	}
	return nil
}

func run(ctx context.Context, dir, name string, args ...string) (output []byte, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.Bytes(), err
}

// unpackOnly unpacks the one tarball in from to the new directory to.
func unpackOnly(from, to string) error {
	tarballs, err := filepath.Glob(filepath.Join(from, "*.tgz"))
	if err != nil {
		return err
	}
	if len(tarballs) != 1 {
		return fmt.Errorf("npm pack left %d tarballs, want 1", len(tarballs))
	}
	f, err := os.Open(tarballs[0])
	if err != nil {
		return err
	}
	defer f.Close()
	return unpack(f, to)
}

// maxUnpacked bounds what one package may come to on disk.
const maxUnpacked = 1 << 30

// unpack writes the regular files of a gzipped tar below the new directory to,
// without the first element of their names ("package/" by npm's convention). A
// name that leads out of it is refused; os.Root keeps even a surprising one in.
func unpack(r io.Reader, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close()
	zipped, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	left := int64(maxUnpacked)
	for tr := tar.NewReader(zipped); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue // npm packs regular files only
		}
		if left -= h.Size; left < 0 {
			return fault.Errorf(fault.Invalid, "the package is larger than %d MiB unpacked", maxUnpacked>>20)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		if !filepath.IsLocal(name) {
			return fault.Errorf(fault.Invalid, "the package has a file with the unsafe name %q", h.Name)
		}
		if err := writeFile(root, name, h.FileInfo().Mode(), tr); err != nil {
			return err
		}
	}
}

func writeFile(root *os.Root, name string, mode fs.FileMode, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644|mode&0o111)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
