package sops_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	getsops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/azkv"
	"github.com/getsops/sops/v3/gcpkms"
	"github.com/getsops/sops/v3/hcvault"
	"github.com/getsops/sops/v3/keys"
	"github.com/getsops/sops/v3/kms"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/sops"
)

// dataKey is that of the test's documents.
var dataKey = strings.Repeat("\x07\x09", 16)

// service is a key service: HashiCorp Vault's transit engine, and AWS KMS, as far as
// decrypting goes (https://developer.hashicorp.com/vault/api-docs/secret/transit#decrypt-data,
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html).
type service struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	deny  bool
	code  int    // that it answers with; 0: with the key
	then  func() // done before it answers; may be nil
}

func startService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	t.Setenv("VAULT_TOKEN", "a-token")
	t.Setenv("AWS_ENDPOINT_URL_KMS", s.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "an-example")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	t.Setenv("VAULT_MAX_RETRIES", "0")
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Path)
	if s.then != nil {
		s.then()
	}
	plain := base64.StdEncoding.EncodeToString([]byte(dataKey))
	w.Header().Set("Content-Type", "application/json")
	var answer any = map[string]any{"data": map[string]any{"plaintext": plain}}
	if strings.HasPrefix(r.Header.Get("X-Amz-Target"), "TrentService.") {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		answer = map[string]any{"Plaintext": plain, "KeyId": "a-key"}
	} else if r.Header.Get("X-Vault-Token") != "a-token" {
		s.deny = true
	}
	if s.deny && s.code == 0 {
		s.code = http.StatusForbidden
	}
	if s.code != 0 {
		w.WriteHeader(s.code)
		answer = map[string]any{"errors": []string{"permission denied"}, "__type": "AccessDeniedException", "message": "permission denied"}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}

func (s *service) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// sealed is a master key of a key service, with a data key that it encrypted.
func sealed(k keys.MasterKey) keys.MasterKey {
	k.SetEncryptedDataKey([]byte(base64.StdEncoding.EncodeToString([]byte("sealed"))))
	return k
}

const awsKey = "arn:aws:kms:eu-central-1:111122223333:key/6c5b4d3a-1111-2222-3333-444455556666"

func TestAKeyServiceThatIsAllowedIsAsked(t *testing.T) {
	vault := startService(t)
	for name, c := range map[string]struct {
		master  keys.MasterKey
		allowed string
	}{
		"Vault, the key":         {hcvault.NewMasterKey(vault.URL, "sops", "prod"), vault.URL + "/v1/sops/keys/prod"},
		"Vault, an engine":       {hcvault.NewMasterKey(vault.URL, "sops", "prod"), vault.URL + "/v1/sops"},
		"Vault, with a slash":    {hcvault.NewMasterKey(vault.URL, "sops", "prod"), vault.URL + "/v1/sops/"},
		"AWS, the key":           {kms.NewMasterKey(awsKey, "", nil), awsKey},
		"AWS, an account":        {kms.NewMasterKey(awsKey, "", nil), "arn:aws:kms:eu-central-1:111122223333:"},
		"AWS, with a profile":    {kms.NewMasterKeyWithProfile(awsKey, "", nil, "no-such-profile"), awsKey},
		"AWS, an account, short": {kms.NewMasterKey(awsKey, "", nil), "arn:aws:kms:eu-central-1:111122223333"},
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(c.master)))
			plain := decrypt(t, open(t, sops.Config{KMS: []string{c.allowed}}), o)
			if plain.Object["stringData"].(map[string]any)["password"] != hunter {
				t.Errorf("it came to %v", plain.Object)
			}
		})
	}
	if !slices.Contains(vault.requests(), "/v1/sops/decrypt/prod") {
		t.Errorf("Vault was asked %v", vault.requests())
	}
}

