package envrepo

import (
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/tagboat/tagboat/internal/health"
)

// File is where an env repo keeps its configuration.
const File = "tagboat.yaml"

// APIVersion is the only version of the format so far.
const APIVersion = "tagboat.dev/v1"

// DefaultDiscover is where apps are looked for when the file names none.
const DefaultDiscover = "apps/{app}/overlays/{env}"

// Config is tagboat.yaml. A Config that Parse returned is valid.
type Config struct {
	APIVersion   string        `yaml:"apiVersion"`
	Apps         []App         `yaml:"apps"`
	Environments []Environment `yaml:"environments"`
	Clusters     []Cluster     `yaml:"clusters"`
	Ignore       []Ignored     `yaml:"ignore"`   // what may differ in clusters from Git
	Policies     *Policies     `yaml:"policies"` // nil: the built-in rules as they are by default
	Health       []health.Rule `yaml:"health"`   // of kinds that say in their own way how they are
}

// Ignored are changes in clusters that are no drift. All that it names has to fit; what
// it leaves out fits always.
type Ignored struct {
	App       string   `yaml:"app"`
	Env       string   `yaml:"env"`
	Kind      string   `yaml:"kind"` // a pattern as in path.Match, as the next two: "Deployment", "*WebhookConfiguration"
	Namespace string   `yaml:"namespace"`
	Name      string   `yaml:"name"`
	Fields    []string `yaml:"fields"`   // "spec.replicas", "spec.containers[name=web].image", or as JSON pointers
	Managers  []string `yaml:"managers"` // patterns of field managers: "vpa-*"
}

// App says where versions stand and what is rendered: either a pattern that
// finds many apps, or one named app.
//
// A directory pattern finds overlays. A pattern that ends in .yaml or .yml finds
// the files that carry the version, such as Helm values, and the overlay is the
// directory that they are in.
type App struct {
	Discover string   `yaml:"discover"` // "apps/{app}/overlays/{env}", "helm/{app}/values-{env}.yaml"
	Name     string   `yaml:"name"`
	Path     string   `yaml:"path"`   // "services/catalog/overlays/{env}"
	File     string   `yaml:"file"`   // what carries the version, when that is not the kustomization in Path
	Images   []string `yaml:"images"` // without tag; empty means those of the file
	Charts   []string `yaml:"charts"` // whose version moves, instead of images: "registry.example.com/charts/payments"
	Helm     *Helm    `yaml:"helm"`   // rendered instead of a kustomization

	line int // in tagboat.yaml, from 1; 0 when it was not read from there
}

// Helm is the chart and the values that a pair is rendered from. In tagboat.yaml
// its strings may hold {app}, {env} and {cluster}; in a Pair they are filled in.
type Helm struct {
	Chart     string   `yaml:"chart"`     // a directory of the repository, or oci://host/repository@sha256:...
	Values    []string `yaml:"values"`    // files of the repository; later ones win
	Release   string   `yaml:"release"`   // "" is the app's name
	Namespace string   `yaml:"namespace"` // "" is default
}

