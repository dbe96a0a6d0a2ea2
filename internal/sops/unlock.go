package sops

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"

	"filippo.io/age"
	agearmor "filippo.io/age/armor"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/aws/smithy-go"
	getsops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keyservice"
	"github.com/getsops/sops/v3/kms"
	vault "github.com/hashicorp/vault/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tagboat/tagboat/internal/fault"
)

const (
	// serviceTimeout bounds one request to a key service, and documentTimeout all those
	// for one document, however many keys it names.
	serviceTimeout  = 10 * time.Second
	documentTimeout = 30 * time.Second
	// maxRecipients bounds the keys that a document is encrypted for. Anybody may write
	// such a list, and each may be a request.
	maxRecipients = 64
)

// maxDataKey bounds what a key may decrypt to; SOPS' are 32 bytes.
const maxDataKey = 1 << 10

// unlock decrypts the data key of a document called what.
func (k *Keyring) unlock(ctx context.Context, what string, m *getsops.Metadata) ([]byte, error) {
	recipients := 0
	for _, group := range m.KeyGroups {
		recipients += len(group)
	}
	if recipients > maxRecipients {
		return nil, fault.Errorf(fault.Invalid, "%s is encrypted by SOPS for %d keys, and Tagboat tries at most %d; encrypt it for fewer", what, recipients, maxRecipients)
	}
	bounded, cancel := context.WithTimeout(ctx, documentTimeout)
	defer cancel()
	u := &unlocking{ctx: bounded, ring: k}
	key, err := m.GetDataKeyWithKeyServices([]keyservice.KeyServiceClient{u}, getsops.DefaultDecryptionOrder)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err() // of whoever asks, not of what is asked
		}
		return nil, u.failed(what)
	}
	return key, nil
}

// unlocking is what the library asks to decrypt the data key of one document, instead
// of its own key service: that one reads keys from the environment and from home
// directories, starts gpg and commands, and calls whatever host a document names.
type unlocking struct {
	ctx     context.Context // of whoever wants the document; the library passes on none
	ring    *Keyring
	asked   []string // the keys that the document is encrypted for
	service error    // of the last key service that was asked for help
}

var errNotOurs = errors.New("Tagboat does not have this key")

// Encrypt implements keyservice.KeyServiceClient.
func (u *unlocking) Encrypt(context.Context, *keyservice.EncryptRequest, ...grpc.CallOption) (*keyservice.EncryptResponse, error) {
	return nil, errors.New("Tagboat encrypts nothing")
}

// Decrypt implements keyservice.KeyServiceClient.
func (u *unlocking) Decrypt(_ context.Context, r *keyservice.DecryptRequest, _ ...grpc.CallOption) (*keyservice.DecryptResponse, error) {
	if err := u.ctx.Err(); err != nil {
		u.service = cmp.Or(u.service, err)
		return nil, err
	}
	var key []byte
	var err error
	switch t := r.Key.GetKeyType().(type) {
	case *keyservice.Key_AgeKey:
		u.asked = append(u.asked, t.AgeKey.Recipient)
		key, err = u.ring.openAge(string(r.Ciphertext))
	case *keyservice.Key_PgpKey:
		u.asked = append(u.asked, "PGP key "+t.PgpKey.Fingerprint)
		key, err = u.ring.openPGP(string(r.Ciphertext))
	default:
		key, err = u.remote(r)
	}
	if err != nil {
		return nil, err
	}
	return &keyservice.DecryptResponse{Plaintext: key}, nil
}

func (k *Keyring) openAge(encrypted string) ([]byte, error) {
	if len(k.ages) == 0 {
		return nil, errNotOurs
	}
	r, err := age.Decrypt(agearmor.NewReader(strings.NewReader(encrypted)), k.ages...)
	if err != nil {
		return nil, errNotOurs
	}
	return io.ReadAll(io.LimitReader(r, maxDataKey))
}

func (k *Keyring) openPGP(encrypted string) ([]byte, error) {
	if len(k.pgp) == 0 {
		return nil, errNotOurs
	}
	block, err := armor.Decode(strings.NewReader(encrypted))
	if err != nil {
		return nil, errNotOurs
	}
	message, err := openpgp.ReadMessage(block.Body, k.pgp, nil, nil)
	if err != nil {
		return nil, errNotOurs
	}
	return io.ReadAll(io.LimitReader(message.UnverifiedBody, maxDataKey))
}

