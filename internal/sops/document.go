package sops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	getsops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/stores/dotenv"
	"github.com/getsops/sops/v3/stores/ini"
	jsonstore "github.com/getsops/sops/v3/stores/json"
	yamlstore "github.com/getsops/sops/v3/stores/yaml"
	"go.yaml.in/yaml/v3"

	"github.com/tagboat/tagboat/internal/fault"
)

// maxDocument bounds a document: the API server takes no Secret larger than 1 MiB.
const maxDocument = 2 << 20

// format is one of SOPS' formats.
type format struct {
	load func(data []byte) (getsops.Tree, error)
	emit func(branches getsops.TreeBranches) ([]byte, error)
}

// formatOf is the format of an encrypted document, by the metadata that SOPS writes into
// it; false for what is none.
func formatOf(data []byte) (format, bool) {
	stores := config.NewStoresConfig()
	switch {
	case len(data) > maxDocument:
	case bytes.Contains(data, []byte(`"mac": "ENC[AES256_GCM,`)), bytes.Contains(data, []byte(`"mac":"ENC[AES256_GCM,`)):
		if json.Valid(data) { // which also bounds how deep it goes
			s := jsonstore.NewStore(&stores.JSON)
			return format{s.LoadEncryptedFile, s.EmitPlainFile}, true
		}
	case bytes.Contains(data, []byte("sops_mac=ENC[AES256_GCM,")):
		s := dotenv.NewStore(&stores.Dotenv)
		return format{s.LoadEncryptedFile, s.EmitPlainFile}, true
	case bytes.Contains(data, []byte("[sops]\n")), bytes.Contains(data, []byte("[sops]\r\n")):
		s := ini.NewStore(&stores.INI)
		return format{s.LoadEncryptedFile, s.EmitPlainFile}, true
	case bytes.Contains(data, []byte("mac: ENC[AES256_GCM,")):
		if expands(data) {
			s := yamlstore.NewStore(&stores.YAML)
			return format{s.LoadEncryptedFile, s.EmitPlainFile}, true
		}
	}
	return format{}, false
}

// expands reports whether every document of a YAML stream can be read. The library
// follows aliases without counting, and looks at the first document before it does.
func expands(data []byte) bool {
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var v any
		if err := d.Decode(&v); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// document decrypts a document that is the value of a key of a Secret, as it stood in a
// file. SOPS keeps what is no text of a known format under "data" in JSON; what comes of
// it is that, unless the key says that it is JSON itself.
func (k *Keyring) document(ctx context.Context, what, key string, data []byte, f format) (plain []byte, err error) {
	defer noPanic(what, &err)
	tree, err := f.load(data)
	if err != nil { // it may quote a line
		return nil, fault.Errorf(fault.Invalid, "%s looks as if SOPS has encrypted it, and cannot be read as that; encrypt it anew", what)
	}
	if err := k.decrypt(ctx, what, &tree, sealed); err != nil {
		return nil, err
	}
	if len(tree.Branches) == 1 && len(tree.Branches[0]) == 1 && tree.Branches[0][0].Key == "data" && path.Ext(key) != ".json" {
		if content, ok := tree.Branches[0][0].Value.(string); ok {
			return []byte(content), nil
		}
	}
	plain, err = f.emit(tree.Branches)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%s is decrypted, and cannot be written as what it was before; encrypt it anew", what)
	}
	return plain, nil
}

// integrity is what is known of a document beside its values.
type integrity bool

const (
	// sealed: the document is as SOPS wrote it, and its MAC has to be right.
	sealed integrity = true
	// reshaped: Kustomize has read it, ordered it anew, and added namespaces, labels and
	// names. The MAC is over every value in the order of the file, and cannot be right
	// any more; Flux does not look at it either. Every value is still authenticated by
	// itself, with the path under which it stands: none can be changed, or moved to
	// another key. What is lost is little: whoever may write to the repository can
	// encrypt for a public key whatever they like, with a good MAC. What stands around
	// the values is judged by those who review it.
	reshaped integrity = false
)

// decrypt decrypts a document in place.
func (k *Keyring) decrypt(ctx context.Context, what string, tree *getsops.Tree, is integrity) error {
	key, err := k.unlock(ctx, what, &tree.Metadata)
	if err != nil {
		return err
	}
	cipher := watched{aes.NewCipher(), new(string)}
	mac, err := tree.Decrypt(key, cipher)
	if err != nil {
		return damaged(what, *cipher.last)
	}
	if is == reshaped {
		return nil
	}
	want, err := cipher.Decrypt(tree.Metadata.MessageAuthenticationCode, key, tree.Metadata.LastModified.Format(time.RFC3339))
	if err != nil || want != mac {
		return fault.Errorf(fault.Invalid, "%s was changed after SOPS encrypted it: its MAC is not right. Edit it with sops, or take back what was changed by hand", what)
	}
	return nil
}

// noPanic is deferred around what the library does: it panics on some inputs, reading,
// decrypting and writing, and says what they were.
func noPanic(what string, err *error) {
	if recover() != nil {
		*err = fault.Errorf(fault.Invalid, "what SOPS wrote into %s is damaged; encrypt it anew", what)
	}
}

// damaged is the error about a value that cannot be decrypted. at is its path, as SOPS
// writes it ("data:password:").
func damaged(what, at string) error {
	if at = strings.ReplaceAll(strings.TrimSuffix(at, ":"), ":", "."); at != "" {
		at = shown(at, 160) + " of "
	}
	return fault.Errorf(fault.Invalid, "%s%s cannot be decrypted: it was changed, moved or added after SOPS encrypted the rest, or was never encrypted. Edit it with sops, and take back what was changed by hand", at, what)
}

// watched is SOPS' cipher, and remembers which value it was asked for last: the
// library's own error quotes it.
type watched struct {
	aes.Cipher
	last *string
}

// Decrypt implements getsops.Cipher.
func (c watched) Decrypt(ciphertext string, key []byte, path string) (any, error) {
	*c.last = path
	return c.Cipher.Decrypt(ciphertext, key, path)
}

// treeOf is an object as the library's tree, and what SOPS wrote into it.
func treeOf(object map[string]any) (getsops.Tree, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return getsops.Tree{}, fmt.Errorf("write it as JSON: %w", err)
	}
	return jsonstore.NewStore(&config.JSONStoreConfig{}).LoadEncryptedFile(data)
}

// objectOf is the way back.
func objectOf(tree getsops.Tree) ([]byte, error) {
	return jsonstore.NewStore(&config.JSONStoreConfig{}).EmitPlainFile(tree.Branches)
}
