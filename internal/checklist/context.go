package checklist

import (
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// Upstream is what an environment runs that has to run the same digest first.
type Upstream struct {
	Env         string
	Tag, Digest string // what runs there; "" where nothing is known to
	Wanted      bool   // it is the digest that is promoted
	Healthy     bool
	Since       time.Time     // of its being healthy with it
	Soak        time.Duration // how long it has to be
	Reason      string        // why it is not healthy, plain text
}

// upstream is a line per environment. Times are absolute: how long there is left
// would make the text another one at every look.
func upstream(p Pull) string {
	var lines []string
	for _, u := range p.Upstream {
		lines = append(lines, "- **"+Escape(u.Env)+"** "+u.state())
	}
	return strings.Join(lines, "\n")
}

func (u Upstream) state() string {
	if u.Digest == "" {
		return "is not known to run anything yet."
	}
	text := "runs " + Code(strings.TrimLeft(image.Ref{Tag: u.Tag, Digest: image.ShortDigest(u.Digest)}.String(), ":@"))
	switch {
	case !u.Wanted:
		return text + ", which is not what is promoted here."
	case !u.Healthy:
		return text + ", and is not healthy: " + Escape(cutRunes(clean(u.Reason), maxReason))
	case u.Soak == 0:
		return text + ", healthy since " + instant(u.Since) + "."
	}
	return fmt.Sprintf("%s, healthy since %s. It has to stay so for %s, until %s.", text, instant(u.Since), span(u.Soak), instant(u.Since.Add(u.Soak)))
}

// span is a duration as people write it: "1h", not "1h0m0s".
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// goingBack is how to return to what was there before.
func goingBack(p Pull) string {
	if p.Old.Tag == "" && p.Old.Digest == "" {
		return "There is no earlier version here to go back to."
	}
	before := Code(strings.TrimLeft(image.Ref{Tag: p.Old.Tag, Digest: p.Old.Digest}.String(), ":@"))
	return "Before this there is " + before + ". After the merge, press **Revert** on this pull request and merge the one that GitHub makes of it" +
		" (or `git revert` the merge commit, which the comment about the clusters names): that is one commit, the check `tagboat` lets it pass" +
		" because the version was here before, and the clusters follow."
}
