package checklist

import (
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// FollowUp is an override that people should see to.
type FollowUp struct {
	App, Env string
	New      image.Ref
	Gate     string // as people read it
	Reason   string // what the gate says
	Pull     int
	Head     string // commit
	By       []Overrider
}

// Overrider is one of those who overrode a gate.
type Overrider struct {
	Login, Reason string
	At            time.Time
}

// RenderFollowUp is the body of the issue that follows an override up.
func RenderFollowUp(f FollowUp) string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** %s in **%s** (#%d) may be merged although its gate **%s** does not pass: people overrode it, for commit %s and digest %s alone.\n\n",
		Escape(f.App), Code(version(f.New)), Escape(f.Env), f.Pull, Escape(f.Gate), Code(shortCommit(f.Head)), Code(image.ShortDigest(f.New.Digest)))
	b.WriteString("| Who | Why | When |\n| --- | --- | --- |\n")
	for _, o := range f.By {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", Escape(o.Login), Escape(cutRunes(clean(o.Reason), maxReason)), instant(o.At))
	}
	fmt.Fprintf(&b, "\nThe gate: %s\n\nFind out why it did not pass, do what it would have asked for, and see to it that nobody has to override it again. Then close this issue.\n",
		Escape(cutRunes(clean(f.Reason), 2*maxReason)))
	return b.String()
}
