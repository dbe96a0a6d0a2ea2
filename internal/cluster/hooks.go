package cluster

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
)

// A hook is a Job that runs once for each content of its target: whenever anything of
// the target changes, and never again for the same. A commit that changes nothing here
// runs none, and neither does the healing of an object that somebody has changed. When
// it is due, the Job of the last time is deleted, and this one made and waited for. One
// that has failed is not run again for the same content.
//
// Pre-sync hooks run before anything of the set is written but namespaces and
// definitions, so what they read has to be there: a ConfigMap that a hook needs with
// this very commit's content is annotated as a pre-sync hook, too. That is how it is in
// Argo CD and in Helm, and a hook that fails has changed nothing that runs.

const (
	// HookRunAnnotation is on a hook's Job: a keyed hash of the content that it runs for.
	HookRunAnnotation = "tagboat.dev/hook-run"
	// CommitAnnotation is on a hook's Job: the first commit with that content.
	CommitAnnotation = "tagboat.dev/commit"
)

// content is a keyed hash of all that is rendered for the target.
func (p *plan) content() (string, error) {
	if p.contentHash != "" {
		return p.contentHash, nil
	}
	var texts []string
	for _, o := range p.run.Objects {
		text, err := json.Marshal(o.Object)
		if err != nil {
			return "", fmt.Errorf("write %s as JSON: %w", name(o), err)
		}
		texts = append(texts, string(text))
	}
	slices.Sort(texts)
	mac := hmac.New(sha256.New, p.run.HashKey)
	for _, text := range texts {
		fmt.Fprintf(mac, "%d\n%s", len(text), text)
	}
	p.contentHash = hex.EncodeToString(mac.Sum(nil))[:32]
	return p.contentHash, nil
}

// haveRun reports whether there is nothing but hooks, which have run for this content.
func (p *plan) haveRun() bool {
	for _, ch := range p.changes {
		if !ch.hook {
			return false
		}
		if ch.desired.GetNamespace() == "" { // a Job has one
			ch.desired.SetNamespace(p.run.Target.Namespace)
		}
		entry := p.entries[idOf(ch.desired)]
		same := false
		if p.encodeOne(ch, entry) == nil {
			same = entry.State == Written && entry.Hash == ch.hash
		}
		ch.meta, ch.rest = nil, nil
		if !same {
			return false
		}
	}
	return true
}

// tryHook tries the Job that is going to be made. It takes the place of the last one,
// so it is tried under another name.
func (p *plan) tryHook(ctx context.Context, ch *change) error {
	if ch.seen != nil && p.isThisRun(ch.seen, ch) {
		ch.would, ch.exists = ch.seen, true
		return nil
	}
	if err := p.tryElsewhere(ctx, ch); err != nil {
		if status, answered := statusOf(err); answered && status.Code == 404 && p.comes(err) {
			ch.waitsFor = err
			return nil
		}
		return p.c.classify(err, action{"apply", ch.desired})
	}
	ch.would, ch.exists = ch.seen, ch.seen != nil
	if ch.would == nil {
		ch.would, ch.isNew = &metav1.PartialObjectMetadata{}, true
	}
	return nil
}

func (p *plan) isThisRun(live Metadata, ch *change) bool {
	return live.Annotations[HookRunAnnotation] == ch.desired.GetAnnotations()[HookRunAnnotation]
}

// madeHook is the uid of the Job that a run which has not come to its end has made for
// this very content; "" where none has, or where it was told that the Job had failed.
func (p *plan) madeHook(ch *change) string {
	if e := p.entries[idOf(ch.desired)]; e.State == Intended && e.Hash == ch.hash {
		return e.UID
	}
	return ""
}

// noteHook has the ledger know the Job that is waited for. If this run ends before the
// Job does, the Job may be done and gone by itself when the next one looks.
func (p *plan) noteHook(ctx context.Context, ch *change, made types.UID) error {
	ch.made = made
	e := p.entryOf(ch, Intended)
	e.UID = string(made)
	return p.keep(ctx, []Entry{e})
}

