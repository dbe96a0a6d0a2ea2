package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// The lists that are read again and again, because nobody may have told what is new in
// them.
const (
	PollPulls    = "pulls"    // of a repository, owner/name
	PollComments = "comments" // of a repository, owner/name
	PollChecks   = "checks"   // of a promotion's head, by its number
	PollTags     = "tags"     // of an image, by its name
)

// Poll is where a list was read to, and when it may be read again.
type Poll = query.Poll

// Poll is that of one list; one that was never read is due at once, and has no Until.
func (s *Store) Poll(ctx context.Context, kind, subject string) (_ Poll, err error) {
	defer wrap(&err, "read where the %s of %s were read to", kind, subject)
	p, err := s.query.Poll(ctx, query.PollParams{Kind: kind, Subject: subject})
	if errors.Is(err, pgx.ErrNoRows) {
		return Poll{Kind: kind, Subject: subject}, nil
	}
	return p, err
}

// DuePolls are the lists among the subjects that may be read now, those first that
// have been due for longest.
func (s *Store) DuePolls(ctx context.Context, kind string, subjects []string) (due []Poll, err error) {
	defer wrap(&err, "find out which %s are to be read", kind)
	rows, err := s.query.Polls(ctx, query.PollsParams{Kind: kind, Subjects: subjects})
	if err != nil {
		return nil, err
	}
	known := map[string]Poll{}
	for _, r := range rows {
		known[r.Subject] = r
	}
	for _, subject := range subjects {
		p, ok := known[subject]
		if !ok {
			p = Poll{Kind: kind, Subject: subject}
		}
		if !p.Due.After(s.now()) {
			due = append(due, p)
		}
	}
	slices.SortStableFunc(due, func(a, b Poll) int { return a.Due.Compare(b.Due) })
	return due, nil
}

// KeepPoll writes down where a list was read to.
func (s *Store) KeepPoll(ctx context.Context, p Poll) (err error) {
	defer wrap(&err, "keep where the %s of %s were read to", p.Kind, p.Subject)
	return s.query.SetPoll(ctx, query.SetPollParams(p))
}

// PostponePolls leaves all lists alone whose subject begins with prefix: what serves
// them has asked for it.
func (s *Store) PostponePolls(ctx context.Context, kind, prefix string, until time.Time) (err error) {
	defer wrap(&err, "leave %s alone", prefix)
	return s.query.PostponePolls(ctx, query.PostponePollsParams{Kind: kind, Prefix: prefix, Due: until})
}

// ForgetPolls drops what was kept for promotions that have ended.
func (s *Store) ForgetPolls(ctx context.Context) (err error) {
	defer wrap(&err, "forget polls")
	return s.query.DropPolls(ctx)
}

// ActivePromotionsOf are those of an env repo that wait to be merged.
func (s *Store) ActivePromotionsOf(ctx context.Context, repo int64) (_ []Promotion, err error) {
	defer wrap(&err, "read the active promotions of env repo %d", repo)
	return s.query.ActivePromotionsOfRepo(ctx, repo)
}

// WaitingFor are the open promotions of an env repo that a gate keeps from merging, as
// far as was last seen.
func (s *Store) WaitingFor(ctx context.Context, repo int64, gate string) (_ []Promotion, err error) {
	defer wrap(&err, "find what waits for %s", gate)
	return s.query.WaitingFor(ctx, query.WaitingForParams{RepoID: repo, Gate: gate})
}

// InQueue are the promotions of an env repo whose pull request GitHub's merge queue has,
// with the group that is known.
func (s *Store) InQueue(ctx context.Context, repo int64) (_ []query.InQueueRow, err error) {
	defer wrap(&err, "find what is in the merge queue")
	return s.query.InQueue(ctx, repo)
}

// SourceRepos are the repositories that artifacts verified since then say that they
// are built from.
func (s *Store) SourceRepos(ctx context.Context, since time.Time) (_ []string, err error) {
	defer wrap(&err, "read source repositories")
	return s.query.SourceRepos(ctx, since)
}

// LedgerOf is what the tag ledger has of an image's tags: digests by tag.
func (s *Store) LedgerOf(ctx context.Context, image string, tags []string) (_ map[string]string, err error) {
	defer wrap(&err, "read the tag ledger of %s", image)
	rows, err := s.query.TagsOf(ctx, query.TagsOfParams{Image: image, Tags: tags})
	ledger := map[string]string{}
	for _, r := range rows {
		ledger[r.Tag] = r.Digest
	}
	return ledger, err
}

// UnknownDeliveries are those of the ids that never arrived here, and since when
// deliveries of that source have been kept; zero for never.
func (s *Store) UnknownDeliveries(ctx context.Context, source string, ids []string) (unknown []string, since time.Time, err error) {
	defer wrap(&err, "look for deliveries that never arrived")
	since, err = s.query.FirstDelivery(ctx, source)
	if errors.Is(err, pgx.ErrNoRows) {
		return ids, since, nil
	}
	if err != nil {
		return nil, since, err
	}
	known, err := s.query.KnownDeliveries(ctx, query.KnownDeliveriesParams{Source: source, Ids: ids})
	if err != nil {
		return nil, since, err
	}
	arrived := map[string]bool{}
	for _, id := range known {
		arrived[id] = true
	}
	for _, id := range ids {
		if !arrived[id] {
			unknown = append(unknown, id)
		}
	}
	return unknown, since, nil
}
