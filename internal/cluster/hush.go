package cluster

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
)

// hush is the API of an object whose values nobody may read. The API server quotes what
// it refuses, whole templates among it; so of a refused write only the names of fields
// come through, whatever reads the error later. Reads send no values, and are answered
// with what is wrong with the reading.
type hush struct{ dynamic.ResourceInterface }

// Patch implements dynamic.ResourceInterface.
func (h hush) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, o metav1.PatchOptions, subresources ...string) (Object, error) {
	answer, err := h.ResourceInterface.Patch(ctx, name, kind, data, o, subresources...)
	return answer, hushed(err)
}

// Create implements dynamic.ResourceInterface.
func (h hush) Create(ctx context.Context, object Object, o metav1.CreateOptions, subresources ...string) (Object, error) {
	answer, err := h.ResourceInterface.Create(ctx, object, o, subresources...)
	return answer, hushed(err)
}

// lightHush is hush for an API that answers with metadata.
type lightHush struct{ metadata.ResourceInterface }

// Patch implements metadata.ResourceInterface.
func (h lightHush) Patch(ctx context.Context, name string, kind types.PatchType, data []byte, o metav1.PatchOptions, subresources ...string) (Metadata, error) {
	answer, err := h.ResourceInterface.Patch(ctx, name, kind, data, o, subresources...)
	return answer, hushed(err)
}

func hushed(err error) error {
	status, answered := statusOf(err)
	if !answered {
		return err
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
	quiet := withoutValues(status)
	if invalid { // a code of 500 otherwise, which would be tried again for ever
		status, _ = statusOf(quiet)
		status.Message = notOfItsSchema + ": " + status.Message
		return statusError(status)
	}
	return quiet
}
