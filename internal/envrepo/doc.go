// Package envrepo reads an env repo's tagboat.yaml, discovers its apps, and proposes
// a tagboat.yaml for a repository that has none.
//
// Reading is strict, because a misspelt gate would be no gate: an unknown field,
// a wrong type, a name that nothing carries or a gate that this version does not
// enforce makes the whole file invalid, and an invalid file means no (I10). All
// problems are told at once, each with its line and with what would be right.
//
// An overlay that cannot be read is a problem of its own pair only: one broken
// directory must not stop the others.
//
// A proposal guesses from names alone. It prefers the pattern that explains most
// files, leaves production to people, and says what it is unsure about; whatever it
// proposes, Parse accepts.
package envrepo
