package cluster

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What controllers say every day is told as it is: leaving it out would hide what is wrong.
func TestWhatControllersSayOfSecretsIsTold(t *testing.T) {
	for _, said := range []string{
		"Issuing certificate as Secret does not exist",
		"DoesNotExist: Issuing certificate as Secret does not exist",
		"SecretSyncedError: could not get secret data from provider",
		"Available: 0/1", "Replicas: 1/3",
		"failed to find secret: secrets \"login\" not found",
	} {
		if got := told(said, true, nil); got != said {
			t.Errorf("%q is told as %q", said, got)
		}
	}
}

// A program that prints its settings prints lines of a file, and values alone.
func TestAFileThatWasEncryptedIsHushedInParts(t *testing.T) {
	o := Object(&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "payments-login"},
		"type": "kubernetes.io/basic-auth", "data": map[string]any{"settings": "dXNlcjogbWUKcGFzc3dvcmQ6ICJodW50ZXIyaHVudGVyMiIK"}}})
	held := hushOf(nil, []Object{o})
	for _, want := range []string{"hunter2hunter2", "user: me"} {
		if !slices.Contains(held, want) {
			t.Errorf("%q is not among %q", want, held)
		}
	}
	for _, never := range []string{"payments-login", "kubernetes.io/basic-auth", "Secret"} {
		if slices.Contains(held, never) {
			t.Errorf("%q is no secret", never)
		}
	}
}
