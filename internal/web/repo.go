package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/store"
)

// Stop is what keeps an environment, or more, from changing.
type Stop struct {
	What   string  `json:"what"` // "all of prod"
	By     string  `json:"by"`
	Reason string  `json:"reason"` // "" where none was given
	URL    string  `json:"url"`    // of where it was said, as "owner/name#number"
	Since  Moment  `json:"since"`
	Until  *Moment `json:"until"` // null: until it is lifted
	Lift   string  `json:"lift"`  // the command that lifts it
}

// stopsOf are the stops of an env repo, and those of all of its owner's.
func stopsOf(r store.Repo, all []store.Stop, now time.Time) []Stop {
	stops := []Stop{}
	for _, s := range all {
		if s.RepoID != nil && *s.RepoID != r.ID || s.RepoID == nil && !strings.EqualFold(s.Owner, r.Owner) {
			continue
		}
		stop := Stop{By: s.Actor, Reason: s.Reason, URL: s.URL, Since: moment(s.Since, now), Until: maybe(s.Until, now)}
		stop.What, stop.Lift = command.Stopped(s.Owner, s.Env, s.App, s.RepoID == nil)
		stops = append(stops, stop)
	}
	return stops
}

// away says why nothing moves in an env repo, and who can change that.
func away(r store.Repo) string {
	name := r.Owner + "/" + r.Name
	switch {
	case r.Presence == store.PresenceRemoved && r.PresenceNote != "":
		return r.PresenceNote
	case r.Presence == store.PresenceRemoved:
		return fmt.Sprintf("The GitHub App is not installed on %s. What runs stays as it is. An owner of %s can install the App there.", name, r.Owner)
	case r.Presence == store.PresenceSuspended:
		return fmt.Sprintf("The GitHub App is suspended for %s. What runs stays as it is. An owner of %s can unsuspend it in the settings of its GitHub Apps.", name, r.Owner)
	case r.Presence == store.PresenceArchived:
		return fmt.Sprintf("%s is archived: nothing can be promoted there. An administrator of it can unarchive it.", name)
	}
	return ""
}
