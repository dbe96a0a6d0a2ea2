// Command distribution is the CNCF Distribution registry: the registry command
// of github.com/distribution/distribution/v3 with the storage drivers that tests
// and the demo need. "distribution serve config.yaml" runs it.
//
// It is a module of its own so that Tagboat does not depend on what it needs.
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

func main() {
	// The registry takes over a listening socket as sd_listen_fds(3) describes.
	// Whoever starts it cannot know its process id beforehand.
	if os.Getenv("LISTEN_FDS") != "" && os.Getenv("LISTEN_PID") == "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	if err := registry.RootCmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
