// Command helm is the Helm CLI, at the version of the engine that Tagboat renders
// with, for tests that compare the two.
//
// It is a module of its own so that Tagboat does not depend on what it needs.
package main

import (
	"errors"
	"log/slog"
	"os"

	"helm.sh/helm/v4/pkg/cmd"
)

func main() {
	root, err := cmd.NewRootCmd(os.Stdout, os.Args[1:], cmd.SetupLogging)
	if err == nil {
		err = root.Execute() // says itself what is wrong
	} else {
		slog.Error(err.Error())
	}
	if exit, ok := errors.AsType[cmd.CommandError](err); ok {
		os.Exit(exit.ExitCode)
	}
	if err != nil {
		os.Exit(1)
	}
}
