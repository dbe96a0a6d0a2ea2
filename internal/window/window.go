package window

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Window is a time that comes again every week, or a range of dates, in one time
// zone. The zero Window is no time at all.
type Window struct {
	text string // as it was written
	zone *time.Location

	days        [7]bool // by time.Weekday; of a range of dates all are set
	first, last date    // zero: every date
	from, until int     // minutes since midnight; until may lie on the next day
}

// String is the window as people wrote it, with its zone.
func (w Window) String() string { return w.text + " " + w.zone.String() }

// Equal reports whether two windows are the same time in the same zone.
func (w Window) Equal(o Window) bool {
	if w.zone != nil && o.zone != nil && w.zone.String() == o.zone.String() {
		w.zone = o.zone
	}
	return w == o
}

// date is a day of the calendar, as year*10000+month*100+day.
type date int

func dateOf(t time.Time) date { return date(t.Year()*10000 + int(t.Month())*100 + t.Day()) }

const day = 24 * 60 // minutes

var (
	clock    = regexp.MustCompile(`^(\d{2}):(\d{2})-(\d{2}):(\d{2})$`)
	weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
)

// Parse reads a window: days of the week ("Mon-Thu", "Sat,Sun"), or dates
// ("2026-12-24", "2026-12-24..2027-01-02"), then hours ("09:00-16:00"), of which
// either may be left out, but not both. Hours that end before they begin end on
// the next day; 24:00 is the end of the day. The zone is an IANA name
// (https://www.iana.org/time-zones); "" is UTC. The error says what would be right.
func Parse(text, zone string) (Window, error) {
	w := Window{text: strings.Join(strings.Fields(text), " "), until: day, days: [7]bool{true, true, true, true, true, true, true}}
	var err error
	if w.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
		return Window{}, fmt.Errorf("%q is not a time zone; write one such as Europe/Berlin or UTC", zone)
	}
	parts := strings.Fields(text)
	if len(parts) == 0 || len(parts) > 2 {
		return Window{}, wrong(text)
	}
	if hours := parts[len(parts)-1]; strings.Contains(hours, ":") {
		if err := w.hours(hours); err != nil {
			return Window{}, err
		}
		parts = parts[:len(parts)-1]
	}
	switch {
	case len(parts) == 0:
		return w, nil
	case len(parts) > 1:
		return Window{}, wrong(text)
	case strings.ContainsAny(parts[0], "0123456789"):
		w.first, w.last, err = dates(parts[0])
	default:
		w.days, err = days(parts[0])
	}
	if err != nil {
		return Window{}, err
	}
	return w, nil
}

func wrong(text string) error {
	return fmt.Errorf("%q is not a time; write it as in \"Mon-Thu 09:00-16:00\", \"Sat,Sun\" or \"2026-12-24..2027-01-02\"", text)
}

func (w *Window) hours(text string) error {
	m := clock.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q are not hours; write them as in 09:00-16:00", text)
	}
	var n [4]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // two digits each
	}
	w.from, w.until = n[0]*60+n[1], n[2]*60+n[3]
	if n[1] > 59 || n[3] > 59 || w.from >= day || w.until > day || w.from == w.until {
		return fmt.Errorf("%q are not hours of a day; the first go to 23:59, the last to 24:00, and they differ", text)
	}
	if w.until < w.from {
		w.until += day
	}
	return nil
}

// days reads "Mon-Thu,Sat".
func days(text string) (on [7]bool, err error) {
	for _, part := range strings.Split(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, until := slices.Index(weekdays, strings.ToLower(first)), slices.Index(weekdays, strings.ToLower(last))
		if from < 0 || until < 0 {
			return on, fmt.Errorf("%q are not days of the week; write them as in Mon-Thu or Sat,Sun", text)
		}
		for d := from; ; d = (d + 1) % 7 {
			on[d] = true
			if d == until {
				break
			}
		}
	}
	return on, nil
}

// dates reads "2026-12-24" and "2026-12-24..2027-01-02".
func dates(text string) (first, last date, err error) {
	from, until, ranged := strings.Cut(text, "..")
	if !ranged {
		until = from
	}
	a, errA := time.Parse(time.DateOnly, from)
	b, errB := time.Parse(time.DateOnly, until)
	if errA != nil || errB != nil || b.Before(a) {
		return 0, 0, fmt.Errorf("%q is not a date or a range of dates; write it as in 2026-12-24 or 2026-12-24..2027-01-02", text)
	}
	return dateOf(a), dateOf(b), nil
}

// Contains reports whether the window is open at an instant.
func (w Window) Contains(at time.Time) bool {
	if w.zone == nil {
		return false
	}
	local := at.In(w.zone)
	minute := local.Hour()*60 + local.Minute()
	if w.begins(local) && minute >= w.from && minute < w.until {
		return true
	}
	// What began yesterday may last into today. The day before is counted on the
	// calendar: a day need not have 24 hours.
	yesterday := time.Date(local.Year(), local.Month(), local.Day()-1, 12, 0, 0, 0, w.zone)
	return w.begins(yesterday) && minute+day < w.until
}

// begins reports whether the window begins on a local time's day.
func (w Window) begins(local time.Time) bool {
	d := dateOf(local)
	return w.days[local.Weekday()] && (w.first == 0 || w.first <= d && d <= w.last)
}
