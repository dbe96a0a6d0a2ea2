// Package rendertest is what rendering is measured against: the kustomize and helm
// command lines, built from source, and env repos of any size.
package rendertest
