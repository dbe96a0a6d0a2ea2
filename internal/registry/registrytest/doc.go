// Package registrytest runs a real CNCF Distribution registry on loopback, with
// its real notifications, for tests and the demo.
//
// The registry is compiled from the nested module in distribution/, once, into
// the cache directory of package nested. It inherits a socket that is already
// listening, so no other process can take its port and nobody finds it closed.
// It dies with the process that started it.
package registrytest
