package cluster

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/tagboat/tagboat/internal/fault"
)

// holder is a field manager that keeps us from fields of an object.
type holder struct {
	manager     string
	subresource string   // that it wrote them through: "scale"; "" for the object itself
	fields      []string // "spec.replicas"
}

// conflictingManager is how the server names the other side in a cause of an
// apply conflict: conflict with "human" with subresource "scale" using apps/v1 at
// 2026-01-02T03:04:05Z.
var conflictingManager = regexp.MustCompile(`conflict with "([^"]*)"(?: with subresource "([^"]*)")?`)

// holdersOf are those whom an apply conflict names. all is false where the server
// names one in a way that is not understood.
func holdersOf(s metav1.Status) (holders []holder, all bool) {
	if s.Details == nil {
		return nil, false
	}
	all = true
	for _, cause := range s.Details.Causes {
		m := conflictingManager.FindStringSubmatch(cause.Message)
		if m == nil {
			all = false
			continue
		}
		i := slices.IndexFunc(holders, func(h holder) bool { return h.manager == m[1] && h.subresource == m[2] })
		if i < 0 {
			i = len(holders)
			holders = append(holders, holder{manager: m[1], subresource: m[2]})
		}
		holders[i].fields = append(holders[i].fields, strings.TrimPrefix(cause.Field, "."))
	}
	return holders, all && len(holders) > 0
}

func (h holder) String() string {
	by := fmt.Sprintf("%q", h.manager)
	if h.subresource != "" {
		by += " (by the subresource " + h.subresource + ")"
	}
	return by + " manages " + strings.Join(h.fields, ", ")
}

// clientSideAppliers are the managers under which kubectl apply, without
// --server-side, leaves its fields. They are taken over once: such an object was
// applied by hand before Tagboat got it, and would otherwise keep every field
// that is ever removed from Git.
var clientSideAppliers = sets.New("kubectl-client-side-apply")

// formerManager is what the field manager of every target was called once. What bears
// that is handed over to the target's own.
const formerManager = "tagboat"

// clientTools are the programs, beside kubectl, with which people change objects, by
// the names that they leave in field managers. Whoever is not named here may be a
// controller, which would write again and again.
var clientTools = sets.New("before-first-apply", "k9s", "lens", "Lens", "OpenLens", "freelens", "node-fetch", "headlamp-server", "dashboard-api", "oc", "Mozilla")

// isPerson reports whether it is people who hold the fields.
func (h holder) isPerson() bool {
	return h.subresource != "status" && (h.manager == "kubectl" || strings.HasPrefix(h.manager, "kubectl-") || clientTools.Has(h.manager))
}

// deployers are those who put whole objects into clusters and would undo what is
// written to one of theirs: by their field managers, and by the marks on their objects.
var deployers = []struct {
	name     string
	managers []string
	marks    []string // annotations and labels
}{
	{"Argo CD", []string{"argocd-controller", "argocd-application-controller", "argocd"}, []string{"argocd.argoproj.io/tracking-id"}},
	{"Flux", []string{"kustomize-controller", "helm-controller"}, []string{"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"}},
	{"Helm", []string{"helm", "Helm"}, []string{"meta.helm.sh/release-name"}},
	{"kapp", []string{"kapp", "kapp-server", "kapp-server-side-apply"}, []string{"kapp.k14s.io/app"}},
	{"kubectl apply --applyset", nil, []string{"applyset.kubernetes.io/part-of"}},
	{"kpt", nil, []string{"config.k8s.io/owning-inventory"}},
}

// deployer is who else puts an object into the cluster.
type deployer struct {
	name    string
	as      string // what it calls the object's origin: a tracking id, the name of a release; "" unknown
	mark    string // the annotation or label that shows it; "" where only the field manager does
	manager string
}

