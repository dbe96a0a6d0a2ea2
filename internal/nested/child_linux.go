package nested

import "syscall"

// dieWithParent has the kernel end the child when its parent is gone.
func dieWithParent(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }
