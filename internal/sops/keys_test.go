package sops_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	getsops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/pgp"
	"github.com/getsops/sops/v3/stores/dotenv"
	"github.com/getsops/sops/v3/stores/ini"
	jsonstore "github.com/getsops/sops/v3/stores/json"
	yamlstore "github.com/getsops/sops/v3/stores/yaml"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/sops"
)

// hunter is what nobody may read.
const hunter = "hunter2-hunter2"

func ageKey(t *testing.T) *age.X25519Identity {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func forAge(key *age.X25519Identity) keys.MasterKey {
	return &sopsage.MasterKey{Recipient: key.Recipient().String()}
}

func ageFile(key *age.X25519Identity) sops.File {
	return sops.File{Name: "age.txt", Data: []byte("# created: today\n" + key.String() + "\n")}
}

func pgpKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	key, err := openpgp.NewEntity("Tagboat", "", "tagboat@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func armored(t *testing.T, kind string, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var plain, out bytes.Buffer
	if err := write(&plain); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&out, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func pgpFile(t *testing.T, key *openpgp.Entity) sops.File {
	t.Helper()
	return sops.File{Name: "pgp.asc", Data: armored(t, openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return key.SerializePrivate(b, nil) })}
}

// forPGP is a master key that encrypts without a key ring on disk.
type forPGP struct {
	*pgp.MasterKey
	t   *testing.T
	key *openpgp.Entity
}

func pgpMaster(t *testing.T, key *openpgp.Entity) keys.MasterKey {
	return forPGP{pgp.NewMasterKeyFromFingerprint(fmt.Sprintf("%X", key.PrimaryKey.Fingerprint)), t, key}
}

// seal encrypts a data key as gpg does.
func (k forPGP) seal(dataKey []byte) {
	k.EncryptedKey = string(armored(k.t, "PGP MESSAGE", func(b *bytes.Buffer) error {
		w, err := openpgp.Encrypt(b, []*openpgp.Entity{k.key}, nil, nil, nil)
		if err != nil {
			return err
		}
		if _, err := w.Write(dataKey); err != nil {
			return err
		}
		return w.Close()
	}))
}

// store is a format of SOPS'.
type store interface {
	LoadPlainFile([]byte) (getsops.TreeBranches, error)
	EmitEncryptedFile(getsops.Tree) ([]byte, error)
}

func stores() map[string]store {
	c := config.NewStoresConfig()
	return map[string]store{
		"yaml": yamlstore.NewStore(&c.YAML), "json": jsonstore.NewStore(&c.JSON), "binary": jsonstore.NewBinaryStore(&c.JSONBinary),
		"dotenv": dotenv.NewStore(&c.Dotenv), "ini": ini.NewStore(&c.INI),
	}
}

// encrypted is a file as the sops program encrypts it.
func encrypted(t *testing.T, format, plain string, change func(*getsops.Metadata), masters ...keys.MasterKey) string {
	t.Helper()
	s := stores()[format]
	branches, err := s.LoadPlainFile([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	tree := getsops.Tree{Branches: branches, Metadata: getsops.Metadata{Version: "3.13.3", LastModified: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)}}
	if change != nil {
		change(&tree.Metadata)
	} else {
		tree.Metadata.UnencryptedSuffix = getsops.DefaultUnencryptedSuffix
	}
	dataKey := bytes.Repeat([]byte{7, 9}, 16)
	var group getsops.KeyGroup
	for _, m := range masters {
		if p, ok := m.(forPGP); ok {
			p.seal(dataKey)
			m = p.MasterKey
		} else if len(m.EncryptedDataKey()) == 0 {
			if err := m.Encrypt(dataKey); err != nil {
				t.Fatal(err)
			}
		}
		group = append(group, m)
	}
	tree.Metadata.KeyGroups = []getsops.KeyGroup{group}
	return sealedTree(t, s, tree, dataKey)
}

// sealedTree is a document encrypted with its data key.
func sealedTree(t *testing.T, s store, tree getsops.Tree, dataKey []byte) string {
	t.Helper()
	cipher := aes.NewCipher()
	mac, err := tree.Encrypt(dataKey, cipher)
	if err != nil {
		t.Fatal(err)
	}
	tree.Metadata.MessageAuthenticationCode, err = cipher.Encrypt(mac, dataKey, tree.Metadata.LastModified.Format(time.RFC3339))
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.EmitEncryptedFile(tree)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), hunter) {
		t.Fatalf("nothing was encrypted:\n%s", out)
	}
	return string(out)
}

// dataOnly is how people have Kubernetes objects encrypted.
func dataOnly(m *getsops.Metadata) { m.EncryptedRegex = "^(data|stringData)$" }

const secretFile = `apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: payments
stringData:
  user: payments
  password: ` + hunter + `
`

func object(t *testing.T, text string) sops.Object {
	t.Helper()
	o := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = o.UnmarshalJSON(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func open(t *testing.T, c sops.Config) *sops.Keyring {
	t.Helper()
	k, err := sops.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// decrypt is one object decrypted; it has to be one that was encrypted.
func decrypt(t *testing.T, k *sops.Keyring, o sops.Object) sops.Object {
	t.Helper()
	before := o.DeepCopy()
	all, secret, err := k.Decrypt(t.Context(), []sops.Object{o})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || len(secret) != 1 || all[0] != secret[0] {
		t.Fatalf("of one encrypted object came %d, %d of them secret", len(all), len(secret))
	}
	if fmt.Sprint(before.Object) != fmt.Sprint(o.Object) {
		t.Error("the rendered object was changed")
	}
	return all[0]
}

// refused is the error about an object. It quotes no value, whatever is wrong.
func refused(t *testing.T, k *sops.Keyring, o sops.Object, kind fault.Kind, words ...string) {
	t.Helper()
	all, _, err := k.Decrypt(context.Background(), []sops.Object{o})
	if err == nil {
		t.Fatalf("it was decrypted: %v", all)
	}
	if fault.KindOf(err) != kind {
		t.Errorf("%v is %v, not %v", err, fault.KindOf(err), kind)
	}
	for _, word := range words {
		if !strings.Contains(fault.HintOf(err), word) {
			t.Errorf("it does not say %q: %s", word, fault.HintOf(err))
		}
	}
	for _, never := range []string{hunter, "ENC[", "hunter", "typed-by-hand"} {
		if strings.Contains(err.Error()+fault.HintOf(err), never) {
			t.Errorf("it quotes %q: %v; %s", never, err, fault.HintOf(err))
		}
	}
}
