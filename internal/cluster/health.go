package cluster

import (
	"cmp"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tagboat/tagboat/internal/health"
)

// Status is how far the controllers are with an object.
type Status = health.Status

// What a Status can be.
const (
	Current    = health.Current
	InProgress = health.InProgress
	Failed     = health.Failed
)

// ObjectHealth is the health of one object.
type ObjectHealth struct {
	Kind      string
	Namespace string // "" for a cluster-wide object
	Name      string
	Status    Status
	Message   string // for a person; empty where there is nothing to say
}

// String is "Deployment payments/api: 1 of 3 replicas ready".
func (h ObjectHealth) String() string {
	where := h.Name
	if h.Namespace != "" {
		where = h.Namespace + "/" + h.Name
	}
	return fmt.Sprintf("%s %s: %s", h.Kind, where, cmp.Or(h.Message, string(h.Status)))
}

// healthOf judges an object by its own content, whose words its message is, as long and
// as indiscreet as they are (see wait.discreet). It goes by the first of the sets of rules that
// has one for its kind, else by those of kstatus, by which a controller must have seen
// this generation, and its conditions must say that it is done. Some are judged
// otherwise than there:
//
//   - A Job is done when it is complete; kstatus is content when it runs.
//   - A PersistentVolumeClaim may wait for its first consumer, so an unbound one
//     is no fault; the pods that need it tell.
//   - What says Synced=False is not there yet, however Ready: what is ready is what was
//     there before. (Crossplane, whose groups are as many as its providers.)
func healthOf(live Object, sets ...*health.Rules) ObjectHealth {
	h := ObjectHealth{Kind: live.GetKind(), Namespace: live.GetNamespace(), Name: live.GetName()}
	if live.GetDeletionTimestamp() != nil {
		h.Status, h.Message = Failed, "it is being deleted"
		return h
	}
	for _, rules := range sets {
		if v, ok := rules.Judge(live); ok {
			h.Status, h.Message = v.Status, v.Message
			return h
		}
	}
	result, err := status.Compute(live)
	if err != nil {
		h.Status, h.Message = InProgress, fmt.Sprintf("its status cannot be read: %v", err)
		return h
	}
	switch result.Status {
	case status.CurrentStatus:
		h.Status = Current
	case status.FailedStatus:
		h.Status, h.Message = Failed, result.Message
	default:
		h.Status, h.Message = InProgress, result.Message
	}
	return adjusted(h, live)
}

func adjusted(h ObjectHealth, live Object) ObjectHealth {
	switch live.GroupVersionKind().GroupKind().String() {
	case "Job.batch":
		suspended, _, _ := unstructured.NestedBool(live.Object, "spec", "suspend")
		if h.Status == Current && !suspended && !condition(live, "Complete").true() {
			h.Status, h.Message = InProgress, "it is running"
		}
		if failed := condition(live, "Failed"); failed.true() {
			h.Message = fmt.Sprintf("it failed: %s: %s", failed.reason, failed.message)
		}
	case "Deployment.apps":
		if stalled := condition(live, "Progressing"); h.Status == Failed && stalled.reason == "ProgressDeadlineExceeded" {
			h.Message = "its rollout got no further within its progressDeadlineSeconds: " + stalled.message
		}
	case "PersistentVolumeClaim":
		phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
		switch {
		case phase == "Lost":
			h.Status, h.Message = Failed, "its volume is lost"
		case h.Status == InProgress:
			h.Status, h.Message = Current, ""
		}
	default:
		if synced := condition(live, "Synced"); h.Status == Current && synced.status == "False" {
			h.Status, h.Message = InProgress, fmt.Sprintf("%s: %s", synced.reason, synced.message)
		}
	}
	return h
}

// liveCondition is one entry of status.conditions.
type liveCondition struct{ status, reason, message string }

func (c liveCondition) true() bool { return c.status == "True" }

func condition(o Object, kind string) liveCondition {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, entry := range conditions {
		c, ok := entry.(map[string]any)
		if !ok || c["type"] != kind {
			continue
		}
		text := func(key string) string { s, _ := c[key].(string); return s }
		return liveCondition{text("status"), text("reason"), text("message")}
	}
	return liveCondition{}
}
