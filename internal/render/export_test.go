package render

import (
	"fmt"
	"os"
)

// RunIfMischievous is RunIfChild for a child that does what a build never should:
// what the name of its source's directory says.
func RunIfMischievous() {
	if limit, ok := os.LookupEnv(childVariable); ok && len(os.Args) > 1 && os.Args[1] == "mischief" {
		runChild(limit, mischief)
	}
}

// RunIfUnguarded is RunIfChild for a child that says that it runs without seccomp.
func RunIfUnguarded() {
	if limit, ok := os.LookupEnv(childVariable); ok && len(os.Args) > 1 && os.Args[1] == "unguarded" {
		fmt.Fprint(os.Stderr, unguardedLine+"the kernel\x1b has none\nand more\n")
		runChild(limit, mischief)
	}
}

// RunIfFree is RunIfMischievous for a child that is not locked down.
func RunIfFree() {
	if _, ok := os.LookupEnv(childVariable); ok && len(os.Args) > 1 && os.Args[1] == "free" {
		if err := serve(os.Stdin, os.Stdout, mischief); err != nil {
			os.Exit(exitBroken)
		}
		os.Exit(exitDone)
	}
}

// MountOf is where a build sees a remote.
func MountOf(r Remote) string { return r.mount() }

// Document prints one object.
var Document = document