// Environment is one stage that artifacts move through.
type Environment struct {
	Name       string      `yaml:"name"`
	Branch     string      `yaml:"branch"` // of the env repo; "" is the default branch
	Follow     *Follow     `yaml:"follow"` // nil: a person says /promote
	Needs      []Need      `yaml:"needs"`
	Merge      string      `yaml:"merge"` // MergeAuto or MergeManual
	Approvals  Approvals   `yaml:"approvals"`
	Checklist  Checklist   `yaml:"checklist"`
	Checks     []string    `yaml:"checks"` // names of check runs or status contexts
	Clusters   []string    `yaml:"clusters"`
	Pin        string      `yaml:"pin"`        // tag, digest or tag+digest; "" is tag+digest
	Refs       bool        `yaml:"refs"`       // remote bases whose revision equals the old tag follow to the new one
	Policies   *Strictness `yaml:"policies"`   // over those of the file
	DryRun     string      `yaml:"dryRun"`     // enforce, warn or off; "" is enforce where Tagboat reaches a cluster of it
	Windows    []Window    `yaml:"windows"`    // when it may change; none is at any time
	Override   *Override   `yaml:"override"`   // who may override gates; nil: nobody
	Rollback   *Rollback   `yaml:"rollback"`   // its fast lane back; nil: as it is by default
	Signatures []Signature `yaml:"signatures"` // that an image must carry, all of them
	Commands   Commands    `yaml:"commands"`   // who may use which comment command; see Keeps for the others
	Drift      string      `yaml:"drift"`      // report, heal or off; "" is report
	Force      string      `yaml:"force"`      // whose fields a sync may take: ForcePeople; "" is nobody's
	Adopt      string      `yaml:"adopt"`      // what is in a cluster already and nobody's: ask or always; "" is ask
	Waves      []Wave      `yaml:"waves"`      // in which its clusters change one after the other; none: all at once
	Metrics    []Metric    `yaml:"metrics"`    // that have to hold in each of its clusters for it to be healthy
}

// Who merges when every gate passes: Tagboat, or a person.
const (
	MergeAuto   = "auto"
	MergeManual = "manual"
)

// What a dry run in the clusters does before a merge: it has to succeed, it is shown,
// or there is none.
const (
	DryRunEnforce = "enforce"
	DryRunWarn    = "warn"
	DryRunOff     = "off"
)

// What becomes of a change that somebody makes in a cluster, past Git: it is told, it is
// told and taken back, or nobody looks.
const (
	DriftReport = "report"
	DriftHeal   = "heal"
	DriftOff    = "off"
)

// ForcePeople lets a sync take back fields that people hold, by kubectl and the like.
// Those of another deployer, of a controller or of another installation it never takes.
const ForcePeople = "people"

// What becomes of what a cluster has already, nobody deploys, and Git has otherwise: a person
// is asked, or it is taken over as it comes.
const (
	AdoptAsk    = "ask"
	AdoptAlways = "always"
)

// Follow makes an environment open its pull requests by itself, for new tags or
// for what another environment runs. Exactly one of the fields is set.
type Follow struct {
	Semver string `yaml:"semver"` // a constraint such as ">=1.0.0-0"
	Env    string `yaml:"env"`
}

// Need is an environment in which the same digest must have run first.
type Need struct {
	Env     string        `yaml:"env"`
	Healthy time.Duration `yaml:"healthy"` // contiguous
}

// Approvals are the rules for an environment's reviews, which all have to hold. In
// tagboat.yaml it is one rule, or a list of them.
type Approvals []ApprovalRule

// Asked reports whether any approval is asked for.
func (a Approvals) Asked() bool {
	for _, r := range a {
		if r.Count > 0 {
			return true
		}
	}
	return false
}

// ApprovalRule is how many reviews are needed and whose count. With neither teams,
// users nor code owners everybody with write permission counts.
type ApprovalRule struct {
	Name       string   `yaml:"name"` // for people, where there are several
	Count      int      `yaml:"count"`
	Teams      []string `yaml:"teams"`      // slugs, without the organisation
	Users      []string `yaml:"users"`      // logins
	CodeOwners bool     `yaml:"codeowners"` // the owners of the changed file, by CODEOWNERS
	Allow      []string `yaml:"allow"`      // whose approval counts all the same: AllowRequester, AllowBuilder
}

// Who had a part in a promotion, and does not count as its approver unless allowed.
const (
	AllowRequester = "requester"
	AllowBuilder   = "builder"
)

// Checklist says whose ticks of the pull request template's items count. With neither
// teams nor users those of everybody with write permission do.
type Checklist struct {
	Teams []string `yaml:"teams"` // slugs, without the organisation
	Users []string `yaml:"users"` // logins
}

