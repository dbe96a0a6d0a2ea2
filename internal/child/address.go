package child

import (
	"net"
	"os"
	"runtime"
	"syscall"
)

// Address is a loopback address that is kept for children: they may listen on it one after
// the other, and in between nobody else on the machine gets its port.
type Address struct {
	host string
	fd   int // of a socket that is bound and does not listen; -1 where there is none
}

// KeepAddress finds an address that nobody listens on, and keeps it until Release.
//
// On Linux a socket is bound to it that never listens: the kernel gives the port to nobody
// who asks for any, and connections to it are refused until a child listens. Whoever sets
// SO_REUSEADDR, as Go does, can. Elsewhere it is only an address that was free a moment ago.
func KeepAddress() (*Address, error) {
	if runtime.GOOS != "linux" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		return &Address{host: l.Addr().String(), fd: -1}, l.Close()
	}
	syscall.ForkLock.RLock() // a child that is just being started must not inherit it
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	a := &Address{fd: fd}
	if err := a.bind(); err != nil {
		a.Release()
		return nil, err
	}
	return a, nil
}

func (a *Address) bind() error {
	if err := syscall.SetsockoptInt(a.fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(a.fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(a.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	a.host = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: bound.(*syscall.SockaddrInet4).Port}).String()
	return nil
}

// String is the address: "127.0.0.1:40123".
func (a *Address) String() string { return a.host }

// Release lets go of the address. It may be called more than once, and on none.
func (a *Address) Release() {
	if a == nil || a.fd < 0 {
		return
	}
	_ = syscall.Close(a.fd)
	a.fd = -1
}
