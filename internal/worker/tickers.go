package worker

import (
	"context"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// tickers are those whose ticks count in an environment.
func (l *look) tickers() approval.Tickers {
	return approval.Tickers{Teams: l.env.Checklist.Teams, Users: l.env.Checklist.Users}
}

// countTicks judges who ticked the items of the checklist. A tick that does not count
// is recorded all the same, and shown as none; one of somebody whom GitHub cannot be
// asked about counts for nothing meanwhile, but stays where it is.
func (l *look) countTicks(ctx context.Context, items []checklist.Item, ticks []store.Tick, fresh bool) {
	of := map[string]store.Tick{}
	for _, t := range ticks {
		if t.Checked {
			of[t.Item] = t
		}
	}
	l.model.Ticks = map[string]checklist.Tick{}
	refused := map[int64]string{} // people are asked about once a look
	for _, item := range items {
		fact := promotion.ChecklistItem{ID: item.ID, Text: item.Text}
		if t, ticked := of[item.ID]; ticked {
			why, known := refused[t.ActorID]
			if !known {
				why = l.refuses(ctx, t, fresh)
				refused[t.ActorID] = why
			}
			fact.By, fact.Refused, fact.Ticked = t.Actor, why, why == ""
			if why == "" || why == askedInVain {
				l.model.Ticks[item.ID] = checklist.Tick{By: t.Actor, At: t.At}
			}
		}
		l.facts.Checklist = append(l.facts.Checklist, fact)
	}
	l.facts.Rule.Tickers = l.tickers().String()
}

// askedInVain is why a tick does not count for now.
var askedInVain = approval.Tickers{}.Refuses(approval.Person{})

func (l *look) refuses(ctx context.Context, t store.Tick, fresh bool) string {
	who := store.Review{ReviewerID: t.ActorID, Reviewer: t.Actor}
	why := l.tickers().Refuses(l.w.people.one(ctx, l.repo, l.env.Checklist.Teams, who, fresh))
	if why == askedInVain {
		l.again = earlier(l.again, l.w.Now().Add(passingFor))
	}
	return why
}
