package clustertest

import "syscall"

// dieWithParent has the kernel end the child when the thread that started it
// does; the closed standard input ends it anyway, this only is quicker.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
