package app

import (
	"fmt"
	"os"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/signature"
)

// sigstore reads which Sigstore instance is trusted; nil without a file.
func sigstore(file string) (*signature.Roots, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("--sigstore-trusted-root cannot be read: %v", err), err)
	}
	roots, err := signature.ParseRoots(data)
	if err != nil {
		return nil, fault.E(fault.Invalid, fmt.Sprintf("--sigstore-trusted-root %s cannot be used: %s", file, fault.HintOf(err)), err)
	}
	return roots, nil
}
