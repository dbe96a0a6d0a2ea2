// Package checklist is what people read on GitHub, as values: the pull request's
// body with its checklist, the check run, the sticky comment and the answer to
// /explain. It renders them and reads the checkboxes back.
//
// A body is never edited, it is always rendered anew from the model: what a
// person changed in it counts only as a tick, and only where an invisible marker
// says which item it is. Checkboxes are read from the Markdown tree, so one in a
// code block or behind an HTML comment is none.
//
// Everything that comes from outside (tags, commits, reasons, labels of images)
// passes Escape or Code: it adds no checkbox, mention, reference, link or
// command. Templates come from the env repo's base branch and are trusted (I10);
// the values that they print are not.
package checklist
