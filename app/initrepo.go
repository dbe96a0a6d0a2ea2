package app

import (
	"errors"
	"io/fs"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

// InitOptions says what becomes of a proposed tagboat.yaml.
type InitOptions struct {
	Write bool // write it, unless there is one
	Force bool // with Write: also where there is one
}

// Init reads a checkout and proposes a tagboat.yaml for it.
func Init(dir string, o InitOptions) (envrepo.Proposal, error) {
	root, err := openCheckout(dir)
	if err != nil {
		return envrepo.Proposal{}, err
	}
	defer root.Close()
	proposal, err := envrepo.Propose(root.FS())
	if err != nil || !o.Write {
		return proposal, err
	}
	_, err = root.Lstat(envrepo.File)
	switch {
	case err == nil && !o.Force:
		return proposal, fault.Errorf(fault.Conflict, "%s is there already; --force replaces it", envrepo.File)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return proposal, fault.E(fault.Invalid, envrepo.File+" cannot be read.", err)
	}
	temporary, err := beside(root, envrepo.File, proposal.YAML, 0o644)
	if err == nil {
		err = root.Rename(temporary, envrepo.File)
	}
	if err != nil {
		return proposal, fault.E(fault.Invalid, envrepo.File+" cannot be written.", err)
	}
	return proposal, nil
}
