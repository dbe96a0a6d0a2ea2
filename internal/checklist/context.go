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
	switch {
	case p.Set != nil && p.Undone.Back():
		return p.Set.each(afterwards)
	case p.Set != nil:
		return p.Set.goingBack(p)
	case p.Undone.Back():
		return afterwards(p)
	case p.Old.Tag == "" && p.Old.Digest == "":
		return "There is no earlier version here to go back to."
	}
	before := Code(strings.TrimLeft(image.Ref{Tag: p.Old.Tag, Digest: p.Old.Digest}.String(), ":@"))
	return "Before this there is " + before + ". After the merge, comment " + Code("/rollback "+name(p.Env)+" "+name(p.App)+" <reason>") +
		": Tagboat reverts the merge commit on the fast lane, denies this version here and puts the app on hold." +
		" Pressing **Revert** on this pull request, or `git revert`, is taken for the same: the check `tagboat` lets it pass" +
		" because the version was here before, and the clusters follow."
}

// Carried is what a cluster has not been brought to yet, so that the merge brings it
// along: its last sync that succeeded was at an older commit.
type Carried struct {
	Cluster string
	Commit  string   // of that sync; "" where none has succeeded
	Objects []string // plain text: "Deployment payments/api changed"
	More    int      // objects that are not among them
	Unknown string   // why it is not known what there is, plain text
	Why     string   // why the last sync failed, plain text; "" where it waits
	Waits   string   // for which earlier wave, a sentence of plain text
}

// MaxCarried is how many objects are named of each cluster.
const MaxCarried = 5

const (
	maxClusters = 5
	maxBehind   = 200 // characters of why a cluster is behind
)

// carries warns of what comes along with the image; "" where nothing does.
func carries(p Pull) string {
	if len(p.Carries) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("> [!WARNING]\n> **More than the image would reach the clusters.** What is merged already and has not arrived comes along with the sync of this merge.\n")
	for i, c := range p.Carries {
		if i == maxClusters {
			fmt.Fprintf(&b, "> - and %d more clusters\n", len(p.Carries)-i)
			break
		}
		b.WriteString("> - " + c.line() + "\n")
	}
	return b.String()
}

func (c Carried) line() string {
	text := "**" + Escape(c.Cluster) + "** "
	switch {
	case c.Commit == "":
		text += "was never brought to any commit, so that all of the overlay is new there."
	case c.Unknown != "":
		text += "was last brought to commit " + Code(shortCommit(c.Commit)) + "; it is not known what has changed since: " + Escape(cutRunes(clean(c.Unknown), maxBehind))
	default:
		var named []string
		for _, o := range c.Objects[:min(len(c.Objects), MaxCarried)] {
			named = append(named, Code(cutRunes(clean(o), maxCommitTitle)))
		}
		if c.More += len(c.Objects) - len(named); c.More > 0 {
			named = append(named, fmt.Sprintf("%d more", c.More))
		}
		text += "was last brought to commit " + Code(shortCommit(c.Commit)) + "; since then: " + and(named) + "."
	}
	if c.Why != "" {
		text += " It is behind because its last sync failed: " + Escape(cutRunes(clean(c.Why), maxBehind))
	}
	if c.Waits != "" {
		text += " It is behind for its turn has not come: " + Escape(cutRunes(clean(c.Waits), maxBehind))
	}
	return text
}
