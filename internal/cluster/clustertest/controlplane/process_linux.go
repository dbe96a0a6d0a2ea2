package main

import (
	"runtime"
	"syscall"
)

// Pdeathsig is bound to the thread that forks, so main stays on its own.
func init() { runtime.LockOSThread() }

// dieWithParent has the kernel kill the child when this process ends, however.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
