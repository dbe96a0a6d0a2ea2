package promotion

import (
	"maps"
	"slices"
)

// afterMerge follows a merged promotion until its clusters are healthy with it,
// and tells people how they took it. A failure is told, and watched on: the next
// sync may mend it.
func afterMerge(f Facts, render func([]Gate) Shown) Decision {
	d := Decision{Effect: Rest, Outcome: outcome(f)}
	if !f.Reported.BranchDeleted {
		d.Effect = DeleteBranch
		return d
	}
	if f.Overtaken && d.Outcome != Success {
		return overtaken(f, d)
	}
	if tellsDeployment(f, &d) {
		return d
	}
	away := unserved(f)
	if d.Outcome == Pending && !soaks(f) && !measured(f) && !away {
		return d
	}
	d.Status = commitStatus(d.Outcome)
	if d.Outcome == Pending && away && f.Reported.CommitStatus == StatusFailure {
		d.Status = StatusFailure // what has failed was not tried again since
	}
	switch {
	case tellsCommit(f, d.Status):
		d.Effect = SetCommitStatus
	case f.Reported.CommentHash != render(nil).CommentHash:
		d.Effect = PublishComment
	case takesBack(f, d.Outcome):
		d.Effect = TakeBack
	case d.Outcome == Success:
		d.Effect = RecordDeployed
	}
	return d
}

// overtaken ends a promotion that gives way to a newer one: GitHub does not go on
// showing that something is under way.
func overtaken(f Facts, d Decision) Decision {
	for _, cluster := range slices.Sorted(maps.Keys(f.Reported.Deployments)) {
		if f.Reported.Deployments[cluster] == Pending {
			d.Effect, d.Cluster, d.Took = UpdateDeployment, cluster, Left
			return d
		}
	}
	d.Effect = RecordOvertaken
	if f.Reported.CommitStatus == StatusPending {
		d.Effect, d.Status = SetCommitStatus, StatusLeft
	}
	return d
}

// tellsDeployment names the next cluster whose deployment does not say how it took the
// promotion. Each is told as soon as it has come to an end, whatever the others do; one
// that joins later gets a deployment of its own, and that of one that is gone is ended.
func tellsDeployment(f Facts, d *Decision) bool {
	there := map[string]bool{}
	for _, t := range f.Targets {
		there[t.Cluster] = true
		last, made := f.Reported.Deployments[t.Cluster]
		if !made {
			d.Effect, d.Cluster = CreateDeployment, t.Cluster
			return true
		}
		if is := t.took(f); is != Pending && is != last {
			d.Effect, d.Cluster, d.Took = UpdateDeployment, t.Cluster, is
			return true
		}
	}
	for _, cluster := range slices.Sorted(maps.Keys(f.Reported.Deployments)) {
		if !there[cluster] && f.Reported.Deployments[cluster] != Left {
			d.Effect, d.Cluster, d.Took = UpdateDeployment, cluster, Left
			return true
		}
	}
	return false
}

// tellsCommit reports whether the merge commit's status says something else.
func tellsCommit(f Facts, want CommitStatus) bool {
	return f.Reported.CommitStatus != want && f.Reported.CommitStatus != StatusRefused
}

func commitStatus(o Outcome) CommitStatus {
	switch o {
	case Success:
		return StatusSuccess
	case Failure:
		return StatusFailure
	}
	return StatusPending
}

// outcome is how the clusters took it whose turn it was. Those that wait for them have
// taken it in no way: without a failure they are still to come, and with one they may
// never be.
func outcome(f Facts) Outcome {
	if len(f.Targets) == 0 {
		return Pending
	}
	result, waits := Success, false
	for _, t := range f.Targets {
		switch is := t.took(f); {
		case t.waits(f):
			waits = true
		case is == Pending:
			return Pending
		case is == Failure:
			result = Failure
		}
	}
	if waits && result == Success {
		return Pending
	}
	return result
}

// took is how one cluster took it.
func (t Target) took(f Facts) Outcome {
	switch {
	case t.waits(f), !t.Settled, t.Healthy && t.Digest != f.Artifact.Digest:
		return Pending
	case !t.Healthy:
		return Failure
	}
	return Success
}

// waits reports whether a cluster waits for its turn to get the artifact, or for a process
// that serves it at all.
func (t Target) waits(f Facts) bool {
	return t.Held && t.Digest != f.Artifact.Digest || t.Unserved && !t.Settled
}

// unserved reports whether a cluster waits for a process, which people have to know: that
// may not end by itself.
func unserved(f Facts) bool {
	return slices.ContainsFunc(f.Targets, func(t Target) bool { return t.Unserved && !t.Settled })
}

// measured reports whether a cluster waits for what is measured there, which may take
// long and need people: they are told.
func measured(f Facts) bool {
	return slices.ContainsFunc(f.Targets, func(t Target) bool { return t.Measuring && t.Digest == f.Artifact.Digest })
}

// soaks reports whether nothing is waited for but time: those whose turn it was are
// healthy with it, and have to stay so for a while before the next wave.
func soaks(f Facts) bool {
	waits := false
	for _, t := range f.Targets {
		switch {
		case t.waits(f) && !t.Until.IsZero():
			waits = true
		case t.waits(f) || !t.Settled || !t.Healthy || t.Digest != f.Artifact.Digest:
			return false
		}
	}
	return waits
}
