package command

// PruneOK says yes to the deletion of a list that Tagboat has shown: what is in a cluster
// and not in Git any more.
type PruneOK struct {
	Line, Env     string
	First, Second string // [app] <code> as written; see Resolve
}

// Source is the line that the person wrote.
func (c PruneOK) Source() string { return c.Line }

// Verb is the word of the table.
func (PruneOK) Verb() string { return "prune-ok" }

// Environment is the one that the command names.
func (c PruneOK) Environment() string { return c.Env }

// Resolve says what the arguments after the environment mean: of two, the first is the
// app. app is "" where it was not given.
func (c PruneOK) Resolve() (app, code string) {
	if c.Second != "" {
		return c.First, c.Second
	}
	return "", c.First
}
