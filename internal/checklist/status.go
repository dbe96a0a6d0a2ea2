package checklist

import (
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// StatusMarker is the first line of the one comment that follows a merge, where that was
// of one app.
const StatusMarker = "<!-- tagboat:status -->"

// Status is where a merged promotion runs.
type Status struct {
	Of          string // the app, where the pull request brought others, too; else ""
	App, Env    string
	Tag, Digest string
	Commit      string // the merge commit
	Clusters    []ClusterStatus
	Overridden  []Gate // those that did not pass when it was merged
}

// Marker is the first line of the comment: one for each app.
func (s Status) Marker() string {
	if s.Of == "" {
		return StatusMarker
	}
	return "<!-- tagboat:status " + name(s.Of) + " -->"
}

// Phase is how far one cluster is.
type Phase string

const (
	Pending Phase = "pending"
	Syncing Phase = "syncing"
	Healthy Phase = "healthy"
	Failed  Phase = "failed"
)

// ClusterStatus is one line of the comment.
type ClusterStatus struct {
	Cluster     string
	Tag, Digest string // what runs there
	Commit      string // of the env repo, which was applied
	Phase       Phase
	Reason      string    // plain text
	Waits       string    // for which earlier wave, to get what is in Git; plain text
	Notes       []string  // what people should know besides; plain text
	Since       time.Time // of the phase
}

var phaseIcons = map[Phase]string{Pending: "⏳", Syncing: "🔄", Healthy: "✅", Failed: "❌"}

// RenderSticky renders the comment that follows a merge: a line per cluster.
func RenderSticky(s Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n**%s** %s in **%s**, commit %s\n\n", s.Marker(), Escape(s.App), Code(version(image.Ref{Tag: s.Tag, Digest: s.Digest})), Escape(s.Env), Code(shortCommit(s.Commit)))
	b.WriteString(clusterTable(s.Clusters))
	for i, g := range s.Overridden {
		if i == 0 {
			b.WriteString("\nMerged although not every gate passed:\n\n")
		}
		fmt.Fprintf(&b, "- %s %s: %s\n", icon(Overridden), link(Escape(g.title()), g.URL), Escape(cutRunes(clean(g.Reason), maxReason)))
	}
	return cutLines(b.String(), maxOutput)
}

// clusterTable has a row per cluster: what runs there, and how it is.
func clusterTable(clusters []ClusterStatus) string {
	var b strings.Builder
	b.WriteString("| | Cluster | Version | Digest | Commit | State | Since |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, c := range clusters {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", c.icon(), Escape(c.Cluster),
			cell(c.Tag), cell(image.ShortDigest(c.Digest)), cell(shortCommit(c.Commit)), Escape(c.words()), since(c.Since))
	}
	return b.String()
}

func (c ClusterStatus) icon() string {
	if i := phaseIcons[c.Phase]; i != "" && (c.Waits == "" || c.Phase != Healthy) {
		return i
	}
	return phaseIcons[Pending]
}

// words say how a cluster is: one that waits for its turn, with what it has.
func (c ClusterStatus) words() string {
	words := string(c.Phase)
	if c.Reason != "" {
		words += ": " + cutRunes(clean(c.Reason), maxReason)
	}
	if c.Waits != "" {
		words += "; " + cutRunes(clean(c.Waits), maxReason)
	}
	for _, note := range c.Notes {
		words += "; " + cutRunes(clean(note), maxNote)
	}
	return words
}

// maxNote is longer than a reason: it ends with what can be done.
const maxNote = 3000

func shortCommit(sha string) string { return sha[:min(len(sha), 12)] }
