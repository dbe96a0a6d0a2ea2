package github

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// Unit is what a limit counts.
type Unit string

const (
	Points   Unit = "points"  // 1 for a read, 5 for a write
	Creating Unit = "content" // requests that create content
)

// Limit is how much of a unit may be spent in any span of a length.
type Limit struct {
	Of   Unit
	Most int
	Per  time.Duration
}

// String is "content=80/1m0s".
func (l Limit) String() string { return fmt.Sprintf("%s=%d/%s", l.Of, l.Most, l.Per) }

// Limits are all that hold for one installation. Without any, nothing is counted;
// what GitHub says of limits is still heeded.
type Limits []Limit

// GitHubLimits are those of github.com
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits).
// The points are said to be those of a single endpoint; which requests share one is
// not said, so all share them here.
var GitHubLimits = Limits{{Points, 900, time.Minute}, {Creating, 80, time.Minute}, {Creating, 500, time.Hour}}

// UnmarshalText reads "github.com", "none", or limits of one's own, as an
// administrator of a GitHub Enterprise Server may have set them:
// "points=900/1m,content=80/1m,content=500/1h".
func (ls *Limits) UnmarshalText(text []byte) error {
	switch string(text) {
	case "github.com":
		*ls = slices.Clone(GitHubLimits)
		return nil
	case "none":
		*ls = nil
		return nil
	}
	var read Limits
	for one := range strings.SplitSeq(string(text), ",") {
		l, err := parseLimit(strings.TrimSpace(one))
		if err != nil {
			return err
		}
		read = append(read, l)
	}
	*ls = read
	return nil
}

func parseLimit(text string) (l Limit, err error) {
	unit, amount, _ := strings.Cut(text, "=")
	most, per, _ := strings.Cut(amount, "/")
	l.Of = Unit(unit)
	if l.Most, err = strconv.Atoi(most); err == nil {
		l.Per, err = time.ParseDuration(per)
	}
	// With less the opening of one pull request would not fit into its share; in a
	// shorter time no request fits into a slot.
	least := map[Unit]int{Points: 100, Creating: 20}[l.Of]
	if err != nil || least == 0 || l.Most < least || l.Per < time.Second {
		return l, fault.Errorf(fault.Invalid, "%q is no limit: write github.com, none, or limits such as points=900/1m,content=80/1m,content=500/1h, "+
			"of 100 points or 20 contents and more in a second or longer", text)
	}
	return l, nil
}

// cost is what requests come to.
type cost struct{ points, content int }

func (c cost) of(u Unit) int {
	if u == Points {
		return c.points
	}
	return c.content
}

func (c cost) times(n int) cost { return cost{c.points * n, c.content * n} }

func (c cost) plus(o cost) cost { return cost{c.points + o.points, c.content + o.content} }

// costOf is what GitHub charges for one request of a class ("Calculating points for
// the secondary rate limit", docs.github.com).
func costOf(class Class) cost {
	switch class {
	case Read:
		return cost{points: 1}
	case Content:
		return cost{points: 5, content: 1}
	}
	return cost{points: 5}
}
