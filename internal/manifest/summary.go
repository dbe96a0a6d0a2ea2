package manifest

import (
	"encoding/json"
	"slices"
	"strings"
)

// Summary is what a person wants to know before the details.
type Summary struct {
	Differ  int `json:"differ"`  // overlays that differ
	Same    int `json:"same"`    // overlays that do not
	Failed  int `json:"failed"`  // overlays that could not be compared
	Changed int `json:"changed"` // objects, over all overlays
	Added   int `json:"added"`
	Removed int `json:"removed"`
	// Images are the changes of images, each once, where nothing else changes.
	Images   []ImageChange `json:"images,omitempty"`
	Warnings []Warning     `json:"warnings,omitempty"`
}

// ImageChange is one image that moves. Name is empty where the repository
// changes; Old and New are whole references then, else what follows the name.
type ImageChange struct {
	Name string `json:"name,omitempty"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// String is "registry.example.com/payments 1.6.0 -> 1.7.0".
func (c ImageChange) String() string {
	return visible(strings.TrimSpace(c.Name + " " + c.Old + " -> " + c.New))
}

// Warning is something that nobody should merge without having noticed.
type Warning struct {
	Object   string   `json:"object"`
	Text     string   `json:"text"`
	Overlays []string `json:"overlays"` // as OverlayDiff.String names them
}

// String names the overlay as people do: "payments prod (prod-eu)", or by its path.
func (o OverlayDiff) String() string {
	name := strings.TrimSpace(o.App + " " + o.Env)
	if name == "" {
		name = o.Path
	}
	if o.Cluster != "" {
		name += " (" + o.Cluster + ")"
	}
	return visible(strings.TrimSpace(name))
}

// Summarize counts, and says what stands out.
func Summarize(diffs []OverlayDiff) Summary {
	var s Summary
	only := true
	at := map[[2]string]int{}
	for _, o := range diffs {
		switch {
		case o.Err != "":
			s.Failed++
			only = false
			continue
		case o.Diff.Empty():
			s.Same++
			continue
		}
		s.Differ++
		for _, object := range o.Diff.Objects {
			switch object.Change {
			case Added:
				s.Added++
			case Removed:
				s.Removed++
			default:
				s.Changed++
			}
			for _, text := range object.warnings() {
				k := [2]string{object.ID.String(), text}
				if _, ok := at[k]; !ok {
					at[k] = len(s.Warnings)
					s.Warnings = append(s.Warnings, Warning{Object: k[0], Text: text})
				}
				w := &s.Warnings[at[k]]
				w.Overlays = append(w.Overlays, o.String())
			}
		}
		images, all := o.Diff.Images()
		only = only && all
		for _, i := range images {
			if !slices.Contains(s.Images, i) {
				s.Images = append(s.Images, i)
			}
		}
	}
	if !only {
		s.Images = nil
	}
	return s
}

// Images is every image that the diff moves, each once, and whether it changes
// nothing else.
func (d Diff) Images() (images []ImageChange, only bool) {
	only = len(d.Objects) > 0
	for _, o := range d.Objects {
		only = only && o.Change == Changed && o.Was == ""
		for _, f := range o.Fields {
			if !o.isImage(f) {
				only = false
				continue
			}
			if c := imageChange(f.Old, f.New); !slices.Contains(images, c) {
				images = append(images, c)
			}
		}
	}
	return images, only
}

// WithoutImage is the diff without what only moves the tag or the digest of one image.
func (d Diff) WithoutImage(name string) Diff {
	var rest Diff
	for _, o := range d.Objects {
		if o.Change == Changed {
			o.Fields = slices.DeleteFunc(slices.Clone(o.Fields), func(f FieldDiff) bool {
				return o.isImage(f) && imageChange(f.Old, f.New).Name == name
			})
			if len(o.Fields) == 0 && o.Was == "" {
				continue
			}
		}
		rest.Objects = append(rest.Objects, o)
	}
	return rest
}

func (o ObjectDiff) isImage(f FieldDiff) bool {
	return f.Change == Changed && !f.Secret && len(f.Lines) == 0 && o.ID.Kind != "ConfigMap" &&
		(f.Path == "image" || strings.HasSuffix(f.Path, ".image"))
}

func imageChange(before, after string) ImageChange {
	before, after = strings.Trim(before, `"`), strings.Trim(after, `"`)
	oldName, oldTag, oldDigest := cutImage(before)
	newName, newTag, newDigest := cutImage(after)
	switch {
	case oldName != newName:
	case oldTag != newTag && oldTag != "" && newTag != "":
		return ImageChange{Name: oldName, Old: oldTag, New: newTag}
	case oldDigest != newDigest && oldDigest != "" && newDigest != "":
		return ImageChange{Name: oldName, Old: oldDigest, New: newDigest}
	}
	return ImageChange{Old: before, New: after}
}

// cutImage cuts name:tag@digest.
func cutImage(reference string) (name, tag, digest string) {
	name, digest, _ = strings.Cut(reference, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
	}
	return name, tag, digest
}

// dangerous are the kinds whose removal takes more with it than the object.
var dangerous = map[string]string{
	"Namespace":                "is removed, and everything in the namespace with it",
	"PersistentVolumeClaim":    "is removed; its volume, and the data on it, may go with it",
	"PersistentVolume":         "is removed; the data on it may go with it",
	"CustomResourceDefinition": "is removed, and all objects of its kind with it",
	"StatefulSet":              "is removed; its pods stop",
	"Deployment":               "is removed; its pods stop",
	"DaemonSet":                "is removed; its pods stop",
}

// immutable are the fields that a Kubernetes API server refuses to change in an
// object that exists; who wants it otherwise deletes the object first
// (ValidateUpdate of k8s.io/kubernetes/pkg/apis and pkg/registry).
var immutable = map[string][]string{
	"Deployment":         {"spec.selector"},
	"DaemonSet":          {"spec.selector"},
	"ReplicaSet":         {"spec.selector"},
	"StatefulSet":        {"spec.selector", "spec.serviceName", "spec.volumeClaimTemplates", "spec.podManagementPolicy"},
	"Job":                {"spec.selector", "spec.template"},
	"RoleBinding":        {"roleRef"},
	"ClusterRoleBinding": {"roleRef"},
	"StorageClass":       {"provisioner", "parameters"},
	"Secret":             {"type"},
}

func (o ObjectDiff) warnings() []string {
	if o.Change == Removed {
		if text, ok := dangerous[o.ID.Kind]; ok {
			return []string{text}
		}
		return nil
	}
	var texts []string
	for _, f := range o.Fields {
		if f.Path == "spec.replicas" && f.New == "0" {
			texts = append(texts, "has no replicas any more (spec.replicas: 0)")
		}
		if o.Change != Changed || o.Was != "" {
			continue
		}
		for _, path := range immutable[o.ID.Kind] {
			rest, under := strings.CutPrefix(f.Path, path)
			if text := path + " changes, which Kubernetes refuses for an object that exists"; under &&
				(rest == "" || rest[0] == '.' || rest[0] == '[') && !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// group is the overlays that a change does the same to.
type group struct {
	overlays []OverlayDiff
	diff     Diff
	err      string
}

// groups puts the overlays that differ together, in the order of their first.
func groups(diffs []OverlayDiff) []group {
	var found []group
	at := map[string]int{}
	for _, o := range diffs {
		if o.Err == "" && o.Diff.Empty() {
			continue
		}
		raw, err := json.Marshal(o.Diff)
		k := o.Err + "\x00" + string(raw)
		i, ok := at[k]
		if err != nil || !ok {
			i, at[k] = len(found), len(found)
			found = append(found, group{diff: o.Diff, err: o.Err})
		}
		found[i].overlays = append(found[i].overlays, o)
	}
	return found
}

// places names the group's overlays: the clusters of one app and environment in
// one pair of parentheses.
func (g group) places() []string {
	var names []string
	clusters := map[string][]string{}
	for _, o := range g.overlays {
		cluster := o.Cluster
		o.Cluster = ""
		name := o.String()
		if _, ok := clusters[name]; !ok {
			names = append(names, name)
			clusters[name] = nil
		}
		if cluster != "" {
			clusters[name] = append(clusters[name], visible(cluster))
		}
	}
	for i, name := range names {
		if c := clusters[name]; len(c) > 0 {
			names[i] += " (" + strings.Join(c, ", ") + ")"
		}
	}
	return names
}
