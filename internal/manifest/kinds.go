package manifest

import (
	"slices"
	"strings"
)

// holdsSecrets reports whether objects of this kind are Secrets or become some:
// SopsSecret, VaultStaticSecret, ...
func holdsSecrets(kind string) bool { return strings.HasSuffix(kind, "Secret") }

// holdsData reports whether a field of such a kind holds what the Secret will:
// data, stringData, and what the authors of other kinds call it.
func holdsData(name string) bool {
	n := strings.ToLower(name)
	return n != "metadata" && strings.HasSuffix(n, "data") || n == "literals"
}

// references are the lists that only say where secrets are, though they stand in
// a kind of Secret and are called data. For a reviewer they are the most
// interesting thing there.
var references = map[string][]string{
	"ExternalSecret":        {"spec.data"},
	"ClusterExternalSecret": {"spec.externalSecretSpec.data"},
	"PushSecret":            {"spec.data"},
	"ClusterPushSecret":     {"spec.pushSecretSpec.data"},
}

// ciphertexts are the fields whose values only a cluster can read. Their length
// still tells that of the secret.
var ciphertexts = map[string][]string{"SealedSecret": {"spec.encryptedData"}}

// wholeObjects are annotations that hold a whole object as it was applied, a
// Secret's values included.
var wholeObjects = []string{
	"kubectl.kubernetes.io/last-applied-configuration",
	"kapp.k14s.io/original",
	"objectset.rio.cattle.io/applied",
	"banzaicloud.com/last-applied",
}

// generator is the field of a kustomization whose elements become Secrets.
const generator = "secretGenerator"

// object is the place of an object of this kind, whose path ends where it begins.
func (s scope) object(kind string) scope {
	s.top, s.base = true, len(s.path)
	if !holdsSecrets(s.kind) { // what is within a Secret stays within it
		s.kind = kind
	}
	return s
}

// around is s with what a mapping says about the values in it: an object of its
// own, as patches, charts' values and policies have them, or the pair of a
// variable's name and value.
func (s scope) around(n *node) scope {
	if n == nil || n.kind != mapKind {
		return s
	}
	if kind := n.str("kind"); kind != "" && (n.field("apiVersion") != nil || n.field("metadata") != nil || holdsSecrets(kind) && slices.ContainsFunc(n.keys, holdsData)) {
		s = s.object(kind)
	}
	s.value = s.value || namesSecret(n)
	if s.command == "" {
		s.command = commandOf(n)
	}
	s.schema = s.schema || describesType(n)
	s.named = s.named || n.field("name") != nil
	return s
}

// describesType reports whether a mapping is a part of an OpenAPI schema, in which
// names are of fields and nothing is their value.
func describesType(n *node) bool {
	switch n.str("type") {
	case "string", "object", "array", "integer", "number", "boolean":
		return true
	}
	return n.field("$ref") != nil
}

// namesSecret reports whether a mapping is a secret's name beside its value, or
// an operation of a JSON patch on what may be a Secret's data.
func namesSecret(n *node) bool {
	for _, field := range []string{"name", "key", "variable", "Name", "Key"} {
		if secretVariable(n.str(field)) {
			return true
		}
	}
	return patchesSecret(n.str("path"))
}

func patchesSecret(path string) bool {
	parts := strings.Split(path, "/")
	return len(parts) > 1 && parts[0] == "" && (holdsData(parts[1]) || secretKey(parts[len(parts)-1]))
}

// data is the place t of a key, as the kind of the object says what is in it.
func (s scope) data(t scope) scope {
	within := strings.TrimPrefix(t.path[s.base:], ".")
	switch {
	case t.name == generator:
		t.kind = "Secret"
	case slices.Contains(wholeObjects, t.name):
		t.mask = maskSecret
	case slices.Contains(ciphertexts[s.kind], within):
		t.inner = maskEncrypted
	case holdsSecrets(s.kind) && holdsData(t.name):
		t.inner = maskSecret
		t.refers = slices.Contains(references[s.kind], within)
	case s.strict && s.top && !slices.Contains([]string{"apiVersion", "kind", "metadata", "type", "immutable"}, t.name):
		t.mask = maskSecret
	case s.kind == "ConfigMap" && s.top && t.name == "binaryData":
		t.inner = maskBinary
	case s.kind == "ConfigMap" && s.top && t.name == "data":
		t.variables = true
	}
	return t
}
