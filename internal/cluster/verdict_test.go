package cluster

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The world around a prune is asked in prune_test.go; this is the judgement alone.
func TestTheVerdictOnAnObject(t *testing.T) {
	ours := Target{Key: "acme/env payments prod", Installation: "one"}
	manages := func(manager string, operation metav1.ManagedFieldsOperationType) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, APIVersion: "v1", FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`)}
	}
	annotate := func(key, value string) func(Metadata) {
		return func(o Metadata) { o.Annotations[key] = value }
	}
	alsoManagedBy := func(manager string, operation metav1.ManagedFieldsOperationType) func(Metadata) {
		return func(o Metadata) { o.ManagedFields = append(o.ManagedFields, manages(manager, operation)) }
	}
	yes := true
	for name, c := range map[string]struct {
		change func(Metadata)
		want   verdict
		why    string
	}{
		"ours":                                 {func(Metadata) {}, mayGo, ""},
		"edited by a person":                   {alsoManagedBy("kubectl-edit", metav1.ManagedFieldsOperationUpdate), mayGo, ""},
		"another object of the name":           {func(o Metadata) { o.UID = "u2" }, isGone, "another object"},
		"being deleted":                        {func(o Metadata) { o.DeletionTimestamp = &metav1.Time{} }, isGoing, "being deleted"},
		"held by a finalizer":                  {func(o Metadata) { o.DeletionTimestamp, o.Finalizers = &metav1.Time{}, []string{"example.com/slow"} }, isGoing, "example.com/slow"},
		"another target's":                     {annotate(TargetAnnotation, "acme/env catalog prod"), isForeign, `another target, "acme/env catalog prod"`},
		"another installation's":               {annotate(InstallationAnnotation, "two"), isForeign, "another installation of Tagboat, two"},
		"without annotations":                  {func(o Metadata) { o.Annotations = nil }, isKept, TargetAnnotation},
		"without the label":                    {func(o Metadata) { o.Labels = nil }, isKept, TargetLabel},
		"with our marks alone":                 {func(o Metadata) { o.ManagedFields = nil }, isKept, "copied its marks"},
		"kept":                                 {annotate(KeepAnnotation, "keep"), isKept, KeepAnnotation},
		"kept, for a reason that is not known": {annotate(KeepAnnotation, "perhaps"), mayGo, ""},
		"kept for Flux":                        {annotate("kustomize.toolkit.fluxcd.io/prune", "disabled"), isKept, "kustomize.toolkit.fluxcd.io/prune"},
		"kept for Argo CD":                     {annotate("argocd.argoproj.io/sync-options", "Replace=true, Prune=false"), isKept, "Prune=false"},
		"kept for Helm":                        {annotate("helm.sh/resource-policy", "keep"), isKept, "helm.sh/resource-policy"},
		"made by a controller": {func(o Metadata) {
			o.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "nightly", Controller: &yes}}
		}, isKept, "CronJob nightly"},
		"only owned":             {func(o Metadata) { o.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "nightly"}} }, mayGo, ""},
		"tracked by Argo CD":     {annotate("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:shop/web"), isKept, "Argo CD"},
		"labelled by Flux":       {func(o Metadata) { o.Labels["kustomize.toolkit.fluxcd.io/name"] = "shop" }, isKept, "Flux"},
		"applied by Argo CD":     {alsoManagedBy("argocd-controller", metav1.ManagedFieldsOperationApply), isKept, `Argo CD, too: the field manager "argocd-controller"`},
		"applied by two targets": {alsoManagedBy(Target{Key: "x"}.FieldManager(), metav1.ManagedFieldsOperationApply), isKept, "another target"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "u1",
				Annotations:   map[string]string{TargetAnnotation: ours.Key, InstallationAnnotation: ours.Installation},
				Labels:        map[string]string{TargetLabel: ours.Label()},
				ManagedFields: []metav1.ManagedFieldsEntry{manages(ours.FieldManager(), metav1.ManagedFieldsOperationApply)}}}
			c.change(o)
			v, why := ours.judge(Entry{UID: "u1"}, o)
			if v != c.want || !strings.Contains(why, c.why) || c.why == "" && why != "" {
				t.Errorf("%d, %q; want %d, %q", v, why, c.want, c.why)
			}
		})
	}
	if v, why := ours.judge(Entry{UID: "u1"}, nil); v != isGone || why != "" {
		t.Errorf("nothing: %d, %q", v, why)
	}
}
