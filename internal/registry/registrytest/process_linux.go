package registrytest

import "syscall"

// dieWithParent makes the kernel end the child when its parent is gone, however
// the parent ended.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
