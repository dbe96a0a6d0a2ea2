//go:build !linux

package clustertest

import "syscall"

// dieWithParent has nothing to add here: the closed standard input ends the child.
func dieWithParent(*syscall.SysProcAttr) {}
