package cluster

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/csaupgrade"

	"github.com/tagboat/tagboat/internal/fault"
)

// EpochAnnotation is on an object that was about to be deleted and came back. Writing
// what the object has already would leave its resource version as it is, and a deletion
// by a worker that was taken for dead could still go through; the annotation moves it.
const EpochAnnotation = "tagboat.dev/epoch"

// check dry-runs every change that was not tried yet. It leaves alone what needs
// another object of the plan that is not written yet, and what is held.
func (p *plan) check(ctx context.Context) error {
	if err := p.resolve(); err != nil {
		return err
	}
	if err := p.encode(); err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(p.c.inFlight)
	errs := make([]error, len(p.changes))
	for i, ch := range p.changes {
		if ch.mapping == nil || ch.would != nil || ch.after != nil || ch.held != nil {
			continue
		}
		g.Go(func() error {
			errs[i] = p.checkOne(ctx, ch)
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs, in the order of the objects
	p.holdBack(ctx, errs)
	return all(errs)
}

// encode writes down what is going to be sent of every object whose kind is known, and
// finds those that need not be.
func (p *plan) encode() error {
	for _, ch := range p.changes {
		if ch.mapping == nil || ch.meta != nil {
			continue
		}
		entry, known := p.entries[idOf(ch.desired)]
		if err := p.encodeOne(ch, entry); err != nil {
			return err
		}
		switch {
		case !known || entry.State != Written || entry.Hash != ch.hash:
		case ch.hook:
			ch.after, ch.outcome, ch.hasRun = ch.desired, Unchanged, true
		case ch.seen == nil && finishes(ch.desired):
			ch.after, ch.outcome = ch.applied(nil), Unchanged
		case ch.seen != nil && ch.seen.DeletionTimestamp == nil && entry.Fingerprint != "" && fingerprint(ch.seen, p.manager()) == entry.Fingerprint:
			ch.after, ch.outcome = ch.applied(ch.seen), Unchanged
		}
	}
	return nil
}

func (p *plan) encodeOne(ch *change, entry Entry) (err error) {
	epoch := ""
	switch {
	case ch.hook: // it is made anew, and never written again
	case entry.State == Pruning, entry.State == Intended && entry.UID != "": // perhaps it was Pruning before
		epoch = strconv.FormatInt(p.run.Epoch, 10)
	case ch.seen != nil:
		epoch = ch.seen.Annotations[EpochAnnotation]
	}
	if epoch != "" {
		annotate(ch.desired, EpochAnnotation, epoch)
	}
	if ch.hook {
		key, err := p.content()
		if err != nil {
			return err
		}
		annotate(ch.desired, HookRunAnnotation, key)
	}
	if err := ch.marshal(ch.desired.Object); err != nil {
		return err
	}
	mac := hmac.New(sha256.New, p.run.HashKey)
	mac.Write(ch.meta)
	mac.Write(ch.rest)
	ch.hash = hex.EncodeToString(mac.Sum(nil))
	if ch.hook && p.run.Commit != "" {
		annotate(ch.desired, CommitAnnotation, p.run.Commit) // for people: no part of the hash
		return ch.marshal(ch.desired.Object)
	}
	return nil
}

func annotate(o Object, key, value string) {
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	o.SetAnnotations(annotations)
}

// marshal writes metadata and the rest of what is sent apart, so that preconditions can
// be put in without writing everything anew.
func (ch *change) marshal(sent map[string]any) (err error) {
	if ch.meta, err = json.Marshal(sent["metadata"]); err != nil {
		return fmt.Errorf("write %s as JSON: %w", name(ch.desired), err)
	}
	rest := maps.Clone(sent)
	delete(rest, "metadata")
	if ch.rest, err = json.Marshal(rest); err != nil {
		return fmt.Errorf("write %s as JSON: %w", name(ch.desired), err)
	}
	return nil
}

// body is the object as it is sent: for a resource version, and so for exactly one
// state of the object, where one is given.
func (ch *change) body(uid types.UID, version string) []byte {
	b := []byte(`{"metadata":{`)
	if uid != "" {
		b = fmt.Appendf(b, `"uid":%q,`, uid)
	}
	if version != "" {
		b = fmt.Appendf(b, `"resourceVersion":%q,`, version)
	}
	b = append(b, ch.meta[1:]...) // never empty: there is a name
	b = append(b, ',')
	return append(b, ch.rest[1:]...)
}

// checkOne finds out, by a dry run that is not forced, whether an object can be
// written, whether it is there, and who else has a part in it.
func (p *plan) checkOne(ctx context.Context, ch *change) error {
	ch.would, ch.exists, ch.force, ch.migration, ch.former, ch.recreate, ch.waitsFor, ch.asked = nil, false, false, nil, "", false, nil, false
	if err := ch.sendAll(); err != nil {
		return err
	}
	if ch.seen != nil && ch.seen.DeletionTimestamp != nil {
		return p.stillDeleted(ch.desired)
	}
	if ch.hook {
		return p.tryHook(ctx, ch)
	}
	would, err := p.try(ctx, ch)
	for p.settling(ctx, ch, err) {
		would, err = p.try(ctx, ch)
	}
	switch {
	case err == nil:
		err = p.adopt(ctx, ch, would)
	case isFieldConflict(err):
		would, err = p.contest(ctx, ch, err, stirs)
	}
	if apierrors.IsNotFound(err) && p.comes(err) || p.awaitsDefinition(ch, err) {
		ch.waitsFor = err
		return nil
	}
	if apierrors.IsInvalid(err) {
		return p.cannotChange(ctx, ch, err)
	}
	if err != nil {
		return p.c.classify(err, action{"apply", ch.desired})
	}
	ch.tried(would)
	return nil
}

func (ch *change) tried(would Metadata) {
	ch.would, ch.exists = would, would.ResourceVersion != "" // what was never stored has no version
	ch.isNew = ch.isNew || !ch.exists
}

// try dry-runs a change; forced, if that was decided.
func (p *plan) try(ctx context.Context, ch *change) (would Metadata, err error) {
	force := ch.force || ch.migration != nil
	err = again(ctx, func() (err error) {
		if p.whole {
			if ch.whole, err = ch.api.Patch(ctx, ch.desired.GetName(), types.ApplyPatchType, ch.body("", ""), p.patchOptions(true, force)); err == nil {
				would = metadataOf(ch.whole)
			}
			return err
		}
		would, err = ch.light.Patch(ctx, ch.desired.GetName(), types.ApplyPatchType, ch.body("", ""), p.patchOptions(true, force))
		return err
	})
	return would, withoutDiff(err)
}

// adopt looks, where an object is there that the target did not have, whose it is. The
// answer of a dry run shows all who have a part in it.
func (p *plan) adopt(ctx context.Context, ch *change, would Metadata) error {
	if would.DeletionTimestamp != nil {
		return p.stillDeleted(ch.desired)
	}
	if would.ResourceVersion == "" || ch.seen != nil && ch.seen.UID == would.UID {
		return nil
	}
	ch.seen = nil // it is another one since
	if err := p.mayTake(ch, would); err != nil {
		return err
	}
	for _, entry := range would.ManagedFields {
		if clientSideAppliers.Has(entry.Manager) || entry.Manager == formerManager {
			live, err := p.read(ctx, ch)
			if err != nil {
				return err
			}
			return p.migrate(ch, live)
		}
	}
	return nil
}

// migrate prepares to take over once what was applied with kubectl before.
func (p *plan) migrate(ch *change, live Metadata) (err error) {
	if ch.migration, err = handOver(live, p.manager(), ch.former); ch.migration != nil || err != nil {
		return err
	}
	ch.migration, err = csaupgrade.UpgradeManagedFieldsPatch(live, clientSideAppliers, p.manager())
	if err != nil {
		return fmt.Errorf("read the field managers of %s: %w", name(ch.desired), err)
	}
	return nil
}

// stirs is how often an object may change while it is found out who holds what of it, and
// calms the pause after each: a rollout writes its status several times a second.
const (
	stirs = 10
	calms = 100 * time.Millisecond
)

// contest decides about a conflict of fields. The server compares values, so those who
// hold the same value as we set are not in it. looks is how often it may be found that
// the object has changed meanwhile.
func (p *plan) contest(ctx context.Context, ch *change, cause error, looks int) (Metadata, error) {
	live, err := p.read(ctx, ch)
	if err != nil {
		return nil, err
	}
	if err := p.mayTouch(ctx, ch, live); err != nil {
		return nil, err
	}
	others, err := p.contestants(ctx, ch, live, cause)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 && (ch.seen == nil || ch.seen.ResourceVersion != live.ResourceVersion) {
		// Who is in the conflict may not be all who hold something now. (Force is not for those.)
		ch.migration = nil
		if err := ch.sendAll(); err != nil {
			return nil, err
		}
		would, err := p.try(ctx, ch)
		if err == nil {
			return would, p.adopt(ctx, ch, would)
		}
		if !isFieldConflict(err) {
			return nil, err
		}
		cause = err
		if others, err = p.contestants(ctx, ch, live, cause); err != nil {
			return nil, err
		}
	}
	if len(others) > 0 && !p.forced(others) && !p.agree(live, others) {
		return nil, p.refuseHolders(ch, others, cause)
	}
	// The migration cannot be dry-run, but what it comes to can.
	ch.force = len(others) > 0
	would, err := p.try(ctx, ch)
	if err != nil || !ch.force || would.ResourceVersion == live.ResourceVersion {
		return would, err
	}
	// Who agreed, or was a person, when it was read may not be any more.
	if looks == 1 || !pause(ctx, calms) {
		return nil, fault.Errorf(fault.Conflict, "%s in cluster %s has just been changed; it is looked at again", name(ch.desired), p.c.name)
	}
	ch.force, ch.migration = false, nil
	return p.contest(ctx, ch, cause, looks-1)
}

// contestants are those whom a conflict names and whose fields are neither brought by the
// migration, which it prepares, nor left to them.
func (p *plan) contestants(ctx context.Context, ch *change, live Metadata, cause error) (others []holder, err error) {
	status, _ := statusOf(cause)
	holders, understood := holdersOf(status)
	if !p.ours(live) { // it is applied for the first time
		if err := p.mayTake(ch, live); err != nil {
			return nil, err
		}
		if err := p.migrate(ch, live); err != nil {
			return nil, err
		}
	} else if ch.migration, err = handOver(live, p.manager(), ""); err != nil {
		return nil, err
	}
	if !understood {
		return nil, p.refuseHolders(ch, holders, cause)
	}
	for _, h := range holders { // whose fields the migration does not bring
		if ch.migration == nil || !clientSideAppliers.Has(h.manager) && h.manager != formerManager && h.manager != ch.former {
			others = append(others, h)
		}
	}
	// (What a migration brings is ours then, and would be removed if it were left out.)
	return p.leave(ctx, ch, live, others)
}

// read reads an object's metadata. It is there, as far as we know.
func (p *plan) read(ctx context.Context, ch *change) (live Metadata, err error) {
	err = again(ctx, func() (err error) {
		live, err = ch.light.Get(ctx, ch.desired.GetName(), metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, fault.Errorf(fault.Conflict, "%s in cluster %s has just been deleted; it is looked at again", name(ch.desired), p.c.name)
	}
	return live, p.c.classify(err, action{"read", ch.desired})
}

// isFieldConflict reports whether the server refused an apply because others own
// fields of the object.
func isFieldConflict(err error) bool {
	return apierrors.IsConflict(err) && apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}

// hasChanged reports whether the server refused a write because the object is not any
// more as it was seen.
func hasChanged(err error) bool {
	status, answered := statusOf(err)
	return answered && status.Code == 409 && !isFieldConflict(err) || fault.Is(err, fault.Conflict) && !answered && !errors.Is(err, context.Canceled)
}
