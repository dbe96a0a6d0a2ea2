package cluster

import (
	"cmp"
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Status is how far the controllers are with an object.
type Status string

const (
	Current    Status = "current"     // the cluster is as the object says
	InProgress Status = "in progress" // not yet
	Failed     Status = "failed"      // it will not come by itself
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

// healthOf judges an object by its own content, by the rules of kstatus: a
// controller must have seen this generation, and its conditions must say that it
// is done. Two kinds are judged otherwise:
//
//   - A Job is done when it is complete; kstatus is content when it runs.
//   - A PersistentVolumeClaim may wait for its first consumer, so an unbound one
//     is no fault; the pods that need it tell.
func healthOf(live Object) ObjectHealth {
	h := ObjectHealth{Kind: live.GetKind(), Namespace: live.GetNamespace(), Name: live.GetName()}
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
	case status.TerminatingStatus:
		h.Status, h.Message = Failed, "it is being deleted"
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
	case "PersistentVolumeClaim":
		phase, _, _ := unstructured.NestedString(live.Object, "status", "phase")
		switch {
		case phase == "Lost":
			h.Status, h.Message = Failed, "its volume is lost"
		case h.Status == InProgress:
			h.Status, h.Message = Current, ""
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
