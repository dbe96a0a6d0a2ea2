// Package signature judges what is attached to an image: who has signed exactly this
// digest.
//
// It knows the two forms that cosign writes: a “simple signing” payload with its
// signature in an annotation, and a Sigstore bundle with an in-toto statement
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md,
// https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md). Whoever can push
// to a repository can attach anything to an image in it, so nothing is believed but what
// the demanded key or identity has signed, and of that only what names this digest.
//
// Nothing is fetched: what is attached, keys and roots of trust are handed over.
package signature
