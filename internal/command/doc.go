// Package command is the grammar of comments that people write to Tagboat.
//
// A command is a line of plain paragraph text, as CommonMark sees the comment:
// what stands in a quote, in code, in a heading, in a list, in a table, in a link
// or inside HTML is talk about commands, not a command (an email reply quotes
// "> /promote prod"). Anybody may comment, so what reading one costs is bounded.
//
// The verbs are one table; the parser, the help text and the documentation come from
// it, and who may use what is judged by it.
package command