// Cluster adds to a cluster that an environment names.
type Cluster struct {
	Name string `yaml:"name"`
	Path string `yaml:"path"` // overlay of this cluster, with {app} and {env}; "" is the pair's own
}

// Window is a time in which merging is allowed, or one in which it is not. Exactly
// one of Allow and Deny is set; package window has their grammar.
type Window struct {
	Allow    string   `yaml:"allow"`    // "Mon-Thu 09:00-16:00"
	Deny     string   `yaml:"deny"`     // "Fri 12:00-24:00", "2026-12-20..2027-01-03"
	Timezone string   `yaml:"timezone"` // an IANA name; "" is UTC
	Except   []string `yaml:"except"`   // of Allow: dates that are left out
}

// Override is who may override gates, two of them together. One of Teams and Users at
// least is set.
type Override struct {
	Teams   []string      `yaml:"teams"`   // slugs, without the organisation
	Users   []string      `yaml:"users"`   // logins
	Gates   []string      `yaml:"gates"`   // of Overridable; a valid Config names them all where the file names none
	Expires time.Duration `yaml:"expires"` // how long somebody's word holds; 0 is an hour in a valid Config
}

// Overridable are the gates that can be overridden at all; all others stand. (Package
// promotion decides; it has the same.)
var Overridable = []string{"checks", "upstream", "stop", "window"}

// How long somebody's word holds, and how long it can.
const (
	overrideExpires = time.Hour
	maxOverride     = 24 * time.Hour
)

// Wave is a group of an environment's clusters that change together, when the waves
// before it are healthy with the same. In tagboat.yaml it is a list of clusters, or an
// object.
type Wave struct {
	Clusters []string      `yaml:"clusters"`
	Healthy  time.Duration `yaml:"healthy"` // contiguous, before the next wave starts
}

// Wave is the number of a cluster's wave, from 1; 0 where the environment has none.
func (e Environment) Wave(cluster string) int {
	return 1 + slices.IndexFunc(e.Waves, func(w Wave) bool { return slices.Contains(w.Clusters, cluster) })
}

// Environment is the environment of that name.
func (c *Config) Environment(name string) (Environment, bool) {
	for _, e := range c.Environments {
		if e.Name == name {
			return e, true
		}
	}
	return Environment{}, false
}

// Follows reports whether an environment takes a new tag by itself. A tag counts
// as a version when it is a full semantic version, with or without a leading v;
// "1.7" or a date is none, because the constraint could only guess.
// An environment that follows another one takes no tag by itself.
func (c *Config) Follows(env Environment, tag string) bool {
	if env.Follow == nil || env.Follow.Semver == "" {
		return false
	}
	constraint, err := semver.NewConstraint(env.Follow.Semver)
	if err != nil {
		return false
	}
	version, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
	return err == nil && constraint.Check(version)
}

// Downstream lists the environments that need or follow env, in file order.
func (c *Config) Downstream(env string) []Environment {
	var down []Environment
	for _, e := range c.Environments {
		for _, up := range e.upstream() {
			if up == env {
				down = append(down, e)
				break
			}
		}
	}
	return down
}

// upstream lists the environments that e waits for.
func (e Environment) upstream() []string {
	var up []string
	for _, n := range e.Needs {
		up = append(up, n.Env)
	}
	if e.Follow != nil && e.Follow.Env != "" {
		up = append(up, e.Follow.Env)
	}
	return up
}

// OverlayFor is the directory that is rendered for a pair on one cluster: the
// cluster's own path where it has one, else what the app's pattern found for that
// cluster, else the pair's overlay.
func (c *Config) OverlayFor(pair Pair, cluster string) string {
	for _, cl := range c.Clusters {
		if cl.Name == cluster && cl.Path != "" {
			return fill(cl.Path, pair.App, pair.Env, cl.Name)
		}
	}
	if dir, ok := pair.Overlays[cluster]; ok {
		return dir
	}
	return pair.Path
}
