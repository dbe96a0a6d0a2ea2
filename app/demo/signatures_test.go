package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/signature/signaturetest"
)

// TestWhoHasToSign tells of images that wait for a signature, of those that the wrong
// person has signed, and of what nobody can do about it.
func TestWhoHasToSign(t *testing.T) {
	s := newScene(t)
	release, other := s.newKey(), s.newKey()
	s.pushMain("Publish the key that releases are signed by", map[string]string{"keys/release.pub": string(release.Public())})
	s.edit("Have releases signed", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "  - name: dev\n", "  - name: dev\n    signatures: [{cosign: {key: keys/release.pub}}]\n    override: {users: [alice, bob]}\n", 1)
	}})
	s.idle()
	s.story("an image waits for its signature", func(s *scene) { signedLater(s, release) })
	s.story("somebody else has signed it", func(s *scene) { signedByAnother(s, release, other) })
	s.story("a signature was copied from another image", func(s *scene) { copiedSignature(s, release) })
	s.story("a workflow signs, and has no key", signedWithoutAKey)
	s.story("there is no key", func(s *scene) { lostKey(s, release) })
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

func (s *scene) newKey() *registrytest.Key {
	s.Helper()
	key, err := registrytest.NewKey()
	s.must(err)
	return key
}

// mergedOnceSigned waits until the registry is asked again, and for all that follows.
func (s *scene) mergedOnceSigned(app, tag, digest string) {
	s.Helper()
	s.until("it is merged", func() error {
		_, err := s.w.isMerged("dev", app, tag)
		return err
	})
	s.done("dev", app, tag, digest)
}

// signedLater: CI pushes before it signs, and nothing is merged in between.
func signedLater(s *scene, release *registrytest.Key) {
	digest := s.release("payments", "1.7.0")
	pull := s.opened("dev", "payments", "1.7.0").Number
	s.checkSays(pull, "Waiting for signature", "is not signed yet; key keys/release.pub has to sign it. Tagboat looks again by itself.", "whoever signs for key keys/release.pub")
	s.says("alice", pull, "/override signature it is urgent", "confused", "Signature cannot be overridden by anybody.")
	s.idle()
	s.must(s.w.checkSays(pull, "Waiting for signature"))

	s.must(s.w.Registry.Sign(s.ctx, "payments", digest, release))
	s.mergedOnceSigned("payments", "1.7.0", digest)
	s.must(s.bodyHas(pull, "**Signature**", "is signed by key keys/release.pub (sha256:", "| Signer |"))
	said, code, err := s.w.command(s.ctx, "audit", "--env", "dev", "--app", "payments")
	s.must(err)
	if code != 0 || !strings.Contains(said, "signed by key keys/release.pub (sha256:") {
		s.Errorf("tagboat audit ended with %d and does not say who signed:\n%s", code, said)
	}
}

func signedByAnother(s *scene, release, other *registrytest.Key) {
	digest, err := s.w.pushImage(s.ctx, "catalog", "2.3.1", "2.3.1", "")
	s.must(err)
	pull := s.opened("dev", "catalog", "2.3.1").Number
	s.must(s.w.Registry.Sign(s.ctx, "catalog", digest, other))
	s.until("the check says whose signature it is not", func() error {
		return s.w.checkSays(pull, "Blocked by signature", "is not signed by key keys/release.pub, only otherwise", "it is not by this key")
	})
	s.says("bob", pull, "/override signature I know them", "confused", "Signature cannot be overridden by anybody.")
	// The right one, in the form that newer versions of cosign write.
	s.must(s.w.Registry.SignBundle(s.ctx, "catalog", digest, release))
	s.mergedOnceSigned("catalog", "2.3.1", digest)
}

// copiedSignature: whoever may push puts the signature of a good image beside a bad one.
func copiedSignature(s *scene, release *registrytest.Key) {
	good, err := s.w.pushImage(s.ctx, "shop", "3.3.9", "3.3.9", "")
	s.must(err)
	bundle, err := release.Bundle(registrytest.SignStatement(good))
	s.must(err)
	digest := s.release("shop", "3.4.0")
	pull := s.opened("dev", "shop", "3.4.0").Number
	s.must(s.w.Registry.Refer(s.ctx, "shop", digest, bundle))
	s.until("the check says what it is for", func() error {
		return s.w.checkSays(pull, "Blocked by signature", "not for this image")
	})
	s.must(s.w.Registry.Sign(s.ctx, "shop", digest, release))
	s.mergedOnceSigned("shop", "3.4.0", digest)
}

// signedWithoutAKey: an identity counts that the trusted Sigstore instance certifies,
// and nobody else.
func signedWithoutAKey(s *scene) {
	const workflow, issuer = "https://github.com/acme/catalog/.github/workflows/release.yml@refs/heads/main", "https://token.actions.githubusercontent.com"
	change := func(text string) string {
		return strings.Replace(text, "{key: keys/release.pub}", `{identityRegexp: 'https://github\.com/acme/[^/]+/\.github/workflows/release\.yml@refs/heads/main', issuer: '`+issuer+`'}`, 1)
	}
	mend := s.edit("Have the workflow sign", map[string]func(string) string{"tagboat.yaml": change})
	defer mend()
	s.idle()
	_, err := s.w.pushImage(s.ctx, "catalog", "2.3.2", "2.3.2", "")
	s.must(err)
	pull := s.opened("dev", "catalog", "2.3.2").Number
	s.checkSays(pull, "Blocked by signature", "this Tagboat trusts no Sigstore instance", "--sigstore-trusted-root", "whoever runs Tagboat")

	instance, err := signaturetest.New()
	s.must(err)
	published, err := instance.TrustedRoot()
	s.must(err)
	file := filepath.Join(s.w.dir, "trusted_root.json")
	s.must(os.WriteFile(file, published, 0o600))
	s.w.Tagboat.Kill()
	s.w.Tagboat.env = append(s.w.Tagboat.env, "TAGBOAT_SIGSTORE_TRUSTED_ROOT="+file)
	s.must(s.w.Tagboat.Start(s.ctx))

	digest, err := s.w.pushImage(s.ctx, "catalog", "2.3.3", "2.3.3", "")
	s.must(err)
	s.until("the newer one is on the branch", func() error { return s.w.checkSays(pull, "Waiting for signature", "2.3.3") })
	attach := func(identity string) {
		bundle, err := instance.Bundle(identity, issuer, registrytest.SignStatement(digest))
		s.must(err)
		s.must(s.w.Registry.Refer(s.ctx, "catalog", digest, bundle))
	}
	attach(strings.Replace(workflow, "main", "fork", 1))
	s.checkSays(pull, "Blocked by signature", "refs/heads/fork")
	attach(workflow)
	s.mergedOnceSigned("catalog", "2.3.3", digest)
	s.must(s.bodyHas(pull, "is signed by https", "acme/catalog/.github/workflows/release.yml"))
}

// lostKey: without the key nobody can tell who has signed, so nothing passes.
func lostKey(s *scene, release *registrytest.Key) {
	mend := s.edit("Name a key that is not there", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "keys/release.pub", "keys/lost.pub", 1)
	}})
	s.idle()
	digest := s.release("payments", "1.8.0")
	s.must(s.w.Registry.Sign(s.ctx, "payments", digest, release))
	pull := s.opened("dev", "payments", "1.8.0").Number
	s.checkSays(pull, "Blocked by signature", "asks for a signature by keys/lost.pub, and there is no such file", "whoever maintains tagboat.yaml")
	mend()
	s.mergedOnceSigned("payments", "1.8.0", digest)
}