// deployerOf is who else deploys an object, by what the cluster shows of it. A mark
// that is rendered is ours, whatever it says.
func deployerOf(live Metadata, desired Object, ours ...string) (deployer, bool) {
	for _, d := range deployers {
		for _, mark := range d.marks {
			for _, on := range []struct{ live, desired map[string]string }{{live.Annotations, desired.GetAnnotations()}, {live.Labels, desired.GetLabels()}} {
				_, rendered := on.desired[mark]
				if value, ok := on.live[mark]; ok && !rendered {
					return deployer{name: d.name, as: value, mark: mark}, true
				}
			}
		}
		for _, entry := range live.ManagedFields {
			if slices.Contains(d.managers, entry.Manager) {
				return deployer{name: d.name, manager: entry.Manager}, true
			}
		}
	}
	for _, entry := range live.ManagedFields {
		if strings.HasPrefix(entry.Manager, managerPrefix) && !slices.Contains(ours, entry.Manager) {
			return deployer{name: "another target or installation of Tagboat", manager: entry.Manager}, true
		}
	}
	return deployer{}, false
}

// isDeployer reports whether a field manager is one that deploys.
func isDeployer(manager string) (name string, ok bool) {
	for _, d := range deployers {
		if slices.Contains(d.managers, manager) {
			return d.name, true
		}
	}
	return "another target or installation of Tagboat", strings.HasPrefix(manager, managerPrefix)
}

// mayTake refuses an object that is not the target's yet and that somebody else
// deploys.
func (p *plan) mayTake(ch *change, live Metadata) error {
	d, found := deployerOf(live, ch.desired, p.manager(), ch.former)
	if !found {
		return nil
	}
	by := d.name
	if d.as != "" {
		by += fmt.Sprintf(", as %q", d.as)
	}
	// Whoever lets go of an object leaves its field manager there.
	release := mergePatch(ch, `{"metadata":{"managedFields":[{}]}}`)
	sign := fmt.Sprintf("its field manager %q", d.manager)
	if d.mark != "" {
		sign = d.mark + " on it"
		release = "remove " + d.mark + ", then " + release
	}
	return fault.Errorf(fault.Denied, "%s in cluster %s is deployed by %s already (%s says so), and Tagboat does not fight over it. Remove it from Git here; or have the other one let go of it without deleting it, and clear what is left of that: %s",
		name(ch.desired), p.c.name, by, sign, release)
}

// mergePatch is the command that changes an object in the cluster.
func mergePatch(ch *change, patch string) string {
	return fmt.Sprintf("kubectl patch %s %s%s --type=merge -p '%s'", ch.mapping.Resource.GroupResource(), ch.desired.GetName(), inNamespace(ch.desired), patch)
}

func inNamespace(o Object) string {
	if o.GetNamespace() == "" {
		return ""
	}
	return " -n " + o.GetNamespace()
}

// refuseHolders is the error for fields that stay with whoever holds them.
func (p *plan) refuseHolders(ch *change, holders []holder, cause error) error {
	var held []string
	for _, h := range holders {
		held = append(held, h.String())
	}
	out := "Remove the fields from one of the two sides, or let them differ by a rule under `ignore` in tagboat.yaml; Tagboat never takes them from another deployer or a controller."
	people := true
	for _, h := range holders {
		people = people && h.isPerson()
		if name, ok := isDeployer(h.manager); ok {
			out = fmt.Sprintf("%q is %s: keep the object, or the fields, on one of the two sides only; Tagboat never takes them by force.", h.manager, name)
		}
	}
	scaled := slices.ContainsFunc(holders, func(h holder) bool { return h.subresource == "scale" })
	switch {
	case scaled && !people:
		out = "Something scales it, and Tagboat finds no autoscaler that does: remove spec.replicas from Git, so that the two do not undo each other; or let the field differ by a rule under `ignore` in tagboat.yaml."
	case people:
		out = "If that change shall stay, bring it to Git, or remove the fields there; if it shall be undone, whoever maintains tagboat.yaml can set `force: people` for the environment, and Tagboat takes the fields back."
	}
	return fault.E(fault.Denied, p.c.hint("refuses %s, because somebody else manages fields of it: %s. %s", name(ch.desired), strings.Join(held, "; "), out), cause)
}

// forced reports whether the run may take the fields from all who hold them.
func (p *plan) forced(holders []holder) bool {
	return p.run.Force == ForcePeople && !slices.ContainsFunc(holders, func(h holder) bool { return !h.isPerson() })
}

