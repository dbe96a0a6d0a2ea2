package window_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/window"
)

func at(t testing.TB, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

func parse(t testing.TB, text, zone string) window.Window {
	t.Helper()
	w, err := window.Parse(text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAWindowIsOpenInItsOwnZone(t *testing.T) {
	tests := []struct {
		text, zone, at string
		open           bool
	}{
		{"Mon-Thu 09:00-16:00", "Europe/Berlin", "2026-11-25T08:00:00Z", true}, // a Wednesday, 9 o'clock in winter
		{"Mon-Thu 09:00-16:00", "Europe/Berlin", "2026-11-25T07:59:59Z", false},
		{"Mon-Thu 09:00-16:00", "Europe/Berlin", "2026-11-25T15:00:00Z", false}, // 16 o'clock is over
		{"Mon-Thu 09:00-16:00", "Europe/Berlin", "2026-07-01T07:00:00Z", true},  // the same in summer
		{"Mon-Thu 09:00-16:00", "Europe/Berlin", "2026-11-27T10:00:00Z", false}, // Friday
		{"Mon-Thu 09:00-16:00", "Asia/Kathmandu", "2026-11-25T03:15:00Z", true}, // 5:45 ahead
		{"Fri-Mon", "", "2026-11-29T23:59:00Z", true},                           // over the week's end
		{"Fri-Mon", "", "2026-12-01T00:00:00Z", false},
		{"sat,SUN 10:00-24:00", "", "2026-11-28T23:59:00Z", true},
		{"sat,SUN 10:00-24:00", "", "2026-11-29T00:00:00Z", false},
		{"Sun 22:00-06:00", "", "2026-11-30T05:59:00Z", true}, // began on Sunday
		{"Sun 22:00-06:00", "", "2026-11-29T05:59:00Z", false},
		{"Sun 22:00-06:00", "", "2026-11-30T06:00:00Z", false},
		{"22:00-06:00", "", "2026-11-25T03:00:00Z", true},
		{"2026-12-24..2027-01-02", "", "2027-01-02T23:00:00Z", true},
		{"2026-12-24..2027-01-02", "", "2027-01-03T00:00:00Z", false},
		{"2026-12-24 12:00-24:00", "America/New_York", "2026-12-24T17:00:00Z", true},
		{"Sun 02:00-03:00", "Europe/Berlin", "2026-03-29T01:30:00Z", false}, // the hour that is left out
		{"Sun 01:00-04:00", "Europe/Berlin", "2026-10-25T01:30:00Z", true},  // the hour that comes twice
	}
	for _, tt := range tests {
		if got := parse(t, tt.text, tt.zone).Contains(at(t, tt.at)); got != tt.open {
			t.Errorf("%s %s at %s: open %v", tt.text, tt.zone, tt.at, got)
		}
	}
}

func TestWhatIsNoTimeIsRefusedWithAnExample(t *testing.T) {
	tests := []struct{ text, zone, want string }{
		{"", "", "is not a time"},
		{"Mon-Thu 09:00-16:00 UTC", "", "is not a time"},
		{"Mon 09:00", "", "are not hours"},
		{"Mon 9-16", "", "is not a time"},
		{"Mon 09:00-25:00", "", "hours of a day"},
		{"Mon 09:60-10:00", "", "hours of a day"},
		{"Mon 09:00-09:00", "", "hours of a day"},
		{"Moon", "", "days of the week"},
		{"Mon--Thu", "", "days of the week"},
		{"2026-13-01", "", "is not a date"},
		{"2026-12-24..2026-12-01", "", "range of dates"},
		{"Mon", "Mars/Olympus", "is not a time zone"},
		{"Mon", "Local", "is not a time zone"},
	}
	for _, tt := range tests {
		if _, err := window.Parse(tt.text, tt.zone); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q %q: %v, want %q", tt.text, tt.zone, err, tt.want)
		}
	}
}

func TestAScheduleSaysWhetherWhyAndWhen(t *testing.T) {
	work := window.Allowed{Window: parse(t, "Mon-Thu 09:00-16:00", "Europe/Berlin"), Except: []window.Window{parse(t, "2026-12-24..2027-01-03", "Europe/Berlin")}}
	late := window.Allowed{Window: parse(t, "Sun 22:10-23:00", "UTC")}
	freeze := parse(t, "2026-12-01", "UTC")
	tests := []struct {
		name     string
		schedule window.Schedule
		at       string
		open     bool
		why      string
		opens    string
	}{
		{"no rule", window.Schedule{}, "2026-11-25T03:00:00Z", true, "No time", ""},
		{"within", window.Schedule{Allow: []window.Allowed{work}}, "2026-11-25T10:00:00Z", true, "within Mon-Thu", ""},
		{"evening", window.Schedule{Allow: []window.Allowed{work}}, "2026-11-25T18:00:00Z", false, "allowed in Mon-Thu", "2026-11-26T08:00:00Z"},
		{"over the weekend", window.Schedule{Allow: []window.Allowed{work}}, "2026-11-26T18:00:00Z", false, "", "2026-11-30T08:00:00Z"},
		{"two, whichever is first", window.Schedule{Allow: []window.Allowed{work, late}}, "2026-11-26T18:00:00Z", false, "and in Sun", "2026-11-29T22:10:00Z"},
		{"denied", window.Schedule{Deny: []window.Window{freeze}}, "2026-12-01T10:00:00Z", false, "Nothing is merged in 2026-12-01", "2026-12-02T00:00:00Z"},
		{"deny wins", window.Schedule{Allow: []window.Allowed{work}, Deny: []window.Window{freeze}}, "2026-12-01T10:00:00Z", false, "Nothing", "2026-12-02T08:00:00Z"},
		{"holidays", window.Schedule{Allow: []window.Allowed{work}}, "2026-12-28T10:00:00Z", false, "exception", "2027-01-04T08:00:00Z"},
		{"a moment that has passed for ever", window.Schedule{Allow: []window.Allowed{{Window: freeze}}}, "2026-12-02T00:00:00Z", false, "", ""},
		{"the clock goes forward", window.Schedule{Allow: []window.Allowed{{Window: parse(t, "Sun 02:30-03:30", "Europe/Berlin")}}}, "2026-03-29T00:00:00Z", false, "", "2026-03-29T01:00:00Z"},
	}
	for _, tt := range tests {
		now := at(t, tt.at)
		opens := ""
		if o := tt.schedule.Opens(now); !o.IsZero() {
			opens = o.UTC().Format(time.RFC3339)
		}
		if tt.schedule.Open(now) != tt.open || opens != tt.opens || !strings.Contains(tt.schedule.Why(now), tt.why) {
			t.Errorf("%s: open %v, opens %q, %q", tt.name, tt.schedule.Open(now), opens, tt.schedule.Why(now))
		}
	}
}

// TestTheNextOpeningIsTheNext: it is open then, and was not a minute before, nor at
// any minute since now.
func TestTheNextOpeningIsTheNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := drawSchedule(t), drawMinute(t)
		opens := s.Opens(now)
		if s.Open(now) != opens.IsZero() && !opens.IsZero() {
			t.Fatalf("open now, and opens at %s", opens)
		}
		end := opens
		if end.IsZero() {
			end = now.Add(14 * 24 * time.Hour)
		} else if !s.Open(opens) {
			t.Fatalf("it is not open at %s", opens)
		}
		for minute := now; !s.Open(now) && minute.Before(end) && minute.Before(now.Add(14*24*time.Hour)); minute = minute.Add(time.Minute) {
			if s.Open(minute) {
				t.Fatalf("it opens at %s, which is before %s", minute, opens)
			}
		}
	})
}

