package checklist

import (
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// MaxReply bounds the answer to a comment, in bytes; what marks it as ours comes besides.
const MaxReply = 65_000

// maxRunning is how many rows the answer to /status has; who wants more names an
// environment.
const maxRunning = 100

// Running is what an app has in one cluster of an environment.
type Running struct {
	App, Env string
	ClusterStatus
	MergedAt time.Time // when this version was merged; zero where that is not known
	Pull     int       // that merged it
	Coming   []Coming  // what is on its way to the environment
}

// Coming is a promotion that is not deployed yet.
type Coming struct {
	Tag   string
	Pull  int    // 0: not open yet
	State string // "proposed", "open", "merged"
}

// words say how far it is.
func (c Coming) words() string {
	text := cell(c.Tag)
	if c.Pull > 0 {
		text += fmt.Sprintf(" (#%d, %s)", c.Pull, Escape(c.State))
	}
	return text
}

// RenderStatus answers /status: a row for each cluster of each app.
func RenderStatus(rows []Running) string {
	var b strings.Builder
	b.WriteString("| | App | Environment | Cluster | Version | Digest | Merged | State | Healthy since | On its way |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for i, r := range rows {
		if i == maxRunning {
			fmt.Fprintf(&b, "| | and %d more: name an environment | | | | | | | | |\n", len(rows)-i)
			break
		}
		merged := since(r.MergedAt)
		if r.Pull > 0 {
			merged = fmt.Sprintf("%s, #%d", merged, r.Pull)
		}
		var coming []string
		for _, c := range r.Coming {
			coming = append(coming, c.words())
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.icon(), Escape(r.App), Escape(r.Env), Escape(r.Cluster),
			cell(r.Tag), cell(image.ShortDigest(r.Digest)), merged, Escape(r.words()), since(r.Since), strings.Join(coming, ", "))
	}
	return cutLines(b.String(), MaxReply)
}

// Change is what a version changes in an environment.
type Change struct {
	App, Env string
	Old, New image.Ref
	Pull     int    // that brings it; 0: none yet
	Diff     string // of the file that carries the version, unified
	Rendered string // what changes in the clusters: finished Markdown, bounded
	Unknown  string // why that cannot be told, plain text
}

// RenderChange answers /diff.
func RenderChange(c Change) string {
	var b strings.Builder
	from := version(c.Old)
	if from == "" {
		from = "nothing"
	}
	fmt.Fprintf(&b, "**%s** in **%s**, from %s to %s", Escape(c.App), Escape(c.Env), Code(from), Code(version(c.New)))
	if c.Pull > 0 {
		fmt.Fprintf(&b, " (#%d).\n\n", c.Pull)
	} else {
		fmt.Fprintf(&b, ", if somebody asked for it: %s.\n\n", Code(fmt.Sprintf("/promote %s %s %s", c.Env, c.App, c.New.Tag)))
	}
	if c.Unknown != "" {
		fmt.Fprintf(&b, "%s\n", Escape(c.Unknown))
	}
	b.WriteString(c.Rendered + "\n" + changes(cutLines(c.Diff, maxOutput/4)))
	return cutLines(strings.TrimSpace(b.String()), MaxReply)
}
