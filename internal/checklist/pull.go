package checklist

import (
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// Verdict is what a gate says.
type Verdict string

const (
	Pass Verdict = "pass"
	Wait Verdict = "wait"
	Fail Verdict = "fail"

	// Overridden does not pass, and does not block.
	Overridden Verdict = "overridden"
)

// Gate is one condition for merging.
type Gate struct {
	Name      string // "digest", "checks", "checklist", "approvals", "upstream"
	Title     string // "Digest"
	Verdict   Verdict
	Reason    string        // plain text
	Missing   int           // how many approvals, items, checks are still to come; 0 where nothing is counted
	Owner     string        // who can act: "team platform", "Tagboat"
	Since     time.Time     // of the verdict; zero where that is not known
	NextCheck time.Time     // zero where an event wakes it
	Every     time.Duration // how often it is looked at again while it does not pass; zero where NextCheck or an event says when
	URL       string
}

// HumanGate is the gate that waits for people's ticks. It has no item of its own.
const HumanGate = "checklist"

// Tick is a person's tick of one human item.
type Tick struct {
	By string // login
	At time.Time
}

// Superseded is a version whose place this pull request's took.
type Superseded struct {
	Tag, Digest string
	CommitURL   string // of the commit that carried it; "" where none did
	RequestedBy string // login; "" is automatic
	RequestURL  string // where it was asked for; of the CI run, where nobody asked
	At          time.Time
}

// Pull is one promotion as people see it.
type Pull struct {
	App, Env     string
	Image        string // name of the image that is set
	Old, New     image.Ref
	SourceRepo   string // "acme/payments"
	SourceCommit string
	RunURL       string // of the CI run that built it
	RequestedBy  string // login; "" is automatic
	RequestURL   string // where they asked
	Reason       string // why this pull request exists, plain text
	Undone       Undone // what it takes back
	Gates        []Gate
	Ticks        map[string]Tick // by id of the human item
	Supersedes   []Superseded
	Diff         string    // unified
	Rendered     string    // what changes in the clusters: finished Markdown, bounded
	DryRuns      []DryRun  // what the clusters would say to it
	Carries      []Carried // what else the merge brings to clusters that are behind
	Between      *Between  // nil: there is no version before
	Upstream     []Upstream
	Annotations  []Annotation
	Platforms    []string
	MediaType    string
	SignedBy     []string // whose signatures were asked for and found
	Set          *Set     // nil: it brings one app alone
}

// maxTitle is GitHub's limit for titles of pull requests and check runs.
const maxTitle = 255

// Title is the pull request's: "prod: payments 1.6.0 → 1.7.0", or "Roll payments in
// prod back to 1.6.0".
func Title(p Pull) string {
	if p.Set != nil {
		return p.Set.title(p)
	}
	if p.Undone.Back() {
		return rollbackTitle(p)
	}
	from, to := version(p.Old), version(p.New)
	t := name(p.Env) + ": " + name(p.App) + " " + to
	if from != "" && from != to {
		t = name(p.Env) + ": " + name(p.App) + " " + from + " → " + to
	}
	return cutRunes(t, maxTitle)
}

// version is what people call a reference: its tag, else its short digest.
func version(r image.Ref) string {
	if r.Tag != "" {
		return name(r.Tag)
	}
	return name(image.ShortDigest(r.Digest))
}

// name keeps the characters that names, tags and digests have. A title is no
// Markdown, but it becomes a commit message, in which "#1" would be a reference.
func name(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("._-/:", r):
			return r
		}
		return -1
	}, s)
}
