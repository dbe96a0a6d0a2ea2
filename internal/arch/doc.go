// Package arch holds the test that keeps the house's floors: imports point down
// only, and rooms on one floor do not know each other.
package arch
