// Command controlplane is a real Kubernetes control plane in one binary, for
// Tagboat's tests and its demo. It is a module of its own, so that the product
// never links k8s.io/kubernetes; package clustertest builds and runs it.
//
//	controlplane up --dir D [--max-life 20m]   a whole cluster
//	controlplane kube-apiserver FLAGS...       the stock command
//	controlplane kube-controller-manager ...   the stock command
//
// "up" runs etcd inside itself, re-executes itself as the two stock commands,
// plays scheduler and kubelet for one simulated node, writes D/kubeconfig, prints
// one JSON line on standard output when pods can be made (after about 3 s) and
// runs until its standard input is closed, it gets SIGTERM or SIGINT, a part of
// it ends, or its life is over. No container ever runs; see kubelet.go for how
// images choose what becomes of their pods.
//
// "up" then does what the lines of its standard input say, one answer each:
// "stop kube-apiserver" kills the API server, and "start kube-apiserver" starts it
// again, at its address and with all that etcd has kept.
//
// The parts are processes because each stock command wants the process's signals,
// feature gates and logging for itself. Everything listens on loopback only, on a
// port that the kernel picked, with certificates made at each start.
package main
