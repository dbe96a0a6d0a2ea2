//go:build !linux

package main

import "syscall"

// dieWithParent cannot be promised here: the children end with an orderly exit only.
func dieWithParent(*syscall.SysProcAttr) {}
