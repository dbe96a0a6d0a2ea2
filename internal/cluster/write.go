package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/fault"
)

// intend has the ledger know everything that is about to be written, before it is.
func (p *plan) intend(ctx context.Context, wanted func(step) bool) error {
	var entries []Entry
	for _, ch := range p.changes {
		if ch.mapping == nil || ch.after != nil || ch.held != nil || ch.intended || !wanted(ch.step) {
			continue
		}
		ch.intended = true
		e := p.entryOf(ch, Intended)
		e.UID = p.intendedUID(ch)
		entries = append(entries, e)
	}
	return p.keep(ctx, entries)
}

// intendedUID is that of the object that is there, as it was just seen; "" where there is
// none. What the ledger had may be gone by now: if this run ends before it can say what
// it has made, that must not be taken for another's.
func (p *plan) intendedUID(ch *change) string {
	switch {
	case ch.hook:
		return p.madeHook(ch)
	case ch.exists:
		return string(ch.would.UID)
	case ch.would != nil:
		return ""
	}
	return string(uidOf(ch.seen)) // it waits for another one, and could not be tried
}

func (p *plan) entryOf(ch *change, state EntryState) Entry {
	return Entry{ID: idOf(ch.desired), Version: ch.desired.GroupVersionKind().Version, Hash: ch.hash, State: state}
}

func (p *plan) keep(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := p.run.Ledger.Keep(ctx, entries); err != nil {
		return fmt.Errorf("keep account of %d objects: %w", len(entries), err)
	}
	return nil
}

// recordWithin is how long what was written may take to be recorded when the run is
// over already.
const recordWithin = 10 * time.Second

// record has the ledger know what was written, also when the caller has gone away.
func (p *plan) record(ctx context.Context, changes []*change) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	var entries []Entry
	for _, ch := range changes {
		if ch.after != nil {
			entries = append(entries, ch.entry)
		}
	}
	return p.keep(ctx, entries)
}

// write sends the changes, several at a time, and records them. After an error no
// further one is begun, and those under way are finished, so that it is known what was
// written.
func (p *plan) write(ctx context.Context, changes []*change) error {
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	errs := make([]error, len(changes))
	failed, fail := context.WithCancel(context.Background())
	defer fail()
	for i, ch := range changes {
		g.Go(func() error {
			if failed.Err() != nil || ctx.Err() != nil {
				return ctx.Err()
			}
			if errs[i] = p.writeOne(ctx, ch); errs[i] != nil {
				fail()
			}
			return nil
		})
	}
	stopped := g.Wait()
	for _, ch := range changes { // now that nobody reads them at the same time
		ch.after = ch.done
	}
	recorded := p.record(ctx, changes)
	if err := all(errs); err != nil {
		return errors.Join(err, recorded)
	}
	return errors.Join(stopped, recorded)
}

// writeOne writes one object for exactly the state that was seen of it. When that has
// changed meanwhile, or the answer was lost, it looks again before it tries again: what
// was decided may not hold any more, and what was sent may have been done.
func (p *plan) writeOne(ctx context.Context, ch *change) error {
	pauses := patience()
	for {
		if err := p.goOn(ctx); err != nil {
			return err
		}
		err := p.writeOnce(ctx, ch)
		if err == nil || pauses.Steps == 0 || !hasChanged(err) && !passing(err) || !pause(ctx, pauses.Step()) {
			return err
		}
		if err := p.goOn(ctx); err != nil {
			return err
		}
		if err := p.lookAgain(ctx, ch); err != nil {
			return err
		}
		if ch.waitsFor != nil {
			return p.c.classify(ch.waitsFor, action{"apply", ch.desired})
		}
		if err := p.ask(ctx, []*change{ch}); err != nil { // somebody may have made it meanwhile
			return err
		}
	}
}

func (p *plan) lookAgain(ctx context.Context, ch *change) error {
	if ch.seen != nil {
		live, err := p.read(ctx, ch)
		switch {
		case fault.Is(err, fault.Conflict):
			ch.seen = nil
		case err != nil:
			return err
		case p.ours(live):
			ch.seen = live
		default:
			ch.seen = nil
		}
	}
	return p.checkOne(ctx, ch)
}

// newOnly is the resource version of an object that shall not be there yet. The API
// server compares versions only with an object that is there, and none has this one.
const newOnly = "1"

func (p *plan) writeOnce(ctx context.Context, ch *change) error {
	if ch.hook {
		return p.runHook(ctx, ch)
	}
	uid, version := ch.would.UID, ch.would.ResourceVersion
	switch {
	case !ch.exists:
		uid, version = "", newOnly
	case ch.recreate:
		if err := p.remove(ctx, ch); err != nil {
			return err
		}
		if err := ch.sendAll(); err != nil {
			return err
		}
		uid, version = "", newOnly
	case ch.migration != nil:
		// Guarded by the resource version it was computed from: a conflict means
		// that the object changed since.
		migrated, err := ch.light.Patch(ctx, ch.desired.GetName(), types.JSONPatchType, ch.migration, p.patchOptions(false, false))
		if err != nil {
			return p.c.classify(err, action{"take over the fields of", ch.desired})
		}
		version = migrated.ResourceVersion
	}
	is, err := ch.light.Patch(ctx, ch.desired.GetName(), types.ApplyPatchType, ch.body(uid, version), p.patchOptions(false, ch.force))
	if err != nil {
		return p.c.classify(err, action{"apply", ch.desired})
	}
	ch.finished(p, is)
	switch {
	case ch.recreate:
		ch.outcome = Recreated
	case ch.isNew:
		ch.outcome = Created
	case ch.migration == nil && is.ResourceVersion == version:
		ch.outcome = Unchanged
	}
	return nil
}

// finished keeps what became of a change.
func (ch *change) finished(p *plan, is Metadata) {
	ch.done, ch.outcome, ch.at = ch.applied(is), Configured, p.c.now()
	ch.entry = p.entryOf(ch, Written)
	ch.entry.UID, ch.entry.Fingerprint = string(is.UID), fingerprint(is, p.manager())
}
