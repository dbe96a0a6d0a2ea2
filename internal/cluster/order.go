package cluster

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

const (
	// WaveAnnotation puts an object into a wave, a whole number ("0" without it): a wave
	// is written when all of the waves before it are current. Argo CD's annotation is
	// read, too.
	WaveAnnotation = "tagboat.dev/wave"
	argoWave       = "argocd.argoproj.io/sync-wave"
	helmWeight     = "helm.sh/hook-weight" // of hooks among each other

	// HookAnnotation makes an object a hook: "pre-sync" or "post-sync". Those of Argo CD
	// and Helm are read, too (see hookOf).
	HookAnnotation = "tagboat.dev/hook"
	argoHook       = "argocd.argoproj.io/hook"
	helmHook       = "helm.sh/hook"
)

// phase is the coarsest part of the order.
type phase int

const (
	ground   phase = iota // what other objects cannot exist without, whatever its wave
	preSync               // hooks before anything else of the set is written
	inSync                // the set
	postSync              // hooks after the set is healthy: see ApplyPostSync
)

// step is one part of an apply: its objects are written side by side, and all of them
// before the next step begins.
type step struct {
	phase phase
	wave  int
	stage stage
}

func compareSteps(a, b step) int {
	return cmp.Or(cmp.Compare(a.phase, b.phase), cmp.Compare(a.wave, b.wave), cmp.Compare(a.stage, b.stage))
}

// stepOf is when an object is written. applies is false for hooks of occasions that do
// not exist here, such as Helm's tests: they are left out.
func stepOf(o Object) (s step, hook, applies bool, err error) {
	s = step{phase: inSync, stage: stageOf(o)}
	kind, applies, err := hookOf(o)
	if err != nil || !applies {
		return s, false, applies, err
	}
	s.wave, err = waveOf(o, kind != "")
	if err != nil {
		return s, false, true, err
	}
	switch kind {
	case "pre-sync":
		s.phase = preSync
	case "post-sync":
		s.phase = postSync
	}
	if s.phase == inSync && s.stage == foundations {
		s.phase, s.wave = ground, 0
	}
	hook = kind != "" && o.GroupVersionKind().GroupKind().String() == "Job.batch"
	if hook && s.phase == inSync {
		s.stage = jobs
	}
	return s, hook, true, nil
}

func waveOf(o Object, hook bool) (int, error) {
	keys := []string{WaveAnnotation, argoWave}
	if hook {
		keys = append(keys, helmWeight)
	}
	for _, key := range keys {
		text, ok := o.GetAnnotations()[key]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return 0, fault.Errorf(fault.Invalid, "the annotation %s of %s is %q, which is not a whole number such as \"-1\" or \"2\"", key, name(o), text)
		}
		return n, nil
	}
	return 0, nil
}

// hookOf says what kind of hook an object is, "" for none: "pre-sync", "sync" or
// "post-sync". Helm installs and upgrades are both a sync; an object that is a hook
// before and after is taken for the earlier one.
func hookOf(o Object) (kind string, applies bool, err error) {
	annotations := o.GetAnnotations()
	if text, ok := annotations[HookAnnotation]; ok {
		if text != "pre-sync" && text != "post-sync" {
			return "", false, fault.Errorf(fault.Invalid, "the annotation %s of %s is %q; it may be pre-sync or post-sync", HookAnnotation, name(o), text)
		}
		return text, true, nil
	}
	if text, ok := annotations[argoHook]; ok {
		return firstHook(text, map[string]string{"PreSync": "pre-sync", "Sync": "sync", "PostSync": "post-sync"})
	}
	if text, ok := annotations[helmHook]; ok {
		return firstHook(text, map[string]string{"pre-install": "pre-sync", "pre-upgrade": "pre-sync", "post-install": "post-sync", "post-upgrade": "post-sync"})
	}
	return "", true, nil
}

func firstHook(text string, kinds map[string]string) (kind string, applies bool, _ error) {
	var found []string
	for word := range strings.SplitSeq(text, ",") {
		if kind := kinds[strings.TrimSpace(word)]; kind != "" {
			found = append(found, kind)
		}
	}
	for _, kind := range []string{"pre-sync", "sync", "post-sync"} {
		if slices.Contains(found, kind) {
			return kind, true, nil
		}
	}
	return "", false, nil
}
