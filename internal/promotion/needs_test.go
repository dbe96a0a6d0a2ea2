package promotion

import (
	"strings"
	"testing"
	"time"
)

// Two environments side by side, with soaks of their own, both have to have the same
// digest: what splits after dev joins again before prod.
func TestTwoEnvironmentsHaveToAgree(t *testing.T) {
	in := func(env, digit string, ago time.Duration) Upstream {
		return Upstream{Env: env, Digest: digest(digit), Tag: "1." + digit, Healthy: true, HealthySince: noon.Add(-ago)}
	}
	ill := Upstream{Env: "staging-us", Digest: digest("a"), Tag: "1.a", Reason: "us is failed (CrashLoopBackOff)"}
	for _, c := range []struct {
		story   string
		up      []Upstream
		verdict Verdict
		reason  string
		next    time.Time
	}{
		{"both have it, for long enough", []Upstream{in("staging-eu", "a", time.Hour), in("staging-us", "a", 3*time.Hour)}, Pass, "staging-eu is healthy with", time.Time{}},
		{"each has a soak of its own", []Upstream{in("staging-eu", "a", 30*time.Minute), in("staging-us", "a", 2*time.Hour)}, Pass, "staging-us is healthy with", time.Time{}},
		{"the shorter one is over, the longer one is not", []Upstream{in("staging-eu", "a", time.Hour), in("staging-us", "a", time.Hour)}, Wait,
			"staging-us has to stay healthy with 1.7.0", noon.Add(time.Hour)},
		{"both soak: the next look is when the first ends", []Upstream{in("staging-eu", "a", 10*time.Minute), in("staging-us", "a", 0)}, Wait, "staging-eu has to stay healthy", noon.Add(20 * time.Minute)},
		{"one has another digest", []Upstream{in("staging-eu", "a", time.Hour), in("staging-us", "b", 3*time.Hour)}, Wait, "staging-us runs 1.b", time.Time{}},
		{"one is ill", []Upstream{in("staging-eu", "a", time.Hour), ill}, Wait, "not healthy: us is failed (CrashLoopBackOff)", time.Time{}},
		{"of one nothing is known", []Upstream{in("staging-eu", "a", time.Hour)}, Wait, "Nothing is known to run in staging-us yet", time.Time{}},
		{"what dev has by now does not matter", []Upstream{in("dev", "b", time.Minute), in("staging-eu", "a", time.Hour), in("staging-us", "a", 3*time.Hour)}, Pass, "healthy with", time.Time{}},
	} {
		f := ready()
		f.Rule.Needs = []Need{{Env: "staging-eu", Healthy: 30 * time.Minute}, {Env: "staging-us", Healthy: 2 * time.Hour}}
		f.Upstream = c.up
		g := upstreamGate(f, noon)
		if g.Verdict != c.verdict || !strings.Contains(g.Reason, c.reason) || !g.NextCheck.Equal(c.next) {
			t.Errorf("%s: %s, %q, next %s; want %s, %q, %s", c.story, g.Verdict, g.Reason, g.NextCheck, c.verdict, c.reason, c.next)
		}
	}
}

func TestWhatIsProven(t *testing.T) {
	in := func(env, digit string) Upstream {
		return Upstream{Env: env, Digest: digest(digit), Tag: "1." + digit, Healthy: true, HealthySince: noon}
	}
	for _, c := range []struct {
		story  string
		needed []Upstream
		tag    string
		why    string
	}{
		{"one environment has it", []Upstream{in("dev", "a")}, "1.a", ""},
		{"two agree", []Upstream{in("staging-eu", "a"), in("staging-us", "a")}, "1.a", ""},
		{"one calls it otherwise", []Upstream{in("staging-eu", "a"), {Env: "staging-us", Digest: digest("a"), Tag: "stable", Healthy: true}}, "1.a", ""},
		{"two differ", []Upstream{in("staging-eu", "a"), in("staging-us", "b")}, "", "staging-eu has 1.a (sha256:aaaaaaaaaaaa), staging-us has 1.b (sha256:bbbbbbbbbbbb)."},
		{"the last of three differs", []Upstream{in("a", "a"), in("b", "a"), in("c", "b")}, "", "c has 1.b"},
		{"one is ill", []Upstream{in("staging-eu", "a"), {Env: "staging-us", Digest: digest("a"), Tag: "1.a", Reason: "us waits for wave 1"}}, "", "staging-us is not healthy (us waits for wave 1)."},
		{"of one nothing is known", []Upstream{{Env: "staging-eu"}, in("staging-us", "a")}, "", "staging-eu is not healthy (nothing is known to run there)."},
		{"a digest that is not known proves nothing", []Upstream{{Env: "dev", Healthy: true}}, "", "dev is not healthy"},
		{"nothing is needed", nil, "", "no environment is needed."},
	} {
		version, why := Proven(c.needed)
		if version.Tag != c.tag || (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: %q, %q; want %q, %q", c.story, version.Tag, why, c.tag, c.why)
		}
	}
}
