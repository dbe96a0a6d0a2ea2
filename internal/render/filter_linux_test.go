package render

import (
	"encoding/binary"
	"slices"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	allow      = int(seccomp.ActionAllow)
	notAllowed = int(seccomp.ActionErrno) | int(unix.EPERM)
	unknown    = int(seccomp.ActionErrno) | int(unix.ENOSYS)
)

// TestTheFilterLetsThroughWhatIsNeeded asks the very filter of a child about every call
// that there is, also in the ways in which another architecture's programs would make
// them on this kernel.
func TestTheFilterLetsThroughWhatIsNeeded(t *testing.T) {
	here, err := arch.GetInfo("")
	if err != nil {
		t.Skip(err)
	}
	p, err := policy(17)
	if err != nil {
		t.Fatal(err)
	}
	instructions, err := p.Assemble()
	if err != nil {
		t.Fatal(err)
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	filter := func(of arch.AuditArch, number int, arguments ...uint64) int {
		answer, err := vm.Run(calling(of, number, arguments))
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	conditional := map[string][]uint64{ // with arguments that are refused
		"clone": {unix.CLONE_VM}, "tgkill": {18}, "prctl": {unix.PR_SET_NO_NEW_PRIVS}, "fcntl": {0, unix.F_SETOWN}, "madvise": {0, 0, unix.MADV_HWPOISON},
	}
	for name, number := range here.SyscallNames {
		want := notAllowed
		switch {
		case slices.Contains(needed, name):
			want = allow
		case name == "clone3":
			want = unknown
		}
		if got := filter(here.ID, number, conditional[name]...); got != want {
			t.Errorf("%s: %#x, want %#x", name, got, want)
		}
	}
	for _, test := range []struct {
		name      string
		arguments []uint64
		want      int
	}{
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD}, allow},
		{"clone", []uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_NEWNS}, notAllowed},
		{"clone", []uint64{unix.CLONE_THREAD << 32}, notAllowed},
		{"tgkill", []uint64{17, 4}, allow},
		{"tgkill", []uint64{17 | 1<<32, 4}, notAllowed},
		{"prctl", []uint64{unix.PR_SET_VMA}, allow},
		{"fcntl", []uint64{0, unix.F_GETFL}, allow},
		{"fcntl", []uint64{0, unix.F_SETFL, unix.O_NONBLOCK}, allow},
		{"fcntl", []uint64{0, unix.F_SETFL, unix.O_NONBLOCK | unix.O_ASYNC}, notAllowed},
		{"fcntl", []uint64{0, unix.F_SETSIG, 9}, notAllowed},
		{"madvise", []uint64{0, 0, unix.MADV_DONTNEED}, allow},
		{"madvise", []uint64{0, 0, unix.MADV_HWPOISON | 1<<32}, notAllowed},
	} {
		if got := filter(here.ID, here.SyscallNames[test.name], test.arguments...); got != test.want {
			t.Errorf("%s%#x: %#x, want %#x", test.name, test.arguments, got, test.want)
		}
	}
	for other, info := range map[string]*arch.Info{"i386": arch.I386, "arm": arch.ARM, "x86_64": arch.X86_64} {
		if info.ID == here.ID {
			continue
		}
		for _, number := range []int{0, 1, 2, 3, 5, 11, 57, 59, here.SyscallNames["read"]} {
			if got := filter(info.ID, number); got != notAllowed {
				t.Errorf("call %d of %s: %#x, want it refused", number, other, got)
			}
		}
	}
	if here.ID == arch.X86_64.ID {
		if got := filter(here.ID, arch.X32.SeccompMask|here.SyscallNames["read"]); got != unknown {
			t.Errorf("a call of x32: %#x, want it unknown", got)
		}
	}
}

// calling is what the kernel shows a filter (seccomp(2), struct seccomp_data), each
// word in the byte order of the machine that is imitated here.
func calling(of arch.AuditArch, number int, arguments []uint64) []byte {
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data, uint32(number))
	binary.BigEndian.PutUint32(data[4:], uint32(of))
	for i, a := range arguments {
		low, high := 16+8*i, 20+8*i
		if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
			low, high = high, low
		}
		binary.BigEndian.PutUint32(data[low:], uint32(a))
		binary.BigEndian.PutUint32(data[high:], uint32(a>>32))
	}
	return data
}
