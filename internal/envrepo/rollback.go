package envrepo

// Rollback is an environment's fast lane back to what it had before. What it does not
// say is as it is by default; nil is all of it.
type Rollback struct {
	Approvals Approvals `yaml:"approvals"` // instead of the environment's; nil: see ForRollback
	Checks    string    `yaml:"checks"`    // ChecksRequire or ChecksSkip; "" is ChecksRequire
	Merge     string    `yaml:"merge"`     // MergeAuto or MergeManual; "" is the environment's
	Automatic string    `yaml:"automatic"` // AutomaticOff, AutomaticPropose or AutomaticMerge; "" is AutomaticOff
}

// Whether a rollback waits for the checks that tagboat.yaml names. Those that the branch
// requires on GitHub it always waits for: GitHub would not merge it.
const (
	ChecksRequire = "require"
	ChecksSkip    = "skip"
)

// What happens when a merged version ends unhealthy: nothing, a pull request that waits
// for people to merge it, or a rollback that merges like any other.
const (
	AutomaticOff     = "off"
	AutomaticPropose = "propose"
	AutomaticMerge   = "merge"
)

// WayBack is what is known of a rollback before it is judged.
type WayBack struct {
	Automatic bool // Tagboat proposed it by itself
	Further   bool // more is taken back than the one change that came last
}

// ForRollback is the environment as it judges a rollback. (Package promotion leaves out
// soak and windows; what is said here are the rules that people may choose.)
//
// One step back needs no approval unless the configuration asks for one: what comes was
// approved here and ran here, nothing new gets in, and afterwards the pair is on hold, so
// that whoever is alone with a broken production is not alone for long. Whoever goes
// further back could take one version after the other away: that needs the people whose
// word counts for any change of the environment.
func (e Environment) ForRollback(way WayBack) Environment {
	r := Rollback{}
	if e.Rollback != nil {
		r = *e.Rollback
	}
	if r.Approvals != nil || !way.Further {
		e.Approvals = r.Approvals
	}
	if r.Checks == ChecksSkip {
		e.Checks = nil
	}
	if r.Merge != "" {
		e.Merge = r.Merge
	}
	if way.Automatic && r.Automatic != AutomaticMerge {
		e.Merge = MergeManual
	}
	return e
}

// TakesBack reports whether what ends unhealthy is rolled back without being asked for.
func (e Environment) TakesBack() bool {
	return e.Rollback != nil && (e.Rollback.Automatic == AutomaticPropose || e.Rollback.Automatic == AutomaticMerge)
}

// rollback checks the fast lane of an environment.
func (r *reader) rollback(e *Environment, at string) {
	b := e.Rollback
	if b == nil {
		return
	}
	at += ".rollback"
	r.approvals(&Environment{Name: e.Name, Approvals: b.Approvals}, at)
	if b.Checks != "" {
		r.oneOf(at+".checks", b.Checks, ChecksRequire, ChecksSkip)
	}
	if b.Merge != "" {
		r.oneOf(at+".merge", b.Merge, MergeAuto, MergeManual)
	}
	if b.Automatic != "" {
		r.oneOf(at+".automatic", b.Automatic, AutomaticOff, AutomaticPropose, AutomaticMerge)
	}
}
