package render

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/provenance"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/openapi"

	"github.com/tagboat/tagboat/internal/fault"
)

// krustySchema is held during a build; it holds true when the last build has
// changed the schema. It is a global because what it guards is: krusty's schema
// belongs to the process. A build without openapi: would take the last one's, and
// one with it would add to what is there.
var krustySchema = func() chan bool { c := make(chan bool, 1); c <- false; return c }()

// build renders the source as the view shows it. It never returns an empty result
// without an error.
func build(files *view, src Source) (manifests []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			manifests, err = nil, fault.Errorf(fault.Invalid, "%s: Kustomize crashed on this overlay; try `kustomize build %s` and report what it says", src.Dir, src.Dir)
		}
		if files.broken() { // krusty hides it, or says it in a worse way
			manifests, err = nil, files.failure
		}
	}()
	if src.Helm != nil {
		return files.helm(src)
	}
	s := newScan(files)
	if src.Manifest != "" {
		err = files.serve(path.Join(src.Dir, konfig.DefaultKustomizationFileName()), &types.Kustomization{Resources: []string{path.Base(src.Manifest)}})
	} else {
		err = s.top(src.Dir)
	}
	if err != nil {
		return nil, err
	}
	changed := <-krustySchema
	defer func() { krustySchema <- changed }()
	if changed || s.schema { // a reset costs 50 ms, so only where it is needed
		openapi.ResetOpenAPI()
	}
	changed = s.schema
	if manifests := s.lighterBuild(src.Dir); manifests != nil {
		return manifests, nil
	}
	return kustomize(files, src.Dir)
}

func kustomize(files *view, dir string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified // as the command line: sortOptions, else the legacy order
	options.LoadRestrictions = types.LoadRestrictionsRootOnly
	options.PluginConfig = types.DisabledPluginConfig()
	resources, err := krusty.MakeKustomizer(options).Run(files, "/"+dir)
	if err != nil {
		return nil, refuse(dir, "Kustomize cannot build it: %s", plain(err))
	}
	if err := labelled(resources); err != nil {
		return nil, refuse(dir, "Kustomize cannot label it: %s", plain(err))
	}
	manifests, err := printed(resources)
	if err != nil {
		return nil, refuse(dir, "Kustomize cannot print it: %s", plain(err))
	}
	if len(strings.TrimSpace(string(manifests))) == 0 {
		return nil, empty(dir)
	}
	return bounded(dir, manifests)
}

// release is the version of Kustomize's command line that prints what we render.
// It is what krusty would be as a main program; as a library it does not know.
const release = "kustomize-v5.8.2"

// labelled corrects the version that buildMetadata: [managedByLabel] asks for.
func labelled(resources resmap.ResMap) error {
	unknown := "kustomize-" + provenance.GetProvenance().Semver()
	for _, r := range resources.Resources() {
		labels := r.GetLabels()
		if labels[konfig.ManagedbyLabelKey] != unknown {
			continue
		}
		labels[konfig.ManagedbyLabelKey] = release
		if err := r.SetLabels(labels); err != nil {
			return err
		}
	}
	return nil
}

func empty(dir string) error {
	return refuse(dir, "it renders to nothing; an overlay must have at least one object, or everything would be deleted")
}

func bounded(dir string, manifests []byte) ([]byte, error) {
	if len(manifests) > maxOutput {
		return nil, refuse(dir, "it renders to more than %d MiB; split it", maxOutput>>20)
	}
	return manifests, nil
}

// refuse is an Invalid error about one file or directory.
func refuse(file, format string, args ...any) error {
	return fault.Errorf(fault.Invalid, "%s: %s", oneLine(path.Clean(file)), oneLine(fmt.Sprintf(format, args...)))
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
