// Package registry asks OCI registries what a tag means and reads what they say
// when something is pushed.
//
// A registry's notification is a hint: DecodeDistribution only names what may
// have been pushed. What counts is what Resolve reads from the registry itself.
// The digest is that of the bytes that the registry serves for the tag, the same
// that a container runtime verifies; it is never computed from a converted
// manifest or taken from one platform of a multi-platform image.
//
// A tag may name things that nobody can run: signatures, attestations, charts.
// By media type alone some of them look like images (cosign's referrers index is
// an image index), so Resolve looks into the manifest and the configuration.
package registry
