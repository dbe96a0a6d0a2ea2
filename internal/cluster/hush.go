package cluster

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// hush is the API of an object whose values nobody may read. The API server quotes what
// it refuses, whole templates among it; so of a refused write only the names of fields
// come through, whatever reads the error later. Reads send no values, and are answered
// with what is wrong with the reading.
type hush struct{ dynamic.ResourceInterface }

// Patch implements dynamic.ResourceInterface.
func (h hush) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, o metav1.PatchOptions, subresources ...string) (Object, error) {
	answer, err := h.ResourceInterface.Patch(ctx, name, kind, data, o, subresources...)
	status, answered := statusOf(err)
	if !answered {
		return answer, err
	}
	invalid := strings.Contains(status.Message, notOfItsSchema)
	if d := status.Details; d != nil {
		d = d.DeepCopy() // who else manages a field is said without its value
		for i, cause := range d.Causes {
			if cause.Type != metav1.CauseTypeFieldManagerConflict {
				d.Causes[i].Message = "refused"
			}
		}
		status.Details = d
	}
	hushed := withoutValues(status)
	if invalid { // a code of 500 otherwise, which would be tried again for ever
		status, _ = statusOf(hushed)
		status.Message = notOfItsSchema + ": " + status.Message
		return answer, statusError(status)
	}
	return answer, hushed
}
