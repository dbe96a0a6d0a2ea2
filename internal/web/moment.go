package web

import (
	"encoding/json"
	"fmt"
	"time"
)

// Moment is a time as a page shows it: when it was, and how long before the page
// was made. In JSON it is an RFC 3339 string in UTC.
type Moment struct {
	at, now time.Time
}

func moment(at, now time.Time) Moment { return Moment{at.UTC(), now.UTC()} }

func maybe(at *time.Time, now time.Time) *Moment {
	if at == nil {
		return nil
	}
	m := moment(*at, now)
	return &m
}

// ISO is for machines.
func (m Moment) ISO() string { return m.at.Format(time.RFC3339) }

// Full is for people.
func (m Moment) Full() string { return m.at.Format("2006-01-02 15:04:05 UTC") }

// Clock is Full without the date.
func (m Moment) Clock() string { return m.at.Format("15:04:05 UTC") }

// Age is how long ago it was, in its largest unit.
func (m Moment) Age() string {
	d := max(m.now.Sub(m.at), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// MarshalJSON implements json.Marshaler.
func (m Moment) MarshalJSON() ([]byte, error) { return json.Marshal(m.at) }