// A file in a repository is written by anybody. It must not make Tagboat call a host, use
// a key or take a role that nobody allowed.
func TestAKeyServiceThatIsNotAllowedIsNotAsked(t *testing.T) {
	vault := startService(t)
	host := strings.TrimPrefix(vault.URL, "http://")
	allowed := []string{vault.URL + "/v1/sops/keys", "arn:aws:kms:eu-central-1:111122223333:", "projects/acme/locations/global", "https://acme.vault.azure.net/keys"}
	k := open(t, sops.Config{KMS: allowed})
	for name, master := range map[string]keys.MasterKey{
		"another engine":                         hcvault.NewMasterKey(vault.URL, "sops-other", "prod"),
		"an engine by way of ..":                 hcvault.NewMasterKey(vault.URL, "sops/keys/../../other", "prod"),
		"another host":                           hcvault.NewMasterKey("http://127.0.0.1:1", "sops", "prod"),
		"a host behind an @":                     hcvault.NewMasterKey("http://acme@"+host, "sops", "prod"),
		"another port, of the same digits":       hcvault.NewMasterKey(vault.URL+"0", "sops", "prod"),
		"no port":                                hcvault.NewMasterKey(vault.URL[:strings.LastIndexByte(vault.URL, ':')], "sops", "prod"),
		"another scheme":                         hcvault.NewMasterKey("https://"+host, "sops", "prod"),
		"a host with a longer name":              hcvault.NewMasterKey(vault.URL+".evil.example", "sops", "prod"),
		"a query":                                hcvault.NewMasterKey(vault.URL+"/v1/sops/keys?", "sops", "prod"),
		"another account":                        kms.NewMasterKey(strings.Replace(awsKey, "111122223333", "999999999999", 1), "", nil),
		"another region":                         kms.NewMasterKey(strings.Replace(awsKey, "eu-central-1", "us-east-1", 1), "", nil),
		"a role":                                 kms.NewMasterKey(awsKey, "arn:aws:iam::111122223333:role/admin", nil),
		"an ARN that is none":                    kms.NewMasterKey("arn:aws:kms:eu-central-1:111122223333:evil/../x", "", nil),
		"another project":                        &gcpkms.MasterKey{ResourceID: "projects/acme/locations/globals/keyRings/r/cryptoKeys/k"},
		"another vault of Azure's":               azkv.NewMasterKey("https://evil.vault.azure.net", "k", "1"),
		"a vault of Azure's that only begins so": azkv.NewMasterKey("https://acme.vault.azure.net.evil.example", "k", "1"),
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(master)))
			refused(t, k, o, fault.Denied, "Secret payments/db is encrypted by SOPS for", "this Tagboat may ask for "+allowed[0], "--sops-kms")
			refused(t, open(t, sops.Config{}), o, fault.Denied, "has no keys at all")
		})
	}
	if asked := vault.requests(); len(asked) != 0 {
		t.Errorf("it was asked %v", asked)
	}
}

// Objects are brought to their clusters again and again, and people pay by the request.
func TestAKeyServiceIsNotAskedTwiceInAShortWhile(t *testing.T) {
	vault := startService(t)
	now := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	k := open(t, sops.Config{KMS: []string{vault.URL + "/v1/sops"}, Now: func() time.Time { return now }})
	o := object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(hcvault.NewMasterKey(vault.URL, "sops", "prod"))))
	for _, want := range []int{1, 1, 2} {
		decrypt(t, k, o)
		if asked := vault.requests(); len(asked) != want {
			t.Errorf("it was asked %d times, not %d", len(asked), want)
		}
		now = now.Add(3 * time.Minute)
	}
}

func TestAKeyServiceThatSaysNoOrNothing(t *testing.T) {
	vault := startService(t)
	vault.deny = true
	for name, master := range map[string]keys.MasterKey{"Vault": hcvault.NewMasterKey(vault.URL, "sops", "prod"), "AWS": kms.NewMasterKey(awsKey, "", nil)} {
		t.Run(name, func(t *testing.T) {
			o := object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(master)))
			refused(t, open(t, sops.Config{KMS: []string{vault.URL + "/v1/sops", awsKey}}), o, fault.Denied, "does not decrypt it", "permission denied", "Whoever runs Tagboat has to give it access")
		})
	}
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		vault.code = code
		for _, master := range []keys.MasterKey{hcvault.NewMasterKey(vault.URL, "sops", "prod"), kms.NewMasterKey(awsKey, "", nil)} {
			o := object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(master)))
			refused(t, open(t, sops.Config{KMS: []string{vault.URL + "/v1/sops", awsKey}}), o, fault.Transient, "does not answer")
		}
	}
	const away = "http://127.0.0.1:1" // where nobody ever listens
	o := object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(hcvault.NewMasterKey(away, "sops", "prod"))))
	refused(t, open(t, sops.Config{KMS: []string{away + "/v1/sops"}}), o, fault.Transient, "does not answer", "tried again by itself")
	// Another key that it is encrypted for may do.
	key := ageKey(t)
	both := object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(hcvault.NewMasterKey(away, "sops", "prod")), forAge(key)))
	decrypt(t, open(t, sops.Config{KMS: []string{away + "/v1/sops"}, Age: []sops.File{ageFile(key)}}), both)
}