// drawSchedule is a schedule of any windows in any zones.
func drawSchedule(t *rapid.T) window.Schedule {
	texts := []string{"Mon-Thu 09:00-16:00", "Fri 08:07-08:09", "Sat,Sun", "22:00-06:00", "2026-03-28..2026-03-30", "Sun 02:30-03:30"}
	zones := []string{"UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"}
	draw := rapid.Custom(func(t *rapid.T) window.Window {
		w, err := window.Parse(rapid.SampledFrom(texts).Draw(t, "text"), rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		return w
	})
	s := window.Schedule{Deny: rapid.SliceOfN(draw, 0, 2).Draw(t, "deny")}
	for _, w := range rapid.SliceOfN(draw, 0, 2).Draw(t, "allow") {
		s.Allow = append(s.Allow, window.Allowed{Window: w, Except: rapid.SliceOfN(draw, 0, 1).Draw(t, "except")})
	}
	return s
}

// drawMinute is a minute around a night in which clocks go forward.
func drawMinute(t *rapid.T) time.Time {
	return time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 20*24*60).Draw(t, "minute")) * time.Minute)
}

// TestTheNextClosingIsTheNext: it is closed then, and open at every minute until then.
func TestTheNextClosingIsTheNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSchedule(t)
		now := drawMinute(t)
		closes := s.Closes(now)
		if !s.Open(now) {
			if !closes.IsZero() {
				t.Fatalf("closed now, and closes at %s", closes)
			}
			return
		}
		end := closes
		if end.IsZero() {
			end = now.Add(7 * 24 * time.Hour)
		} else if s.Open(closes) {
			t.Fatalf("it is open at %s", closes)
		}
		for minute := now; minute.Before(end); minute = minute.Add(time.Minute) {
			if !s.Open(minute) {
				t.Fatalf("it closes at %s, which is before %s", minute, closes)
			}
		}
	})
}

func BenchmarkOpens(b *testing.B) {
	s := window.Schedule{Allow: []window.Allowed{{Window: parse(b, "Mon-Thu 09:00-16:00", "Europe/Berlin"), Except: []window.Window{parse(b, "2026-12-01..2027-11-30", "UTC")}}}}
	now := at(b, "2026-12-01T10:00:00Z")
	for b.Loop() {
		s.Opens(now)
	}
}
