// Package localpg starts a PostgreSQL server of our own for the demo and the
// tests: on a unix socket in a private directory, never on the network, as an
// ordinary user (PostgreSQL refuses root), and ended with the process that
// started it.
package localpg