// Anybody may write a list of keys, and each may be a request.
func TestADocumentForManyKeys(t *testing.T) {
	vault := startService(t)
	k := open(t, sops.Config{KMS: []string{vault.URL + "/v1/sops"}})
	many := func(n int) sops.Object {
		var all []keys.MasterKey
		for i := range n {
			all = append(all, sealed(hcvault.NewMasterKey(vault.URL, "sops", fmt.Sprintf("key-%d", i))))
		}
		return object(t, encrypted(t, "yaml", secretFile, dataOnly, all...))
	}
	refused(t, k, many(65), fault.Invalid, "Secret payments/db is encrypted by SOPS for 65 keys, and Tagboat tries at most 64")
	if asked := vault.requests(); len(asked) != 0 {
		t.Errorf("it was asked %v", asked)
	}
	decrypt(t, k, many(64))

	// Whoever asked has gone away while the first was asked: the others are not.
	ctx, leave := context.WithCancel(t.Context())
	vault.mu.Lock()
	vault.asked, vault.code, vault.then = nil, http.StatusForbidden, leave
	vault.mu.Unlock()
	_, _, err := open(t, sops.Config{KMS: []string{vault.URL + "/v1/sops"}}).Decrypt(ctx, []sops.Object{many(64)})
	if !errors.Is(err, context.Canceled) || len(vault.requests()) != 1 {
		t.Errorf("got %v after %d requests", err, len(vault.requests()))
	}
}

// What is remembered is remembered for one context of a key: AWS checks it.
func TestAContextIsNotTakenForAnother(t *testing.T) {
	vault := startService(t)
	k := open(t, sops.Config{KMS: []string{awsKey}})
	text := func(s string) *string { return &s }
	for i, of := range []map[string]*string{{"a": text("b c:d")}, {"a": text("b"), "c": text("d")}, {"c": text("d"), "a": text("b")}} {
		decrypt(t, k, object(t, encrypted(t, "yaml", secretFile, dataOnly, sealed(kms.NewMasterKey(awsKey, "", of)))))
		if want := min(i+1, 2); len(vault.requests()) != want {
			t.Errorf("context %d: %d requests, want %d", i, len(vault.requests()), want)
		}
	}
}

// Where SOPS was told to want several groups of keys, all of them have to help.
func TestGroupsOfKeys(t *testing.T) {
	first, second := ageKey(t), ageKey(t)
	text := encryptedForGroups(t, secretFile, forAge(first), forAge(second))
	o := object(t, text)
	decrypt(t, open(t, sops.Config{Age: []sops.File{ageFile(first), ageFile(second)}}), o)
	refused(t, open(t, sops.Config{Age: []sops.File{ageFile(first)}}), o, fault.Denied, second.Recipient().String())
}

func encryptedForGroups(t *testing.T, plain string, masters ...keys.MasterKey) string {
	t.Helper()
	s := stores()["yaml"]
	branches, err := s.LoadPlainFile([]byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	tree := getsops.Tree{Branches: branches, Metadata: getsops.Metadata{Version: "3.13.3", LastModified: time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC), ShamirThreshold: len(masters)}}
	dataOnly(&tree.Metadata)
	for _, m := range masters {
		tree.Metadata.KeyGroups = append(tree.Metadata.KeyGroups, getsops.KeyGroup{m})
	}
	key, errs := tree.GenerateDataKey()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return sealedTree(t, s, tree, key)
}
