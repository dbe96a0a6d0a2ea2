//go:build !linux

package nested

import "syscall"

// dieWithParent does nothing: only Linux can.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
