package cluster

import (
	"cmp"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// verdict is what becomes of an object that an inventory has and Git has not.
type verdict int

const (
	mayGo     verdict = iota // it is the target's, and nothing keeps it
	isGone                   // it is not there any more
	isGoing                  // it is being deleted
	isKept                   // it stays, and the inventory remembers it
	isForeign                // it stays, and is none of this target's any more
)

// judge says what becomes of an object, by its metadata as it is now; live is nil
// where there is none. Only what is proven to be the target's is deleted: it is the
// object that the inventory means, it bears all the target's marks, the target still
// manages something of it, and nobody else claims it.
func (t Target) judge(e Entry, live Metadata) (verdict, string) {
	switch {
	case live == nil:
		return isGone, ""
	case e.UID != "" && e.UID != string(live.UID):
		return isGone, "another object of that name is there, which is not Tagboat's"
	}
	if v, why := t.ours(live); v != mayGo {
		return v, why
	}
	if live.DeletionTimestamp != nil {
		return isGoing, beingDeleted(live)
	}
	if why := keeper(live); why != "" {
		return isKept, why
	}
	if why := t.otherOwner(live); why != "" {
		return isKept, why
	}
	return mayGo, ""
}

// ours tells whether an object bears all the marks of the target.
func (t Target) ours(live Metadata) (verdict, string) {
	key, installation := live.Annotations[TargetAnnotation], live.Annotations[InstallationAnnotation]
	switch {
	case key == "" && installation == "":
		return isKept, "somebody has removed the annotation " + TargetAnnotation + ", which says that it is Tagboat's"
	case key != t.Key || installation != t.Installation:
		return isForeign, "it belongs to " + t.other(key, installation)
	case live.Labels[TargetLabel] != t.Label():
		return isKept, "somebody has changed or removed the label " + TargetLabel + ", which says that it is Tagboat's"
	case fingerprint(live, t.FieldManager()) == "":
		return isKept, "Tagboat manages none of its fields any more: somebody has taken it over, or copied its marks"
	}
	return mayGo, ""
}

// beingDeleted is what an object that is on its way out waits for.
func beingDeleted(live Metadata) string {
	if len(live.Finalizers) == 0 {
		return "it is being deleted"
	}
	return "it is being deleted, and waits for the finalizers " + strings.Join(live.Finalizers, ", ")
}

// keeps are the annotations by which people keep an object from being pruned: ours, and
// those of the tools that they may come from.
var keeps = []struct{ annotation, value string }{
	{KeepAnnotation, "keep"},
	{"kustomize.toolkit.fluxcd.io/prune", "disabled"},
	{"argocd.argoproj.io/sync-options", "Prune=false"},
	{"helm.sh/resource-policy", "keep"},
}

// KeepAnnotation with the value "keep" keeps an object from being pruned, for as long
// as the object in the cluster bears it.
const KeepAnnotation = "tagboat.dev/prune"

func keeper(live Metadata) string {
	for _, k := range keeps {
		// Argo CD's and Helm's are lists.
		for _, value := range strings.Split(live.Annotations[k.annotation], ",") {
			if strings.TrimSpace(value) == k.value {
				return fmt.Sprintf("its annotation %s: %s keeps it", k.annotation, k.value)
			}
		}
	}
	return ""
}

// otherOwner is why an object is not the target's alone; "" where it is.
func (t Target) otherOwner(live Metadata) string {
	if c := metav1.GetControllerOf(live); c != nil {
		return fmt.Sprintf("owned by %s %s, whose controller makes and deletes it", c.Kind, c.Name)
	}
	for _, d := range deployers {
		for _, mark := range d.marks {
			if says := cmp.Or(live.Labels[mark], live.Annotations[mark]); says != "" {
				return fmt.Sprintf("owned by %s, too: its mark %s says %q", d.name, mark, says)
			}
		}
	}
	for _, entry := range live.ManagedFields {
		if entry.Subresource != "" || entry.Manager == t.FieldManager() {
			continue
		}
		if tool, ok := isDeployer(entry.Manager); ok {
			return fmt.Sprintf("owned by %s, too: the field manager %q manages fields of it", tool, entry.Manager)
		}
	}
	return ""
}
