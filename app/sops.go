package app

import (
	"fmt"
	"os"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/sops"
)

// sops reads the keys that decrypt what SOPS encrypted in Git.
func (c Config) sops() (*sops.Keyring, error) {
	age, err := keyFiles("--sops-age-key", c.SOPSAge)
	if err != nil {
		return nil, err
	}
	pgp, err := keyFiles("--sops-pgp-key", c.SOPSPGP)
	if err != nil {
		return nil, err
	}
	return sops.Open(sops.Config{Age: age, PGP: pgp, KMS: c.SOPSKMS})
}

func keyFiles(flag string, names []string) ([]sops.File, error) {
	var files []sops.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fault.E(fault.Invalid, fmt.Sprintf("%s %s cannot be read: %v", flag, name, err), err)
		}
		files = append(files, sops.File{Name: flag + " " + name, Data: data})
	}
	return files, nil
}
