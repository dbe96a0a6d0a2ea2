//go:build !linux

package child

import (
	"os/exec"
	"syscall"
)

// bind does nothing: this is Linux's alone.
func bind(*exec.Cmd, syscall.Signal) {}
