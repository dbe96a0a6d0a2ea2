package envrepo

import _ "embed"

// Schema is the JSON Schema (2020-12) of tagboat.yaml, for editors. It knows the
// whole format; Parse is stricter, for it also knows what this version enforces.
//
//go:embed schema.json
var Schema []byte