// agree reports whether people hold fields only beside us, at the very values that we have
// applied: whoever sets another one takes the field from us. Such an entry is what is left
// of an edit that was taken back, or was brought to Git, and claims nothing. Whoever
// applies the fields, as kubectl apply --server-side does, goes on wanting them.
func (p *plan) agree(live Metadata, holders []holder) bool {
	set, err := owned(live, p.manager())
	if err != nil {
		return false
	}
	ours := map[string]bool{}
	set.Iterate(func(path fieldpath.Path) { ours[strings.TrimPrefix(path.String(), ".")] = true })
	return !slices.ContainsFunc(holders, func(h holder) bool {
		applies := slices.ContainsFunc(live.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
			return e.Manager == h.manager && e.Operation == metav1.ManagedFieldsOperationApply
		})
		return applies || !h.isPerson() || slices.ContainsFunc(h.fields, func(field string) bool { return !ours[field] })
	})
}

// mayTouch refuses an object that is being deleted or belongs to another target, unless
// that one has let go of it.
func (p *plan) mayTouch(ctx context.Context, ch *change, live metav1.Object) error {
	if live.GetDeletionTimestamp() != nil {
		return p.stillDeleted(ch.desired)
	}
	key, installation := live.GetAnnotations()[TargetAnnotation], live.GetAnnotations()[InstallationAnnotation]
	if key == "" || p.ours(live) || key == p.run.Target.Key && installation == "" {
		return nil // what an earlier Tagboat has applied names no installation
	}
	if key == p.run.Target.Key {
		return fault.Errorf(fault.Denied, "%s in cluster %s belongs to %s, and two do not take turns: take the cluster out of one of them; or, where that one's database is lost, whoever runs this one starts it with TAGBOAT_INSTALLATION=%s, and it goes on with what that one has applied",
			name(ch.desired), p.c.name, p.run.Target.other(key, installation), installation)
	}
	letGo, err := p.takesOver(ctx, ch, key, installation)
	if err != nil || letGo {
		return err
	}
	if installation == p.run.Target.Installation && p.run.Target.LetGo != nil {
		return fault.Errorf(fault.Denied, "%s in cluster %s belongs to %s (this one is %q). Keep it in one overlay only; as soon as Git does not have it there any more, it is taken over as it is",
			name(ch.desired), p.c.name, p.run.Target.other(key, installation), p.run.Target.Key)
	}
	// The other one deletes what leaves its overlay unless it is kept, and who takes only the
	// marks away leaves its field manager there.
	release := mergePatch(ch, fmt.Sprintf(`{"metadata":{"annotations":{%q:null,%q:null,%q:null},"labels":{%q:null},"managedFields":[{}]}}`,
		TargetAnnotation, InstallationAnnotation, KeepAnnotation, TargetLabel))
	return fault.Errorf(fault.Denied, "%s in cluster %s belongs to %s (this one is %q). Keep it in one overlay only. To hand it over, annotate it in the cluster with %s: keep, take it out of the other overlay, and when that is synced: %s",
		name(ch.desired), p.c.name, p.run.Target.other(key, installation), p.run.Target.Key, KeepAnnotation, release)
}

func (p *plan) stillDeleted(o Object) error {
	return fault.Errorf(fault.Conflict, "%s in cluster %s is still being deleted; it is applied anew when it is gone", name(o), p.c.name)
}

// ours reports whether an object bears the target's marks.
func (p *plan) ours(live metav1.Object) bool {
	a := live.GetAnnotations()
	return a[TargetAnnotation] != "" && a[TargetAnnotation] == p.run.Target.Key && a[InstallationAnnotation] == p.run.Target.Installation
}

// classifyFieldConflict is for a conflict that nobody has looked into, as in a dry run.
func (c *Cluster) classifyFieldConflict(s metav1.Status, a action, err error) error {
	holders, _ := holdersOf(s)
	var held []string
	for _, h := range holders {
		held = append(held, h.String())
	}
	return fault.E(fault.Denied, c.hint("refuses %s, because somebody else manages fields of it: %s. Remove the fields from one of the two sides; Tagboat never takes them by force.",
		a.subject(), cmp.Or(strings.Join(held, "; "), s.Message)), err)
}
