package worker

import (
	"context"
	"errors"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

// mayBeContested reports whether people may hold fields of what an attempt brings: it was
// refused, and not to ask a person.
func mayBeContested(err error) bool {
	_, asks := errors.AsType[*cluster.Unadopted](err)
	return fault.Is(err, fault.Denied) && !asks
}

// contested is for an attempt that was refused before it had written anything, as it is
// while people hold fields of what it brings. Then what was brought last is looked at, as
// if nothing had been tried: what people have changed back is Tagboat's again, and what is
// to be healed is healed, after which it is tried once more. So it does not stay refused
// when its cause has gone.
//
// A target that has what is brought already (it is ill, and was to be applied anew) goes on
// to be looked after: only whether it is healthy counts for that.
func (w *Worker) contested(ctx context.Context, a *attempt, s *syncing, patience time.Duration, refused error) error {
	commit, err := w.Store.BroughtWhole(ctx, a.target.ID)
	if err != nil || commit == "" {
		return orRefused(err, refused)
	}
	last, err := w.asOf(ctx, *s, commit)
	if err != nil {
		return orRefused(err, refused)
	}
	if err := w.lookAtLast(ctx, a, &last); err != nil {
		return err
	}
	found := last.reached
	s.reached.Heals, s.reached.Healed, s.reached.Taken = found.Heals, found.Healed, found.Taken
	if found.Changed > 0 {
		if err := w.bringObjects(ctx, a, s, patience); !fault.Is(err, fault.Denied) || s.reached.Changed > 0 {
			return err
		}
	}
	s.examined = true
	s.reached.Drift, s.reached.DriftCode, s.reached.Notes = found.Drift, found.DriftCode, found.Notes
	s.reached.Adoption, s.reached.AdoptionCode = a.target.Adoption, a.target.AdoptionCode
	s.reached.Surplus, s.reached.SurplusCode = a.target.Surplus, a.target.SurplusCode // waits for its yes still
	if s.reached.RenderedHash != last.reached.RenderedHash {
		return refused
	}
	s.reached.Notes = append(s.reached.Notes, "what is in Git cannot be applied anew: "+explain(refused))
	run, err := w.run(ctx, a, s)
	if err != nil {
		return err
	}
	if _, err := w.await(ctx, a, s, run.Target, cluster.Lasting(run.Objects), cluster.WaitOptions{Timeout: patience}); err != nil || s.reached.Ill {
		return err
	}
	return w.round(ctx, a, s)
}

// orRefused is an error that passes, and else the refusal: that what was before cannot be
// read any more is not what people have to mend.
func orRefused(err, refused error) error {
	if err != nil && fault.KindOf(err).Retryable() {
		return err
	}
	return refused
}

// lookAtLast looks for what people have changed of what was brought last. Where nobody
// wants to hear of changes, it is only for what they have changed back.
func (w *Worker) lookAtLast(ctx context.Context, a *attempt, last *syncing) error {
	untold := last.env.Drift == envrepo.DriftOff
	if untold {
		last.env.Drift = envrepo.DriftReport
	}
	run, err := w.run(ctx, a, last)
	if err == nil {
		err = w.findDrift(ctx, a, last, run)
	}
	if untold {
		last.reached.Drift, last.reached.DriftCode, last.reached.Notes = nil, "", keptNotes(a.target.Notes)
	}
	return err
}
