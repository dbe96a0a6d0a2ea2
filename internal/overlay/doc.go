// Package overlay finds what carries a version in an env repo's files (images,
// charts, revisions of remote bases) and splices it byte for byte.
//
// A YAML round trip rewrites people's files: it joins blank lines, re-indents,
// turns CRLF into LF and drops byte order marks. So nothing here is ever printed
// from a tree. The tree only says where a scalar stands (go-yaml counts lines
// from one, columns in runes, and leaves a byte order mark out); the bytes of
// that scalar are replaced, and the result is parsed again to prove that nothing
// else reads differently than before. What cannot be proven is refused, with
// file, line and reason.
//
// Every place with a version is a Site, whatever kind of file it stands in:
//
//	kustomization.go, entry.go  images:, remote bases, helmCharts:, inline patches
//	manifest.go                 image: in Kubernetes objects and patches
//	helmvalues.go, chart.go     Helm values, Chart.yaml
//	flux.go, argo.go            HelmRelease, OCIRepository; Application, ApplicationSet
//
// The rest is the same for all: match.go says which sites a name means, pin.go
// what they shall hold, splice.go writes it, guard.go compares. inlay.go leads
// from YAML inside a string to the bytes of its file.
package overlay
