//go:build !linux

package render

import (
	"fmt"
	"io"
	"os"
)

// lockDown does nothing here: a child has no network, programs or files only by
// what it was not given.
func lockDown(log io.Writer) {
	fmt.Fprintln(log, unguardedLine+"this system has none")
}

// limitData does nothing here: the watchdog alone limits the memory.
func limitData(int64) {}

// pollable prepares a pipe for the poller, which only Linux needs enough.
func pollable(*os.File) bool { return false }
