// Package chart inflates a Helm chart: it comes to what "helm template" prints, byte
// for byte, from files and values alone.
//
// It runs Helm's own engine, but none of Helm's doors to the world: no network, no
// disk, no programs, no environment, no cluster (lookup finds nothing). What would
// come out differently the next time is refused rather than rendered: random
// values, certificates, the time.
package chart
