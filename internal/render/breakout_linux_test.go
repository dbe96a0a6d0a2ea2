package render

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// breakouts are what a child that was taken over would try, by name. None does harm
// where it succeeds. parent is the process that started it.
var breakouts = map[string]func(parent int) error{
	"open a file": func(int) error {
		return call(unix.SYS_OPENAT, at(unix.AT_FDCWD), text("/etc/passwd"), unix.O_RDONLY, 0)
	},
	"open it another way": func(int) error { return call(unix.SYS_OPENAT2, at(unix.AT_FDCWD), text("/etc/passwd"), 0, 0) },
	"look at a file":      func(int) error { return call(unix.SYS_STATX, at(unix.AT_FDCWD), text("/etc/passwd"), 0, 0, buffer()) },
	"read a link": func(int) error {
		return call(unix.SYS_READLINKAT, at(unix.AT_FDCWD), text("/proc/self/exe"), buffer(), 64)
	},
	"take a file away":        func(int) error { return call(unix.SYS_UNLINKAT, at(unix.AT_FDCWD), text("/nowhere/file"), 0) },
	"make a file in memory":   func(int) error { return call(unix.SYS_MEMFD_CREATE, text("x"), 0) },
	"make a socket":           func(int) error { return call(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM, 0) },
	"make a local socket":     func(int) error { return call(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_DGRAM, 0) },
	"make a pair of sockets":  func(int) error { return call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM, 0, buffer()) },
	"start a program":         func(int) error { return call(unix.SYS_EXECVE, text("/nowhere/program"), 0, 0) },
	"start it another way":    func(int) error { return call(unix.SYS_EXECVEAT, at(unix.AT_FDCWD), text("/nowhere/program"), 0, 0, 0) },
	"fork":                    func(int) error { return fork(uintptr(unix.SIGCHLD)) },
	"fork with a namespace":   func(int) error { return fork(unix.CLONE_NEWUSER | uintptr(unix.SIGCHLD)) },
	"a thread in a namespace": func(int) error { return call(unix.SYS_CLONE, unix.CLONE_THREAD|unix.CLONE_NEWNET, 0) },
	"leave a namespace":       func(int) error { return call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER) },
	"enter a namespace":       func(int) error { return call(unix.SYS_SETNS, at(-1), 0) },
	"trace":                   func(int) error { return call(unix.SYS_PTRACE, unix.PTRACE_PEEKDATA, uintptr(os.Getpid()), 0, 0) },
	"read memory":             func(int) error { return call(unix.SYS_PROCESS_VM_READV, uintptr(os.Getpid()), 0, 0, 0, 0, 0) },
	"read the parent's":       func(parent int) error { return call(unix.SYS_PROCESS_VM_READV, uintptr(parent), 0, 0, 0, 0, 0) },
	"write memory":            func(int) error { return call(unix.SYS_PROCESS_VM_WRITEV, uintptr(os.Getpid()), 0, 0, 0, 0, 0) },
	"kill the parent":         func(parent int) error { return call(unix.SYS_KILL, uintptr(parent), 0) },
	"kill all":                func(int) error { return call(unix.SYS_KILL, at(-1), 0) },
	"kill its thread":         func(parent int) error { return call(unix.SYS_TGKILL, uintptr(parent), uintptr(parent), 0) },
	"kill any thread":         func(parent int) error { return call(unix.SYS_TKILL, uintptr(parent), 0) },
	"queue a signal":          func(parent int) error { return call(unix.SYS_RT_SIGQUEUEINFO, uintptr(parent), 0, 0) },
	"hold the parent":         func(parent int) error { return call(unix.SYS_PIDFD_OPEN, uintptr(parent), 0) },
	"signal what it holds":    func(int) error { return call(unix.SYS_PIDFD_SEND_SIGNAL, at(-1), 0, 0, 0) },
	"take a file of it":       func(int) error { return call(unix.SYS_PIDFD_GETFD, at(-1), 0, 0) },
	"know the parent":         func(int) error { return call(unix.SYS_GETPPID) },

	// A file may send its owner a signal, which may be any, when there is something to read.
	"have a pipe signal the parent": func(parent int) error { return call(unix.SYS_FCNTL, 0, unix.F_SETOWN, uintptr(parent)) },
	"have it send another signal":   func(int) error { return call(unix.SYS_FCNTL, 1, unix.F_SETSIG, uintptr(unix.SIGKILL)) },
	"have it send signals at all":   func(int) error { return call(unix.SYS_FCNTL, 2, unix.F_SETFL, unix.O_ASYNC) },
	"copy a pipe":                   func(int) error { return call(unix.SYS_FCNTL, 0, unix.F_DUPFD, 10) },

	"live on without the parent": func(int) error { return call(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL)) },
	"be looked into":             func(int) error { return call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1) },
	"change the filter":          func(int) error { return call(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, 0, 0) },
	"change it another way":      func(int) error { return call(unix.SYS_SECCOMP, 99, 0, 0) },
	"lift a limit":               func(int) error { return call(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE, 0, 0) },
	"be somebody else":           func(int) error { return call(unix.SYS_SETUID, uintptr(os.Getuid())) },
	"ask a ring":                 func(int) error { return call(unix.SYS_IO_URING_SETUP, 1, buffer()) },
	"mount":                      func(int) error { return call(unix.SYS_MOUNT, 0, 0, 0, 0, 0) },
	"mount another way":          func(int) error { return call(unix.SYS_OPEN_TREE, at(-1), 0, 0) },
	"unmount":                    func(int) error { return call(unix.SYS_UMOUNT2, 0, 0) },
	"change the root":            func(int) error { return call(unix.SYS_CHROOT, 0) },
	"run in the kernel":          func(int) error { return call(unix.SYS_BPF, 99, 0, 0) },
	"watch the processor":        func(int) error { return call(unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0) },
	"handle faults":              func(int) error { return call(unix.SYS_USERFAULTFD, at(-1)) },
	"take a key":                 func(int) error { return call(unix.SYS_KEYCTL, 99, 0, 0) },
	"poison memory":              func(int) error { return call(unix.SYS_MADVISE, 1, 1, unix.MADV_HWPOISON) },
}

// withoutClone3 is a call that is answered as if the kernel did not know it.
func withoutClone3() error { return call(unix.SYS_CLONE3, 0, 0) }

func call(number uintptr, arguments ...uintptr) error {
	var a [6]uintptr
	copy(a[:], arguments)
	if _, _, errno := syscall.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

// fork makes a process that ends at once.
func fork(flags uintptr) error {
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, flags, 0, 0, 0, 0, 0)
	switch {
	case errno != 0:
		return errno
	case pid == 0:
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return nil
}

func at(fd int) uintptr { return uintptr(fd) }

// kept until the process ends: the kernel is given addresses.
var texts, buffers [][]byte

func text(s string) uintptr {
	texts = append(texts, append([]byte(s), 0))
	return uintptr(unsafe.Pointer(&texts[len(texts)-1][0]))
}

func buffer() uintptr {
	buffers = append(buffers, make([]byte, 4096))
	return uintptr(unsafe.Pointer(&buffers[len(buffers)-1][0]))
}

// breakOut tries what an argument says, as in "fork@17", where 17 is the parent.
func breakOut(what, parent string) error {
	pid, err := strconv.Atoi(parent)
	if err != nil {
		return err
	}
	if what == "clone3" {
		return withoutClone3()
	}
	return breakouts[what](pid)
}

// Breakouts are the names of what children may try.
func Breakouts() (names []string) {
	for name := range breakouts {
		names = append(names, name)
	}
	return names
}
