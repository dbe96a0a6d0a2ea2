package cluster

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// trouble is what keeps a workload from becoming healthy.
type trouble struct {
	subject string // "pod api-5d4f-x2x", or "" for the workload itself
	reason  string // "ImagePullBackOff"
	message string // the cluster's; may be empty
	fatal   bool   // will hardly pass without a change of what was applied
}

func (t trouble) String() string {
	s := t.reason
	if t.subject != "" {
		s = t.subject + ": " + s
	}
	if t.message != "" {
		s += ": " + brief(t.message)
	}
	return s
}

// cannotStart are the reasons of a waiting container that hardly pass by
// themselves. (The kubelet's names: k8s.io/kubernetes pkg/kubelet/images/types.go
// and pkg/kubelet/kuberuntime.)
var cannotStart = map[string]bool{
	"ImagePullBackOff": true, "ErrImagePull": true, "InvalidImageName": true, "ErrImageNeverPull": true,
	crashLoop: true, "CreateContainerConfigError": true, "CreateContainerError": true, "RunContainerError": true,
}

const crashLoop = "CrashLoopBackOff"

// troubles are those of a workload's newest version: of the workload itself and
// of its pods. What is in hush is left out of what containers said: they may print
// what they got.
func troubles(live Object, newest []corev1.Pod, hush []string) (out []trouble) {
	if failure := condition(live, "ReplicaFailure"); failure.true() {
		// A quota, or admission that refuses the pods.
		out = append(out, trouble{reason: "its pods are refused (" + failure.reason + ")", message: failure.message, fatal: true})
	}
	for i := range newest {
		out = append(out, podTroubles(&newest[i], hush)...)
	}
	for i := range out { // which names Secrets and their keys, as what is missing
		out[i].message = told(out[i].message, true, hush)
	}
	return out
}

func podTroubles(pod *corev1.Pod, hush []string) (out []trouble) {
	subject := "pod " + pod.Name
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if t, ok := containerTrouble(s, hush); ok {
			t.subject = subject
			out = append(out, t)
		}
	}
	for _, cond := range pod.Status.Conditions {
		if cond.Type == corev1.PodScheduled && cond.Status == corev1.ConditionFalse {
			// Not fatal: a cluster may get another node within minutes.
			out = append(out, trouble{subject, "no node takes it (" + cond.Reason + ")", cond.Message, false})
		}
	}
	if len(out) == 0 && pod.Status.Phase == corev1.PodFailed {
		reason := "it failed"
		if pod.Status.Reason != "" { // evicted, for one
			reason += " (" + pod.Status.Reason + ")"
		}
		out = append(out, trouble{subject, reason, pod.Status.Message, false})
	}
	if len(out) == 0 {
		for _, s := range pod.Status.ContainerStatuses {
			if s.State.Running != nil && !s.Ready {
				out = append(out, trouble{subject: subject, reason: "container " + s.Name + " runs, but is not ready"})
			}
		}
	}
	return out
}

// containerTrouble is what is wrong with one container, and how it ended last.
func containerTrouble(s corev1.ContainerStatus, hush []string) (trouble, bool) {
	waiting, last := s.State.Waiting, s.LastTerminationState.Terminated
	switch {
	case waiting != nil && cannotStart[waiting.Reason] && last != nil:
		message := "container " + s.Name
		if waiting.Reason != crashLoop && waiting.Message != "" { // of a loop it says how long the next start is put off
			message += ": " + waiting.Message + "; before that it"
		}
		return trouble{reason: waiting.Reason, message: message + " " + ending(last, s.RestartCount, hush), fatal: true}, true
	case waiting != nil && cannotStart[waiting.Reason]:
		return trouble{reason: waiting.Reason, message: waiting.Message, fatal: true}, true
	case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
		return trouble{reason: "container " + s.Name + " " + ending(s.State.Terminated, s.RestartCount, hush)}, true
	case s.State.Running != nil && !s.Ready && last != nil && last.ExitCode != 0:
		// Between two crashes of a loop.
		return trouble{reason: "container " + s.Name + " was started again", message: "it " + ending(last, s.RestartCount, hush)}, true
	}
	return trouble{}, false
}

// manyRestarts is from where on restarts are neither counted nor dated: a loop that goes
// on for days would be told anew every few minutes.
const manyRestarts = 10

// ending is how a container ended, for people: "ended with exit code 1 at 2026-01-02
// 15:04:05 UTC, restarted 3 times: its last words".
func ending(t *corev1.ContainerStateTerminated, restarts int32, hush []string) string {
	s := fmt.Sprintf("ended with exit code %d", t.ExitCode)
	switch {
	case t.Reason == "OOMKilled":
		s = "was killed because it took more memory than it may (OOMKilled)"
	case t.Reason != "" && t.Reason != "Error":
		s += " (" + t.Reason + ")"
	}
	if !t.FinishedAt.IsZero() && restarts <= manyRestarts {
		s += " at " + t.FinishedAt.UTC().Format("2006-01-02 15:04:05 MST")
	}
	switch {
	case restarts > manyRestarts:
		s += fmt.Sprintf(", restarted more than %d times", manyRestarts)
	case restarts > 1:
		s += fmt.Sprintf(", restarted %d times", restarts)
	case restarts == 1:
		s += ", restarted once"
	}
	if words := lastWords(t.Message, hush); words != "" {
		s += ": " + words
	}
	return s
}

const (
	maxBrief = 300 // runes of one message; pull requests show some hundreds of a reason
	maxWords = 160 // runes of what a container said last
	maxNamed = 3   // objects that a reason tells of
)

// brief is a message on one line, and not longer than people read.
func brief(s string) string {
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) <= maxBrief {
		return string(runes)
	}
	return string(runes[:maxBrief-1]) + "…"
}

// lastWords are the end of a termination message. It may be the end of a log, whose last
// line tells most, and which may have a secret in it.
func lastWords(s string, hush []string) string {
	for _, secret := range hush {
		s = strings.ReplaceAll(s, secret, "***")
	}
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > maxWords {
		runes = append([]rune{'…'}, runes[len(runes)-maxWords+1:]...)
	}
	return told(string(runes), false, nil)
}

// some are the first of several texts, and how many more there are.
func some(texts []string) string {
	if more := len(texts) - maxNamed; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(texts[:maxNamed], "; "), more)
	}
	return strings.Join(texts, "; ")
}
