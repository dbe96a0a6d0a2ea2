// Package clustertest runs a real Kubernetes control plane for tests and for the
// demo: etcd, kube-apiserver and the controllers, with one simulated node, in a
// process of its own. The binary is compiled from the nested module controlplane
// beside this file (minutes the first time, then kept in the cache directory).
//
// It does not import testing, because the demo links it.
package clustertest
