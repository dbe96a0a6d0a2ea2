// Package child starts a process that does not outlive this one, however this one
// ends; and it keeps an address for one that is ended and started again.
package child
