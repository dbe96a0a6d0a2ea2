package render

import (
	"fmt"
	"io"
	"os"
	"runtime"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// needed are the system calls of a process that computes, talks over the pipes it
// has, and ends: what Go's runtime and, where it is linked, the C library's threads
// use. A name that an architecture lacks is left out there.
var needed = []string{
	"read", "write", "readv", "writev", "close", "fstat", "lseek",
	"mmap", "munmap", "mremap", "mprotect", "mincore", "brk", "membarrier",
	"futex", "futex_time64", "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
	"nanosleep", "clock_nanosleep", "clock_nanosleep_time64", "clock_gettime", "clock_gettime64", "gettimeofday", "time",
	"epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "pipe2",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack", "restart_syscall",
	"timer_create", "timer_settime", "timer_settime64", "timer_delete", "setitimer",
	"getpid", "gettid", "getrandom", "getrusage", "set_robust_list", "rseq", "set_tid_address", "arch_prctl",
	"exit", "exit_group",
}

// lockDown takes from this process, for good, every system call that it does not
// need: it can open no file, make no socket and start no program, whatever a bug
// in krusty or Helm makes of a malicious file. Where the kernel has no seccomp, a
// line says so and the process goes on: the network and programs are still out of
// reach for anything that does not mean harm.
func lockDown(log io.Writer) {
	if err := filterCalls(); err != nil {
		fmt.Fprintln(log, unguardedLine+err.Error())
	}
}

func filterCalls() error {
	mayDo, err := policy(os.Getpid())
	if err != nil {
		return err
	}
	runtime.LockOSThread() // no_new_privs is the thread's; the filter takes it along to the others
	defer runtime.UnlockOSThread()
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: mayDo})
}

// namespaces are the flags by which a thread would see another world than its process.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// policy is what the process of an id may do.
func policy(pid int) (seccomp.Policy, error) {
	here, err := arch.GetInfo("")
	if err != nil {
		return seccomp.Policy{}, err
	}
	allowed := seccomp.SyscallGroup{Action: seccomp.ActionAllow}
	for _, name := range needed {
		if _, ok := here.SyscallNames[name]; ok {
			allowed.Names = append(allowed.Names, name)
		}
	}
	allowed.NamesWithCondtions = []seccomp.NameWithConditions{
		with("clone", argument(0, seccomp.BitsSet, unix.CLONE_THREAD), argument(0, seccomp.BitsNotSet, namespaces)),
		with("tgkill", argument(0, seccomp.Equal, uint64(pid))),
		with("prctl", argument(0, seccomp.Equal, unix.PR_SET_VMA)),
		// For a pipe that does not block; other commands of fcntl could have it send any
		// process a signal, the parent SIGKILL.
		with("fcntl", argument(1, seccomp.Equal, unix.F_GETFL)),
		with("fcntl", argument(1, seccomp.Equal, unix.F_SETFL), argument(2, seccomp.BitsNotSet, unix.O_ASYNC)),
		with("madvise", argument(2, seccomp.LessThan, unix.MADV_HWPOISON)), // the advice beyond is for tests of the machine's memory
	}
	// No filter can see the flags of clone3; the C library falls back to clone when
	// it is told that there is none.
	missing := seccomp.SyscallGroup{Names: []string{"clone3"}, Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)}
	return seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{allowed, missing}}, nil
}

// with allows a call where all conditions hold.
func with(name string, conditions ...seccomp.Condition) seccomp.NameWithConditions {
	return seccomp.NameWithConditions{Name: name, Conditions: conditions}
}

func argument(n uint32, is seccomp.Operation, value uint64) seccomp.Condition {
	return seccomp.Condition{Argument: n, Operation: is, Value: value}
}

// dataSlack is what a process may map beyond its memory limit before the kernel
// refuses: Go maps its heap in steps of 64 MiB, and looks at the limit only now
// and then.
const dataSlack = 256 << 20

// limitData has the kernel refuse memory beyond the limit, for a build that
// allocates faster than the watchdog looks. RLIMIT_DATA counts what can be
// written to; RLIMIT_AS would also count the address space that Go only reserves
// (https://man7.org/linux/man-pages/man2/getrlimit.2.html).
func limitData(limit int64) {
	most := uint64(limit) + dataSlack
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most}) // where it cannot be set, the watchdog is left
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})                     // a crash leaves no file
}

// pollable prepares a pipe for the poller.
func pollable(f *os.File) bool { return unix.SetNonblock(int(f.Fd()), true) == nil }
