package sops

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/getsops/sops/v3/logging"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/tagboat/tagboat/internal/fault"
)

// Config is what a Keyring is made of.
type Config struct {
	Age []File // age identities: lines of AGE-SECRET-KEY-1…, as age-keygen writes them
	PGP []File // armored private keys without a passphrase, as gpg --export-secret-keys --armor writes them
	// KMS are the keys in key services that may be asked for, or what their names begin
	// with up to a “:” or “/”, an address with a path of one part at least: arn:aws:kms:eu-central-1:111122223333:key/…,
	// projects/acme/locations/…, https://acme.vault.azure.net/keys/…,
	// https://vault.example.com/v1/sops/keys/… (HashiCorp Vault, OpenBao). The credentials
	// are those that this process finds, as the SDK of each looks for them.
	KMS []string
	Now func() time.Time // the clock; nil for time.Now
}

// File is a file with keys.
type File struct {
	Name string // for messages
	Data []byte
}

// Keyring decrypts with the keys that Tagboat has. It is safe for concurrent use. A nil
// one has no keys.
type Keyring struct {
	ages   []age.Identity
	pgp    openpgp.EntityList
	kms    []string
	own    []string // what to encrypt for, so that this ring can decrypt
	now    func() time.Time
	opened *lru.Cache[[sha256.Size]byte, opened]
}

// opened is a data key that a key service has decrypted.
type opened struct {
	key   []byte
	until time.Time
}

const (
	// openedFor is how long a key service is not asked again for the same data key.
	// Every object is brought to its cluster once a minute, and people pay by the request.
	openedFor  = 5 * time.Minute
	openedKept = 1024
)

// Open reads the keys. Its errors name the file, and quote nothing of it.
func Open(c Config) (*Keyring, error) {
	quiet()
	k := &Keyring{now: c.Now}
	if k.now == nil {
		k.now = time.Now
	}
	k.opened, _ = lru.New[[sha256.Size]byte, opened](openedKept) // fails for a size below one only
	for _, f := range c.Age {
		ids, err := age.ParseIdentities(bytes.NewReader(f.Data))
		if err != nil { // it may quote the key
			return nil, fault.Errorf(fault.Invalid, "%s is no file of age identities: lines that begin with AGE-SECRET-KEY-, as age-keygen writes them, and comments", f.Name)
		}
		for _, id := range ids {
			k.ages = append(k.ages, id)
			if id, ok := id.(*age.X25519Identity); ok {
				k.own = append(k.own, id.Recipient().String())
			}
		}
	}
	for _, f := range c.PGP {
		if err := k.addPGP(f); err != nil {
			return nil, err
		}
	}
	for _, name := range c.KMS {
		if err := checkAllowed(name); err != nil {
			return nil, err
		}
		k.kms = append(k.kms, name)
	}
	return k, nil
}

func (k *Keyring) addPGP(f File) error {
	ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(f.Data))
	if err != nil {
		return fault.Errorf(fault.Invalid, "%s holds no armored PGP key; export one with gpg --export-secret-keys --armor", f.Name)
	}
	for _, e := range ring {
		fingerprint := fmt.Sprintf("%X", e.PrimaryKey.Fingerprint)
		usable := false
		for _, key := range ring.KeysById(e.PrimaryKey.KeyId) {
			usable = usable || key.PrivateKey != nil && !key.PrivateKey.Encrypted
		}
		for _, sub := range e.Subkeys { // what encrypts is mostly a subkey
			usable = usable || sub.PrivateKey != nil && !sub.PrivateKey.Encrypted
		}
		if !usable {
			return fault.Errorf(fault.Invalid, "%s: PGP key %s has no private part that can be used; export it with gpg --export-secret-keys --armor, without a passphrase", f.Name, fingerprint)
		}
		k.own = append(k.own, "PGP key "+fingerprint)
	}
	k.pgp = append(k.pgp, ring...)
	return nil
}

// checkAllowed refuses what would allow more than somebody means: the name of a host
// has to be there, and which of its keys.
func checkAllowed(name string) error {
	u, err := url.Parse(name)
	switch {
	case err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && strings.Trim(u.Path, "/") != "" && plainName.MatchString(name) && !strings.Contains(name, ".."):
		return nil
	case arnStart.MatchString(name), strings.HasPrefix(name, "projects/") && len(name) > len("projects/"):
		return nil
	}
	return fault.Errorf(fault.Invalid, "%s is not the name of a key in a key service, or what one begins with; write arn:aws:kms:REGION:ACCOUNT:key/ID (and arn:aws:iam::ACCOUNT:role/NAME for a role to take), projects/PROJECT/locations/…, https://NAME.vault.azure.net/keys/NAME, or https://VAULT/v1/ENGINE/keys/NAME", name)
}

var arnStart = regexp.MustCompile(`^arn:aws[a-z-]*:(kms:[a-z0-9-]+|iam:):[0-9]{12}(:|$)`)

// allows reports whether a key may be asked for. A name that could lead elsewhere than
// it seems to is not allowed, whatever it begins with.
func (k *Keyring) allows(name string) bool {
	if len(name) > maxName || !plainName.MatchString(name) || strings.Contains(name, "..") {
		return false
	}
	for _, allowed := range k.kms {
		if strings.Contains(allowed, "://") {
			if within(name, allowed) {
				return true
			}
			continue
		}
		rest, ok := strings.CutPrefix(name, allowed)
		if ok && (rest == "" || strings.HasSuffix(allowed, "/") || strings.HasSuffix(allowed, ":") || rest[0] == '/' || rest[0] == ':') {
			return true
		}
	}
	return false
}

// within reports whether a key's address is at an allowed one or below it: on the very
// same host and port, whatever its letters begin with.
func within(name, allowed string) bool {
	is, err := url.Parse(name)
	may, errAllowed := url.Parse(allowed)
	if err != nil || errAllowed != nil || is.Scheme != may.Scheme || is.Host != may.Host {
		return false
	}
	path := strings.TrimSuffix(may.Path, "/")
	return is.Path == path || strings.HasPrefix(is.Path, path+"/")
}

const maxName = 512

var plainName = regexp.MustCompile(`^[A-Za-z0-9:/._+=-]+$`)

// quiet keeps the library from writing to standard error on its own: it would quote
// comments of what it decrypts.
func quiet() {
	for _, log := range logging.Loggers {
		log.SetOutput(io.Discard)
	}
}
