package render

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/tagboat/tagboat/internal/fault"
)

// mischief does what the base of the directory's name says, and builds if it says
// nothing that is known.
func mischief(files *view, src Source) ([]byte, error) {
	what, argument, _ := strings.Cut(path.Base(src.Dir), "=")
	switch what {
	case "break":
		what, parent, _ := strings.Cut(argument, "@")
		return nil, said(breakOut(what, parent))
	case "lie":
		return nil, lies[argument](files)
	case "hang":
		for n := 0; ; n++ {
			hung = fmt.Sprint(n)
		}
	case "hoard":
		for {
			chunk := make([]byte, 1<<20)
			for i := range chunk {
				chunk[i] = 1
			}
			hoarded = append(hoarded, chunk)
		}
	case "print":
		n, err := strconv.Atoi(argument)
		if err != nil {
			return nil, err
		}
		return bounded(src.Dir, make([]byte, n))
	case "flood":
		return make([]byte, maxFrame+1), nil
	case "die":
		os.Exit(7)
	case "overflow":
		return overflow(0), nil
	case "pid":
		return fmt.Appendf(nil, "%d", os.Getpid()), nil
	case "environment":
		return fmt.Appendf(nil, "%q", os.Environ()), nil
	case "dial":
		_, err := net.Dial("tcp", argument)
		return nil, said(err)
	case "ask":
		_, err := net.Dial("udp", argument)
		return nil, said(err)
	case "exec":
		return nil, said(exec.Command("/bin/sh", "-c", "true").Run())
	case "open":
		_, err := os.ReadFile("/etc/passwd")
		return nil, said(err)
	case "create":
		return nil, said(os.WriteFile("/tmp/render-child", nil, 0o600))
	case "kill":
		return nil, said(syscall.Kill(os.Getppid(), 0))
	}
	return build(files, src)
}

// What mischief comes to, so that the compiler does not take it away.
var (
	hung    string
	hoarded [][]byte
)

func overflow(n int) []byte {
	if n < 0 {
		return nil
	}
	return append(overflow(n+1), byte(n))
}

func said(err error) error { return fault.Errorf(fault.Invalid, "it said: %v", err) }
