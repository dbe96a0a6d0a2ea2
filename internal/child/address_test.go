package child

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
)

// A server is ended and started again at its address. Whoever asks for any port meanwhile,
// and many do, gets another one.
func TestAnAddressIsKeptForItsChildren(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux keeps one")
	}
	kept, err := KeepAddress()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Release()
	for range 3 {
		if _, err := net.Dial("tcp", kept.String()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("while nobody listens: %v", err)
		}
		server, err := net.Listen("tcp", kept.String())
		if err != nil {
			t.Fatalf("a child cannot listen: %v", err)
		}
		c, err := net.Dial("tcp", kept.String())
		if err != nil {
			t.Fatalf("while it listens: %v", err)
		}
		c.Close()
		server.Close()
	}
	// Whoever asks for any of this one port alone gets it when it is let go.
	one, err := anyOf(kept)
	if errors.Is(err, syscall.ENOPROTOOPT) {
		t.Skip("this kernel picks from all ports")
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody else got %v: %v", one, err)
	}
	kept.Release()
	kept.Release() // harmless
	if one, err = anyOf(kept); err != nil {
		t.Fatalf("nobody gets what was let go: %v", err)
	}
	one.Close()
}

// anyOf listens on any port from a range that has an address's alone.
func anyOf(a *Address) (net.Listener, error) {
	const localPortRange = 51 // IP_LOCAL_PORT_RANGE
	asked := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		port := netip.MustParseAddrPort(a.String()).Port()
		var refused error
		err := c.Control(func(fd uintptr) {
			refused = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, localPortRange, int(port)<<16|int(port))
		})
		return errors.Join(err, refused)
	}}
	return asked.Listen(context.Background(), "tcp", "127.0.0.1:0")
}
