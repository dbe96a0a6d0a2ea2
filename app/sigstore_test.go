package app

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/signature/signaturetest"
)

func TestWhichSigstoreInstanceIsTrusted(t *testing.T) {
	instance, err := signaturetest.New()
	if err != nil {
		t.Fatal(err)
	}
	published, err := instance.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for story, c := range map[string]struct {
		file, says string
		trusted    bool
	}{
		"none":           {"", "", false},
		"one":            {write("trusted_root.json", published), "", true},
		"a missing file": {filepath.Join(dir, "lost.json"), "lost.json cannot be read", false},
		"something else": {write("other.json", []byte("{}")), "other.json cannot be used: it is no trusted root of Sigstore", false},
	} {
		roots, err := Config{SigstoreRoot: c.file}.sigstore()
		if (roots != nil) != c.trusted || (err != nil) != (c.says != "") || !strings.Contains(fault.HintOf(err), c.says) {
			t.Errorf("%s: %v, %v", story, roots, err)
		}
	}
}

// tufKeys are the keys of a TUF repository's roles.
type tufKeys map[string]ed25519.PrivateKey

// tufRepository serves a file as the target trusted_root.json of a TUF repository, and
// gives what trust in it begins with.
func tufRepository(t *testing.T, target []byte) (server *httptest.Server, trust []byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tomorrow := time.Now().AddDate(0, 0, 1).UTC()
	root, targets := metadata.Root(tomorrow), metadata.Targets(tomorrow)
	snapshot, timestamp := metadata.Snapshot(tomorrow), metadata.Timestamp(tomorrow)
	keys := tufKeys{}
	for _, role := range metadata.TOP_LEVEL_ROLE_NAMES {
		_, private, err := ed25519.GenerateKey(nil)
		must(err)
		keys[role] = private
		key, err := metadata.KeyFromPublicKey(private.Public())
		must(err)
		must(root.Signed.AddKey(key, role))
	}
	info, err := metadata.TargetFile().FromBytes("trusted_root.json", target, "sha256")
	must(err)
	targets.Signed.Targets["trusted_root.json"] = info
	files := map[string][]byte{fmt.Sprintf("/targets/%x.trusted_root.json", sha256.Sum256(target)): target}
	signer := func(role string) signature.Signer {
		s, err := signature.LoadSigner(keys[role], crypto.Hash(0))
		must(err)
		return s
	}
	keep := func(name string, sign func(signature.Signer) (*metadata.Signature, error), role string, bytes func(bool) ([]byte, error)) []byte {
		_, err := sign(signer(role))
		must(err)
		data, err := bytes(false)
		must(err)
		files[name] = data
		return data
	}
	trust = keep("/1.root.json", root.Sign, metadata.ROOT, root.ToBytes)
	keep("/1.targets.json", targets.Sign, metadata.TARGETS, targets.ToBytes)
	keep("/1.snapshot.json", snapshot.Sign, metadata.SNAPSHOT, snapshot.ToBytes)
	keep("/timestamp.json", timestamp.Sign, metadata.TIMESTAMP, timestamp.ToBytes)
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	return server, trust
}

// What an instance publishes is believed from whoever has its keys, and kept for when
// nobody can be asked.
func TestTheTrustedRootIsFetched(t *testing.T) {
	server, trust := tufRepository(t, []byte("the trusted root"))
	o := tuf.DefaultOptions().WithRoot(trust).WithRepositoryBaseURL(server.URL).WithCachePath(t.TempDir())
	fetched := func(o *tuf.Options) string {
		data, err := fetchTrustedRoot(*o)
		if err != nil {
			return "nothing"
		}
		return string(data)
	}
	if got := fetched(o); got != "the trusted root" {
		t.Errorf("fetched %q", got)
	}
	_, stranger := tufRepository(t, []byte("another"))
	other := *o
	if got := fetched(other.WithRoot(stranger).WithCachePath(t.TempDir())); got != "nothing" {
		t.Errorf("somebody else's keys fetched %q", got)
	}
	server.Close()
	if got := fetched(o); got != "the trusted root" {
		t.Errorf("when the repository was away, it was %q", got)
	}
	if got := fetched(o.WithCachePath(t.TempDir())); got != "nothing" {
		t.Errorf("nobody could be asked, and it was %q", got)
	}
}
