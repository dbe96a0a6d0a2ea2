package localpg

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/tagboat/tagboat/internal/child"
)

// Options says how a server is started.
type Options struct {
	// Dir is where the server keeps its data, its socket and its log; "" makes a
	// temporary one that Stop removes. Keep it short: a unix socket's path has
	// 107 bytes at most.
	Dir string
	// Durable keeps PostgreSQL's promise that what was committed survives a power
	// cut. Tests do without; benchmarks must not.
	Durable bool
	// NoInstalled leaves an installed server aside and takes the npm package's.
	NoInstalled bool
	Cache       string // for binaries that have to be fetched; "" is the usual cache directory
	Progress    func(string)
}

// Server is a running PostgreSQL.
type Server struct {
	dir     string
	private bool // dir is ours to remove
	process *child.Process
	stop    sync.Once
}

// nobody is the user that the server runs as when root starts it.
const nobody = 65534

// Start initialises a database cluster, starts a server on it and waits until it
// answers.
func Start(ctx context.Context, opts Options) (_ *Server, err error) {
	s := &Server{dir: opts.Dir}
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "tbpg"); err != nil {
			return nil, err
		}
		s.private = true
	} else if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	bin, err := binaries(ctx, s.dir, opts)
	if err != nil {
		return nil, err
	}
	if err := s.giveAway(); err != nil {
		return nil, err
	}
	initdb := s.command(ctx, filepath.Join(bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust",
		"--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "unix_socket_permissions=0777"}
	if !opts.Durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")
	}
	if err := s.start(bin, args); err != nil {
		return nil, err
	}
	return s, s.wait(ctx)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// giveAway hands the directory to the user that the server will run as.
func (s *Server) giveAway() error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return err
	}
	return os.Chown(s.dir, nobody, nobody)
}

func (s *Server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd
}

// start runs the server. Where this process ends without Stop, PostgreSQL is told
// to end at once (its immediate shutdown).
func (s *Server) start(bin string, args []string) error {
	log, err := os.Create(filepath.Join(s.dir, "postgres.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command(context.Background(), filepath.Join(bin, "postgres"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	s.process, err = child.Start(cmd, syscall.SIGQUIT)
	return err
}

func (s *Server) wait(ctx context.Context) error {
	deadline := time.NewTimer(3 * time.Minute)
	defer deadline.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.process.Ended():
			out, _ := os.ReadFile(filepath.Join(s.dir, "postgres.log"))
			return fmt.Errorf("postgres ended (%v): %s", s.process.Wait(), out)
		case <-deadline.C:
			return fmt.Errorf("postgres does not answer: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// URL is the connection URL of one database of the server; its user may do
// everything.
func (s *Server) URL(database string) string { return s.URLAs(database, "postgres") }

// URLAs is URL as another user sees it.
func (s *Server) URLAs(database, user string) string {
	q := url.Values{"host": {s.dir}, "user": {user}, "sslmode": {"disable"}}
	return "postgres:///" + url.PathEscape(database) + "?" + q.Encode()
}

// CreateDatabase makes a database, as a copy of template unless that is "".
func (s *Server) CreateDatabase(ctx context.Context, name, template string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	stmt := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		stmt += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	_, err = conn.Exec(ctx, stmt)
	return err
}

// Stop ends the server at once, and removes its directory if Start made it.
func (s *Server) Stop() {
	s.stop.Do(func() {
		if s.process != nil {
			// SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
			s.process.Signal(syscall.SIGINT)
			_ = s.process.Wait() // how it ends does not matter any more
		}
		if s.private {
			_ = os.RemoveAll(s.dir)
		}
	})
}
