package child

import (
	"os/exec"
	"syscall"
)

// bind has the kernel signal the child when the thread that forks it ends.
func bind(cmd *exec.Cmd, last syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = last
}
