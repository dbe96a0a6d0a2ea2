package githubsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// SecondaryLimits are GitHub's secondary rate limits, for every installation by
// itself. A zero field is as on github.com
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits).
//
// GitHub does not publish how it measures. This GitHub is strict: its windows
// slide, so that no span of a window's length may hold more than the limit,
// wherever it begins; and whoever has met a limit is refused everything until the
// time that the answer named. The limits on CPU time are left out: a double's
// CPU time says nothing.
//
// People are not limited: those of the stories do in a second what people do in
// an hour.
type SecondaryLimits struct {
	Minute, Hour  time.Duration // how long a “minute” and an “hour” last: shorter ones make a story that has real time to spend
	Points        int           // a minute: 1 for a read, 5 for a write
	ContentMinute int           // requests that create content, a minute
	ContentHour   int           // and an hour
	Concurrent    int           // requests at once
	Style         func(trip int) LimitStyle
}

// LimitStyle is how a request that met a secondary limit is answered. GitHub
// documents 403 and 429, with Retry-After, with X-RateLimit-Remaining 0, or with
// neither; then a client has to wait at least a minute.
type LimitStyle struct {
	Status int  // 403 or 429
	After  bool // Retry-After says for how long
	Reset  bool // X-RateLimit-Remaining is 0, and X-RateLimit-Reset says until when
}

// EveryStyle takes turns with all answers that GitHub documents.
func EveryStyle(trip int) LimitStyle {
	return LimitStyle{
		Status: []int{http.StatusForbidden, http.StatusTooManyRequests}[trip%2],
		After:  trip/2%3 == 0, Reset: trip/2%3 == 1,
	}
}

func (l SecondaryLimits) filled() SecondaryLimits {
	l.Minute, l.Hour = cmp.Or(l.Minute, time.Minute), cmp.Or(l.Hour, time.Hour)
	l.Points = cmp.Or(l.Points, 900)
	l.ContentMinute, l.ContentHour = cmp.Or(l.ContentMinute, 80), cmp.Or(l.ContentHour, 500)
	l.Concurrent = cmp.Or(l.Concurrent, 100)
	if l.Style == nil {
		l.Style = func(int) LimitStyle { return LimitStyle{Status: http.StatusForbidden, After: true} }
	}
	return l
}

// Trip is one request that met a secondary limit, or came although one was met.
type Trip struct {
	Caller string // "installation 1007"
	Route  string
	Limit  string // "points", "content a minute", "content an hour", "concurrent", "patience"
	At     time.Time
}

// content are the routes that create something. GitHub does not say which count;
// this errs on the strict side: everything that a person would see as new, and
// every git object. TestEveryWriteIsContentOrNot keeps the list complete.
var content = map[string]bool{
	"POST /graphql":                                                                     true, // a pull request enters the merge queue, and people are notified
	"POST /api/graphql":                                                                 true,
	"POST /repos/{owner}/{repo}/check-runs":                                             true,
	"POST /repos/{owner}/{repo}/statuses/{sha}":                                         true,
	"POST /repos/{owner}/{repo}/git/refs":                                               true,
	"POST /repos/{owner}/{repo}/git/blobs":                                              true,
	"POST /repos/{owner}/{repo}/git/trees":                                              true,
	"POST /repos/{owner}/{repo}/git/commits":                                            true,
	"PUT /repos/{owner}/{repo}/contents/{path}":                                         true,
	"POST /repos/{owner}/{repo}/pulls":                                                  true,
	"PUT /repos/{owner}/{repo}/pulls/{number}/merge":                                    true, // a commit, and a notification
	"PUT /repos/{owner}/{repo}/pulls/{number}/update-branch":                            true,
	"POST /repos/{owner}/{repo}/pulls/{number}/reviews":                                 true,
	"POST /repos/{owner}/{repo}/pulls/{number}/requested_reviewers":                     true,
	"POST /repos/{owner}/{repo}/issues":                                                 true,
	"POST /repos/{owner}/{repo}/issues/{number}/comments":                               true,
	"POST /repos/{owner}/{repo}/issues/{number}/labels":                                 true,
	"POST /repos/{owner}/{repo}/issues/{number}/reactions":                              true,
	"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions":                 true,
	"POST /repos/{owner}/{repo}/labels":                                                 true,
	"POST /repos/{owner}/{repo}/deployments":                                            true,
	"POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses":                   true,
	"POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest":                    true,
	"POST /app/hook/deliveries/{delivery_id}/attempts":                                  false,
	"POST /app/installations/{installation_id}/access_tokens":                           false,
	"DELETE /installation/token":                                                        false,
	"PATCH /app/hook/config":                                                            false,
	"PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}":                             false,
	"PATCH /repos/{owner}/{repo}/git/refs/{ref}":                                        false,
	"DELETE /repos/{owner}/{repo}/git/refs/{ref}":                                       false,
	"PATCH /repos/{owner}/{repo}/pulls/{number}":                                        false,
	"PUT /repos/{owner}/{repo}/pulls/{number}/reviews/{review_id}":                      false,
	"PUT /repos/{owner}/{repo}/pulls/{number}/reviews/{review_id}/dismissals":           false,
	"PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}":                          false,
	"DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}":                         false,
	"DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}": false,
	"PATCH /repos/{owner}/{repo}/issues/{number}":                                       false,
	"DELETE /repos/{owner}/{repo}/issues/{number}/labels/{name}":                        false,
}

