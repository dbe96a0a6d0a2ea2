package pages

import (
	"slices"
	"strconv"

	"github.com/tagboat/tagboat/internal/githubsim"
)

type runPage struct {
	Check githubsim.CheckView
	SHA   string
	Pull  int // whose head it is on; 0 if none
}

func (v *visit) showRun() {
	id := v.r.PathValue("id")
	run, ok := v.run(id)
	if !ok {
		v.missing("There is no check run " + id + " that counts: it never was, or a newer one of the same name stands in its place.")
		return
	}
	v.show("run", "pulls", run.Check.Name, run)
}

// run finds a check run on the head of a pull request or on the default branch.
func (v *visit) run(raw string) (runPage, bool) {
	id, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return runPage{}, false
	}
	is := func(c githubsim.CheckView) bool { return c.ID == id }
	for _, p := range slices.Backward(v.github.Pulls(v.repo)) {
		if i := slices.IndexFunc(p.Checks, is); i >= 0 {
			return runPage{p.Checks[i], p.HeadSHA, p.Number}, true
		}
	}
	log, err := v.github.Log(v.repo, "")
	if err != nil {
		return runPage{}, false
	}
	for _, commit := range log {
		checks, err := v.github.Checks(v.repo, commit.SHA)
		if i := slices.IndexFunc(checks, is); err == nil && i >= 0 {
			return runPage{Check: checks[i], SHA: commit.SHA}, true
		}
	}
	return runPage{}, false
}

// pressRun presses a button of a check run: one of its own, or "Re-run".
func (v *visit) pressRun() {
	id, err := strconv.ParseInt(v.r.PathValue("id"), 10, 64)
	if err != nil {
		v.missing("There is no check run " + v.r.PathValue("id") + ".")
		return
	}
	switch v.field("do") {
	case "rerun":
		err = v.person().RerunCheck(v.repo, id)
	case "press":
		err = v.person().PressAction(v.repo, id, v.field("action"))
	default:
		err = v.unknownDeed()
	}
	v.done(err, v.r.URL.Path, v.showRun)
}
