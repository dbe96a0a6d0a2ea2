package manifest

// Change says what became of an object or a field.
type Change string

// The three things that can happen.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
)

// Diff is what differs between two renderings, in the order of the newer one;
// what it no longer has comes last, in the order of the older one.
type Diff struct {
	Objects []ObjectDiff `json:"objects"`
}

// Empty reports whether nothing differs.
func (d Diff) Empty() bool { return len(d.Objects) == 0 }

// ObjectDiff is one object that differs. The fields of an added or a removed
// object are all that it has besides its identity.
type ObjectDiff struct {
	ID     ID     `json:"id"`
	Change Change `json:"change"`
	// Was is the object's name before, where kustomize generated both names and
	// only their hash suffixes differ. No field repeats it.
	Was    string      `json:"was,omitempty"`
	Fields []FieldDiff `json:"fields,omitempty"`
}

// FieldDiff is one field that differs, in the order of its path's keys.
type FieldDiff struct {
	// Path reads like spec.template.spec.containers[name=app].image. A path that
	// ends in [order] tells that a list has the same elements in another order.
	Path   string `json:"path"`
	Change Change `json:"change"`
	// Old and New are YAML on one line. A value that is not there is "", as both
	// are where Lines tells the difference. A masked one says "(secret)", "(binary)"
	// or "(encrypted)", and "(secret, changed)" after a change.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Lines is the difference of a text of several lines: unified, with three
	// lines of context, each line after its mark ("+", "-" or " "), "@@ line N"
	// where a hunk begins. A secret of several lines is one, here and where lines are
	// counted; a new one is "(secret, changed)" where it would look like the old one.
	Lines     []string `json:"lines,omitempty"`
	Secret    bool     `json:"secret,omitempty"`    // something in it is masked
	Reference bool     `json:"reference,omitempty"` // follows the new name of a generated object
}

// OverlayDiff is what a change does to one overlay in one cluster. App, Env and
// Cluster may be empty where nobody knows them; Path names the overlay then.
type OverlayDiff struct {
	Path, App, Env, Cluster string
	Diff                    Diff
	Err                     string // why it could not be compared
}
