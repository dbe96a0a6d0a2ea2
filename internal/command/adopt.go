package command

// Adopt says yes to taking over a list that Tagboat has shown: what is in a cluster already,
// was not made by Tagboat, and would be changed by what is in Git.
type Adopt struct {
	Line, Env     string
	First, Second string // [app] <code> as written; see Resolve
}

// Source is the line that the person wrote.
func (c Adopt) Source() string { return c.Line }

// Verb is the word of the table.
func (Adopt) Verb() string { return "adopt" }

// Environment is the one that the command names.
func (c Adopt) Environment() string { return c.Env }

// Resolve says what the arguments after the environment mean: of two, the first is the
// app. app is "" where it was not given.
func (c Adopt) Resolve() (app, code string) {
	if c.Second != "" {
		return c.First, c.Second
	}
	return "", c.First
}
