package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store/query"
)

// TakeTarget begins an attempt to bring a target, of which only one at a time may
// write: it leases the target to holder for a while and raises its fence, which is
// what the returned row tells. What an earlier attempt still wants to write down is
// refused from here on.
//
// A target that somebody else has is an error of kind RateLimited, which tells until
// when. A holder that asks again has lost its earlier attempt. from is who had it
// before and never gave it back; "" where nobody did.
func (s *Store) TakeTarget(ctx context.Context, id int64, holder string, lease time.Duration) (t Target, from string, err error) {
	defer wrap(&err, "take target %d", id)
	from, err = s.query.TakeLease(ctx, query.TakeLeaseParams{ID: id, Holder: holder, Seconds: lease.Seconds()})
	if errors.Is(err, pgx.ErrNoRows) {
		left, err := s.query.LeaseLeft(ctx, id)
		if err != nil {
			return t, "", err
		}
		until := s.now().Add(time.Duration(left*float64(time.Second)) + time.Second/10)
		return t, "", &fault.Error{Kind: fault.RateLimited, Until: until, Err: errors.New("another worker has it")}
	}
	if err != nil {
		return t, "", err
	}
	t, err = s.query.Target(ctx, id)
	return t, from, err
}

// RenewTarget extends the lease of t from now, and tells how often t is wanted by now.
// Its error is ErrTakenOver where another attempt has it.
func (s *Store) RenewTarget(ctx context.Context, t Target, lease time.Duration) (want int64, err error) {
	defer wrap(&err, "keep target %d", t.ID)
	want, err = s.query.RenewLease(ctx, query.RenewLeaseParams{ID: t.ID, Fence: t.Fence, Seconds: lease.Seconds()})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrTakenOver
	}
	return want, err
}

// LeaveTarget ends the lease of t, so that nobody has to wait for it to end by itself.
func (s *Store) LeaveTarget(ctx context.Context, t Target) (err error) {
	defer wrap(&err, "leave target %d", t.ID)
	return s.query.DropLease(ctx, query.DropLeaseParams{ID: t.ID, Fence: t.Fence})
}
