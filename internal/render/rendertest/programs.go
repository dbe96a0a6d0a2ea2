package rendertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/nested"
)

// Kustomize builds the kustomize command line, or finds it in the cache, and tells
// where it is. The first time it takes about a minute. progress may be nil.
func Kustomize(ctx context.Context, progress func(string)) (string, error) {
	return nested.Build(ctx, nested.Module{
		Name: "kustomize", Dir: "internal/render/rendertest/kustomize", LDFlags: []string{"-s", "-w"},
	}, nested.Options{Progress: progress})
}

// Helm builds the helm command line, or finds it in the cache, and tells where it
// is. The first time it takes a few minutes. progress may be nil.
func Helm(ctx context.Context, progress func(string)) (string, error) {
	return nested.Build(ctx, nested.Module{
		Name: "helm", Dir: "internal/render/rendertest/helm",
		// As in a release of Helm: charts see the version.
		LDFlags: []string{"-s", "-w", "-X", "helm.sh/helm/v4/internal/version.version=v4.3.1"},
	}, nested.Options{Progress: progress})
}

// KustomizeBuild runs "kustomize build" on a directory of the disk. With --enable-helm
// among the flags it also finds Helm. The error is what the program says.
func KustomizeBuild(ctx context.Context, dir string, flags ...string) ([]byte, error) {
	program, err := Kustomize(ctx, nil)
	if err != nil {
		return nil, err
	}
	args := append([]string{"build", dir}, flags...)
	for _, f := range flags {
		if f == "--enable-helm" {
			helm, err := Helm(ctx, nil)
			if err != nil {
				return nil, err
			}
			args = append(args, "--helm-command", helm)
		}
	}
	return run(ctx, "", program, args...)
}

// HelmTemplate runs "helm template" with arguments in a directory of the disk. The
// error is what the program says.
func HelmTemplate(ctx context.Context, dir string, args ...string) ([]byte, error) {
	return RunHelm(ctx, dir, append([]string{"template"}, args...)...)
}

// RunHelm runs the helm command line in a directory of the disk and gives what it
// prints. The error is what it says.
func RunHelm(ctx context.Context, dir string, args ...string) ([]byte, error) {
	program, err := Helm(ctx, nil)
	if err != nil {
		return nil, err
	}
	return run(ctx, dir, program, args...)
}

// run gives what a program prints. It sees nothing of the user's configuration.
func run(ctx context.Context, dir, program string, args ...string) ([]byte, error) {
	home, err := os.MkdirTemp("", "rendertest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "TZ=UTC", "PATH="}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ran := errors.AsType[*exec.ExitError](err); ran && ctx.Err() == nil {
			return nil, fault.E(fault.Invalid, strings.TrimSpace(stderr.String()), nil)
		}
		return nil, fmt.Errorf("run %s: %w", filepath.Base(program), err)
	}
	return stdout.Bytes(), nil
}