// runHook makes a hook's Job, unless it is there already, and waits until it is done.
func (p *plan) runHook(ctx context.Context, ch *change) error {
	if made := cmp.Or(string(ch.made), p.madeHook(ch)); made != "" && !ch.exists && finishes(ch.desired) {
		ch.done, ch.outcome = ch.applied(nil), Unchanged
		ch.entry = p.entryOf(ch, Written)
		ch.entry.UID = made
		return nil
	}
	is := ch.seen
	if is == nil || !p.isThisRun(is, ch) {
		var err error
		if is, err = p.makeHook(ctx, ch); err != nil {
			return err
		}
	}
	if err := p.noteHook(ctx, ch, is.UID); err != nil {
		return err
	}
	ch.seen = is
	job := ch.applied(is)
	health, err := p.await(ctx, []Object{job}, p.patience())
	if err != nil {
		return err
	}
	if !health.Healthy && !p.complete(ctx, ch) {
		// What is gone after this has not run, however it went.
		if err := p.noteHook(ctx, ch, ""); err != nil {
			return err
		}
		return fault.E(fault.Invalid, p.c.hint("ran the %s hook %s for this content, and it did not succeed: %s.%s It is not run again for the same content: mend it in Git; or delete the Job in the cluster, and the next attempt runs it once more.",
			hookName(ch), name(ch.desired), strings.TrimSuffix(health.Reason, "."), p.lastWords(ctx, job)), ErrUnhealthy)
	}
	ch.finished(p, is)
	if ch.isNew {
		ch.outcome = Created
	}
	return nil
}

// complete reports whether a Job has done its work, though it may be on its way out by
// its time to live already.
func (p *plan) complete(ctx context.Context, ch *change) bool {
	live, err := ch.whatIsThere(ctx)
	return err == nil && live.GetUID() == uidOf(ch.seen) && condition(live, "Complete").true()
}

// finishes reports whether an object goes away by itself once it has done its work.
func finishes(o Object) bool {
	_, ttl, _ := unstructured.NestedInt64(o.Object, "spec", "ttlSecondsAfterFinished")
	return ttl && o.GroupVersionKind().GroupKind().String() == "Job.batch"
}

func hookName(ch *change) string {
	switch ch.step.phase {
	case preSync:
		return "pre-sync"
	case postSync:
		return "post-sync"
	}
	return "sync"
}

func (p *plan) makeHook(ctx context.Context, ch *change) (Metadata, error) {
	if ch.exists {
		if err := p.remove(ctx, ch); err != nil {
			return nil, err
		}
	}
	is, err := ch.light.Patch(ctx, ch.desired.GetName(), types.ApplyPatchType, ch.body("", newOnly), p.patchOptions(false, false))
	if err == nil {
		ch.seen = is
		return is, nil
	}
	if !hasChanged(err) && !passing(err) && !isFieldConflict(err) {
		return nil, p.c.classify(err, action{"run the hook", ch.desired})
	}
	// A Job is there that was not: ours, if the answer was lost; or somebody's.
	live, readErr := p.read(ctx, ch)
	if readErr != nil {
		return nil, p.c.classify(err, action{"run the hook", ch.desired})
	}
	if err := p.mayTouch(ctx, ch, live); err != nil {
		return nil, err
	}
	if ch.former != "" { // that of the target which it is taken over from makes room, too
		ch.would, ch.exists, ch.former = live, true, ""
		return p.makeHook(ctx, ch)
	}
	if !p.ours(live) {
		return nil, fault.Errorf(fault.Denied, "%s is in cluster %s already, and is not Tagboat's: rename the hook, or remove that Job", name(ch.desired), p.c.name)
	}
	ch.seen, ch.would, ch.exists = live, live, true
	if !p.isThisRun(live, ch) {
		return nil, fault.Errorf(fault.Conflict, "%s in cluster %s has just been made for another content; it is looked at again", name(ch.desired), p.c.name)
	}
	return live, nil
}

// lastWords are what the newest pod of a hook said at its end, as a sentence.
func (p *plan) lastWords(ctx context.Context, job Object) string {
	pods, err := list[corev1.Pod](ctx, p.c, podResource, job.GetNamespace(), "batch.kubernetes.io/job-name="+job.GetName())
	if err != nil {
		return "" // what is known without them is told
	}
	pods = slices.DeleteFunc(pods, func(pod corev1.Pod) bool { return !ownedBy(&pod, job.GetUID()) })
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	for i := range pods {
		for _, s := range slices.Concat(pods[i].Status.InitContainerStatuses, pods[i].Status.ContainerStatuses) {
			end := s.State.Terminated
			if end == nil || end.ExitCode == 0 {
				continue
			}
			said := strings.TrimSuffix(cmp.Or(strings.TrimSpace(end.Message), end.Reason, "nothing"), ".")
			said = told(said, false, hushOf(p.run.Objects, p.run.Target.Secret))
			return fmt.Sprintf(" Container %s of pod %s ended with code %d and said: %s.", s.Name, pods[i].Name, end.ExitCode, said)
		}
	}
	return ""
}
