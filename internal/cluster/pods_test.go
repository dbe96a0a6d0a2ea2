package cluster_test

import (
	"context"
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var podsResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// endPodsWith plays the kubelet: it waits for a pod of the Job, and ends it.
func (s *site) endPodsWith(job, status string) {
	eventually(s.t, "a running pod of "+job, func(ctx context.Context) bool {
		pods, err := s.others.Resource(podsResource).Namespace(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job})
		if err != nil || len(pods.Items) == 0 {
			return false
		}
		if phase, _, _ := unstructured.NestedString(pods.Items[0].Object, "status", "phase"); phase != "Running" {
			return false
		}
		_, err = s.others.Resource(podsResource).Namespace(s.namespace).Patch(ctx, pods.Items[0].GetName(), types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status")
		return err == nil
	})
}

func (s *site) failPodsOf(job, message string) {
	quoted, err := json.Marshal(message)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.endPodsWith(job, `{"status":{"phase":"Failed","containerStatuses":[{"name":"c","image":"x","imageID":"","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":3,"reason":"Error","message":`+string(quoted)+`}}}]}}`)
}

func (s *site) endPodsOf(job string) {
	s.endPodsWith(job, `{"status":{"phase":"Succeeded","containerStatuses":[{"name":"c","image":"x","imageID":"","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}}`)
}

func eventuallyGone(t *testing.T, s *site, job string) {
	t.Helper()
	eventually(t, "Job "+job+" to be gone", func(context.Context) bool { return s.get(jobs, job) == nil })
}
