package render

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"

	"github.com/tagboat/tagboat/internal/fault"
)

// krustyTurn is held during a build. It is a global because what it guards is:
// krusty's schema belongs to the process.
var krustyTurn = make(chan struct{}, 1)

// Build renders the overlay in dir, a slash-separated directory of tree, to YAML
// documents in Kustomize's order. The tree must stay readable until the build
// ends, which may be after ctx did.
//
// Invalid, with file and reason, when the overlay is wrong or leads out of the
// tree; NotFound when there is no kustomization; Transient when ctx ends first;
// an error of the tree keeps its kind.
func Build(ctx context.Context, tree fs.FS, dir string) (_ []byte, err error) {
	defer fault.Wrap(&err, "render %s", dir)
	if !fs.ValidPath(dir) {
		return nil, fault.Errorf(fault.Invalid, "%q is not a directory of the repository; write it with slashes and without ..", dir)
	}
	select {
	case krustyTurn <- struct{}{}:
	case <-ctx.Done():
		return nil, tooLate(ctx)
	}
	type result struct {
		manifests []byte
		err       error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-krustyTurn }()
		manifests, err := build(readOnly{tree: tree, failure: new(error)}, dir)
		done <- result{manifests, err}
	}()
	select {
	case r := <-done:
		return r.manifests, r.err
	case <-ctx.Done():
		return nil, tooLate(ctx)
	}
}

func tooLate(ctx context.Context) error {
	return fault.E(fault.Transient, "rendering took too long and will be tried again; if it happens again, the overlay is too large", context.Cause(ctx))
}

// build checks what the overlay refers to and then lets krusty work.
func build(files readOnly, dir string) (manifests []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.Errorf(fault.Invalid, "%s: Kustomize crashed on this overlay; try `kustomize build %s` and report what it says", dir, dir)
		}
		if *files.failure != nil { // what krusty hid
			manifests, err = nil, *files.failure
		}
	}()
	if err := newScan(files).overlay(dir); err != nil {
		return nil, err
	}
	openapi.ResetOpenAPI()
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsRootOnly
	options.PluginConfig = types.DisabledPluginConfig()
	resources, err := krusty.MakeKustomizer(options).Run(files, "/"+dir)
	if err != nil {
		return nil, refuse(dir, "Kustomize cannot build it: %s", plain(err))
	}
	if manifests, err = resources.AsYaml(); err != nil {
		return nil, refuse(dir, "Kustomize cannot print it: %s", plain(err))
	}
	if len(strings.TrimSpace(string(manifests))) == 0 {
		return nil, refuse(dir, "it renders to nothing; an overlay must have at least one object, or everything would be deleted")
	}
	return manifests, nil
}

// refuse is an Invalid error about one file or directory.
func refuse(file, format string, args ...any) error {
	return fault.Errorf(fault.Invalid, "%s: %s", path.Clean(file), fmt.Sprintf(format, args...))
}

// maxReason bounds what is passed on of krusty's errors, which quote each other.
const maxReason = 600

// plain is an error of krusty as one line with paths of the repository.
func plain(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.NewReplacer("'/", "'", `"/`, `"`).Replace(text)
	if len(text) > maxReason {
		text = "… " + strings.ToValidUTF8(text[len(text)-maxReason:], "")
	}
	return text
}