// arn is the name of an AWS key. The region becomes part of a host's name.
var arn = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[A-Za-z0-9/_-]+$`)

// remote has a key service decrypt, if it is one that may be asked.
func (u *unlocking) remote(r *keyservice.DecryptRequest) ([]byte, error) {
	var name, role string
	var ask func(ctx context.Context) ([]byte, error)
	encrypted := string(r.Ciphertext)
	switch t := r.Key.GetKeyType().(type) {
	case *keyservice.Key_KmsKey:
		name, role = t.KmsKey.Arn, t.KmsKey.Role
		// A profile is a name on the machine of whoever encrypted it.
		key := kms.NewMasterKey(name, role, pointers(t.KmsKey.Context))
		key.EncryptedKey, ask = encrypted, key.DecryptContext
		if !arn.MatchString(name) {
			name = ""
		}
	case *keyservice.Key_GcpKmsKey:
		name = t.GcpKmsKey.ResourceId
		key := &gcpkms.MasterKey{ResourceID: name, EncryptedKey: encrypted}
		ask = key.DecryptContext
	case *keyservice.Key_AzureKeyvaultKey:
		key := azkv.NewMasterKey(t.AzureKeyvaultKey.VaultUrl, t.AzureKeyvaultKey.Name, t.AzureKeyvaultKey.Version)
		key.EncryptedKey = encrypted
		name, ask = key.ToString(), key.DecryptContext
	case *keyservice.Key_VaultKey:
		key := hcvault.NewMasterKey(t.VaultKey.VaultAddress, t.VaultKey.EnginePath, t.VaultKey.KeyName)
		key.EncryptedKey = encrypted
		name, ask = key.ToString(), key.DecryptContext
	default:
		u.asked = append(u.asked, "a key of a kind that Tagboat does not know")
		return nil, errNotOurs
	}
	u.asked = append(u.asked, cmp.Or(name, "an AWS key without a proper ARN"))
	if !u.ring.allows(name) || role != "" && !u.ring.allows(role) {
		if role != "" {
			u.asked = append(u.asked, "by way of "+role)
		}
		return nil, errNotOurs
	}
	id, err := json.Marshal([]any{name, role, encrypted, r.Key.GetKmsKey().GetContext()}) // sorted, and nothing runs into anything
	if err != nil {
		return nil, err
	}
	return u.ring.remembered(sha256.Sum256(id), func() ([]byte, error) {
		ctx, cancel := context.WithTimeout(u.ctx, serviceTimeout)
		defer cancel()
		key, err := ask(ctx)
		if err != nil {
			u.service = fmt.Errorf("%s: %w", name, err)
		}
		return key, err
	})
}

// remembered asks only if that was not answered a short while ago.
func (k *Keyring) remembered(id [sha256.Size]byte, ask func() ([]byte, error)) ([]byte, error) {
	now := k.now()
	if kept, ok := k.opened.Get(id); ok && now.Before(kept.until) {
		return kept.key, nil
	}
	key, err := ask()
	if err == nil {
		k.opened.Add(id, opened{key, now.Add(openedFor)})
	}
	return key, err
}

func pointers(context map[string]string) map[string]*string {
	out := map[string]*string{}
	for k, v := range context {
		out[k] = &v
	}
	return out
}

// failed says why a document cannot be decrypted, and who can do something about it.
func (u *unlocking) failed(what string) error {
	if u.service != nil {
		said := shown(u.service.Error(), 300)
		if passes(u.service) {
			return fault.E(fault.Transient, fmt.Sprintf("The key service that %s is encrypted for does not answer: %s. It is tried again by itself.", what, said), u.service)
		}
		return fault.E(fault.Denied, fmt.Sprintf("The key service that %s is encrypted for does not decrypt it: %s. Whoever runs Tagboat has to give it access to the key.", what, said), u.service)
	}
	ours := "has no keys at all"
	if k := u.ring; len(k.own) > 0 {
		ours = "has " + listed(k.own)
	} else if len(k.ages) > 0 {
		ours = "has other age keys"
	} else if len(k.kms) > 0 {
		ours = "may ask for " + listed(k.kms)
	}
	return fault.Errorf(fault.Denied, "%s is encrypted by SOPS for %s, and this Tagboat %s. Whoever maintains the overlay can encrypt it for a key of Tagboat's too (sops updatekeys), or whoever runs Tagboat gives it the key (--sops-age-key, --sops-pgp-key, --sops-kms)",
		what, listed(u.asked), ours)
}

// passes reports whether a key service may answer otherwise in a while: it cannot be
// reached, or has too much to do. Each SDK says so in a way of its own.
func passes(err error) bool {
	if _, network := errors.AsType[net.Error](err); network || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if aws, ok := errors.AsType[smithy.APIError](err); ok && strings.Contains(aws.ErrorCode(), "Throttling") {
		return true
	}
	switch status.Code(err) { // Google's
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	}
	code := 0
	if answer, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok { // AWS's
		code = answer.HTTPStatusCode()
	} else if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		code = answer.StatusCode
	} else if answer, ok := errors.AsType[*vault.ResponseError](err); ok {
		code = answer.StatusCode
	}
	return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// listed are names of keys, which anybody may have written: the first few, in one line.
func listed(names []string) string {
	const most = 4
	var all []string
	for i, n := range names {
		if i == most {
			all = append(all, fmt.Sprintf("%d more", len(names)-most))
			break
		}
		all = append(all, shown(n, 160))
	}
	return cmp.Or(strings.Join(all, ", "), "nobody")
}

// shown is a text in one line, not too long.
func shown(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return s
}
