// Package overlay finds an image in a kustomization's images: and splices its
// scalars byte for byte.
//
// A YAML round trip rewrites people's files: it joins blank lines, re-indents,
// turns CRLF into LF and drops byte order marks. So nothing here is ever printed
// from a tree. The tree only says where a scalar stands (go-yaml counts lines
// from one, columns in runes, and leaves a byte order mark out); the bytes of
// that scalar are replaced, and the result is parsed again to prove that nothing
// else reads differently than before. What cannot be proven is refused, with
// file, line and reason.
//
// Kustomize reads only the first document of a kustomization file; so do we. The
// others are kept as they are.
package overlay
