package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/signature"
)

// publicGood is the Sigstore instance that everybody may use.
const publicGood = "public-good"

// sigstore is which Sigstore instance is trusted: that of a file, or the public one; nil
// where none is.
func (c Config) sigstore() (*signature.Roots, error) {
	var data []byte
	var err error
	switch c.SigstoreRoot {
	case "":
		return nil, nil
	case publicGood:
		data, err = fetchTrustedRoot(*tuf.DefaultOptions().WithCachePath(filepath.Join(c.DataDir, "sigstore")))
	default:
		data, err = os.ReadFile(c.SigstoreRoot)
	}
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("--sigstore-trusted-root %s cannot be read: %v", c.SigstoreRoot, err), err)
	}
	roots, err := signature.ParseRoots(data)
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("--sigstore-trusted-root %s cannot be used: %s", c.SigstoreRoot, fault.HintOf(err)), err)
	}
	return roots, nil
}

// fetchTrustedRoot asks an instance's TUF repository for its trusted root, as cosign
// does: whoever has that repository's server, and not its keys, can change nothing. What
// was fetched is good for as long as it is signed for, when the repository is away.
func fetchTrustedRoot(o tuf.Options) ([]byte, error) {
	client, err := tuf.New(&o)
	if err != nil {
		o.ForceCache = true
		var kept error
		if client, kept = tuf.New(&o); kept != nil {
			return nil, errors.Join(err, kept)
		}
	}
	return client.GetTarget("trusted_root.json")
}
