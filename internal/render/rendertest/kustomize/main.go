// Command kustomize is the kustomize CLI, at the version of the API that Tagboat
// renders with, for tests that compare the two.
//
// It is a module of its own so that Tagboat does not depend on what it needs.
package main

import (
	"os"

	"sigs.k8s.io/kustomize/kustomize/v5/commands"
)

func main() {
	if commands.NewDefaultCommand().Execute() != nil { // says itself what is wrong
		os.Exit(1)
	}
}
