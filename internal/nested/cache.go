package nested

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// Options say where things are kept and who watches.
type Options struct {
	Cache    string       // cache directory; "" for CacheDir()
	Root     string       // checkout of Tagboat; "" to look for it upward from the working directory
	Progress func(string) // told what is being waited for, at once and then about every 5 s; may be nil
}

// CacheDir is where built programs and fetched packages are kept:
// $TAGBOAT_CACHE, or the directory "tagboat" in the user's cache directory, or,
// for an account without a home, one in the directory for temporary files.
func CacheDir() string {
	if dir := os.Getenv("TAGBOAT_CACHE"); dir != "" {
		return dir
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "tagboat")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("tagboat-cache-%d", os.Getuid()))
}

// dir is a subdirectory of the cache, made if it is missing, as an absolute path.
func (o Options) dir(name string) (string, error) {
	cache := o.Cache
	if cache == "" {
		cache = CacheDir()
	}
	dir, err := filepath.Abs(filepath.Join(cache, name))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fault.E(fault.Invalid, fmt.Sprintf("The cache directory %s cannot be made; set TAGBOAT_CACHE to a directory you may write to.", dir), err)
	}
	return dir, nil
}

// reportEvery is how often Progress hears about something that takes long.
const reportEvery = 5 * time.Second

// report tells Progress what goes on and for how long, until stop is called.
func (o Options) report(what string) (stop func()) {
	if o.Progress == nil {
		return func() {}
	}
	start := time.Now()
	o.Progress(what)
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				o.Progress(fmt.Sprintf("%s, %s so far", what, time.Since(start).Round(time.Second)))
			}
		}
	})
	return func() { close(done); ended.Wait() }
}

// lock takes the lock file at path, waiting for the process that holds it. The
// kernel lets go of it when the process ends, however it ends.
func (o Options) lock(ctx context.Context, path, what string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	var stop func()
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		if stop == nil {
			stop = o.report("waiting for another process that is " + what)
			defer func() { stop() }()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil // closing gives the lock back
}
