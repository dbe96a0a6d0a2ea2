// Package child starts a process that does not outlive this one, however this one
// ends.
package child
