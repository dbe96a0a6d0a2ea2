// Package nested gets the outside programs that the demo and the tests run on:
// it builds the nested Go modules of this checkout, and fetches npm packages,
// into one cache directory, once per content.
//
// Building takes minutes and several processes may ask at the same time (go
// test runs packages side by side), so every entry has a lock file. Whoever
// holds it builds into a temporary name beside the entry and renames; an entry
// that exists is therefore whole, and readers of a finished one need no lock.
package nested
