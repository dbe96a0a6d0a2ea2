// Package app is the program as a value: what it is configured with, how its
// parts are wired, how it starts and stops.
package app