// secondary is what one caller has spent.
type secondary struct {
	points, content []spent
	patience        time.Time // nothing is answered before
}

type spent struct {
	at time.Time
	n  int
}

// within is what was spent since, and forgets what was spent before the horizon.
func within(all *[]spent, since, horizon time.Time) (sum int) {
	*all = slices.DeleteFunc(*all, func(s spent) bool { return !s.at.After(horizon) })
	for _, s := range *all {
		if s.at.After(since) {
			sum += s.n
		}
	}
	return sum
}

// restrain counts a request of an installation under the secondary limits. What
// is refused created nothing, but was asked.
func (s *Server) restrain(c *call) error {
	if s.opt.SecondaryLimits == nil || c.actor.token == nil {
		return nil
	}
	l := s.opt.SecondaryLimits.filled()
	now, key := s.opt.Now(), c.actor.key()
	used := s.spent[key]
	if used == nil {
		used = &secondary{}
		s.spent[key] = used
	}
	points, creates := 5, content[c.route.name()]
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		points = 1
	}
	minute, hour := now.Add(-l.Minute), now.Add(-l.Hour)
	met := ""
	switch {
	case now.Before(used.patience):
		met = "patience"
	case s.flying[key] > l.Concurrent:
		met = "concurrent"
	case within(&used.points, minute, minute)+points > l.Points:
		met = "points"
	case creates && within(&used.content, hour, hour) >= l.ContentHour:
		met = "content an hour"
	case creates && within(&used.content, minute, hour) >= l.ContentMinute:
		met = "content a minute"
	}
	used.points = append(used.points, spent{now, points})
	if met != "" {
		return s.trip(c, l, used, met)
	}
	if creates {
		used.content = append(used.content, spent{now, 1})
	}
	return nil
}

// trip writes down that a limit was met, and makes the answer in GitHub's words.
func (s *Server) trip(c *call, l SecondaryLimits, used *secondary, met string) error {
	now, style := s.opt.Now(), l.Style(len(s.trips))
	s.trips = append(s.trips, Trip{Caller: c.actor.key(), Route: c.route.name(), Limit: met, At: now})
	if until := now.Add(l.Minute); until.After(used.patience) {
		used.patience = until
	}
	seconds := int64((used.patience.Sub(now) + time.Second - 1) / time.Second)
	refused := &apiError{status: style.Status, header: http.Header{},
		message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
	if content[c.route.name()] {
		refused.message = "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. Please retry your request again later."
	}
	if style.After {
		refused.header.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	if style.Reset {
		refused.header.Set("X-RateLimit-Remaining", "0")
		refused.header.Set("X-RateLimit-Reset", strconv.FormatInt(now.Unix()+seconds+1, 10))
	}
	return refused
}

// Trips are all requests so far that met a secondary limit.
func (s *Server) Trips() []Trip {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.trips)
}

// enter counts a request of an installation as under way until leave is called.
func (s *Server) enter(r *http.Request) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := s.identify(credential(r))
	if err != nil || who.token == nil {
		return func() {}
	}
	key := who.key()
	s.flying[key]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flying[key]--
	}
}

// String says what was met where.
func (t Trip) String() string {
	return fmt.Sprintf("%s: %s by %s at %s", t.Caller, t.Limit, t.Route, t.At.Format(time.StampMilli))
}
