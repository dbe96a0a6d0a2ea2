package manifest

import (
	"regexp"
	"slices"
	"strings"
)

// secretWords are parts of names of things that hold secrets, in lower case
// without separators.
var secretWords = []string{
	"password", "passwd", "passphrase", "passcode", "token", "secret", "credential", "apikey", "accesskey", "accountkey", "privatekey",
	"signingkey", "encryptionkey", "sharedkey", "sessionkey", "masterkey", "authkey", "deploykey", "sshkey", "hmackey", "licensekey",
	"connectionstring", "authorization", "dsn", "pgpass", "netrc", "dockerconfigjson", "dockercfg",
}

// secretNames are whole names of such things, too short to be looked for within
// other names.
var secretNames = []string{"auth", "pwd", "pass", "pw", "psk", "basicauth", "userpass", "idrsa", "ided25519", "idecdsa"}

// shortPassword is a name that ends in a word for password, as dbPass and db_pw do.
var shortPassword = regexp.MustCompile(`[a-z0-9](Pass|Pwd|Pw)$|[_.-](?i:pass|pwd|pw)$`)

// harmless are ends of names that speak about a secret without holding it:
// secretName, tokenPath, PASSWORD_FILE; or about what deals with it, as
// token-service.image.tag does.
var harmless = []string{
	"name", "names", "ref", "refs", "reference", "references", "file", "filename", "path", "paths", "mount", "dir", "directory", "class", "type", "kind",
	"ttl", "seconds", "minutes", "expiry", "expiration", "length", "policy", "namespace", "version", "enabled", "url", "uri", "endpoint",
	"audience", "issuer", "lifetime", "interval", "algorithm", "mode", "method", "image", "tag", "digest", "repository", "registry", "replicas",
	"port", "host", "stdin", "publickey", "publickeys", "pubkey", "authorizedkeys", "pullsecret", "pullsecrets",
}

// limits are names like maxTokens and MIN_TOKENS.
var limits = regexp.MustCompile(`^(max|min|num)[A-Z]|^(?i:max|min|num)[_-]`)

// components are ends of names of what deals with secrets. In their settings not
// everything is a secret.
var components = []string{
	"service", "server", "manager", "operator", "controller", "store", "provider", "proxy", "reviewer", "rotator", "generator", "exchange", "handler",
	"template", "templates", "request", "requests",
}

// stems are what a line has in it, in lower case, that has the name of a secret in
// it. To look for them is much faster than to look for names.
var stems = []string{
	"pass", "pwd", "pw", "psk", "pem", "key", "token", "secret", "credential", "connection", "auth", "dsn", "netrc", "docker", "rsa", "ed25519", "ecdsa",
}

// mayName reports whether a line may have the name of a secret in it.
func mayName(line string) bool { return contains(strings.ToLower(line), stems) }

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "", "/", "", `\`, "")

// bareName is a name without what people write in different ways.
func bareName(name string) string { return separators.Replace(strings.ToLower(name)) }

// secretField reports whether a field of this name holds a secret.
func secretField(name string) bool {
	n := bareName(name)
	if slices.Contains(secretNames, n) {
		return true
	}
	return (contains(n, secretWords) || shortPassword.MatchString(name)) && !speaksOnly(name)
}

// speaksOnly reports whether what a name speaks of is no secret, though it may be
// about one. existingSecret is how Helm charts call a Secret that is there already.
func speaksOnly(name string) bool {
	n := bareName(name)
	return endsIn(n, harmless) || strings.HasPrefix(n, "existing") || limits.MatchString(name)
}

// describes reports whether a field among a secret's own is likely not the secret:
// username beside password.
func describes(name string) bool {
	switch bareName(name) {
	case "user", "username", "login", "email", "database", "db", "provider", "source", "region", "realm", "optional", "create", "operator", "property", "labels", "annotations":
		return true
	}
	return speaksOnly(name)
}

// holdsAll reports whether whatever stands under a secret's name is secret too.
// In a token service's settings it is not.
func holdsAll(name string) bool { return name == generator || !endsIn(bareName(name), components) }

var (
	keyWord = regexp.MustCompile(`(?i)(^|[_.-])(key|keys|pwd|pass|pem|auth)([_.-]|$)`)
	capital = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)
)

// secretVariable reports whether an environment variable or a file of this name
// holds a secret: what a field may be, and DEPLOY_KEY and tls.key besides.
func secretVariable(name string) bool {
	return secretField(name) || keyWord.MatchString(name) && !speaksOnly(name)
}

// keyOnly reports whether a name says only that something is a key, as half of all
// the mappings do that have keys and values.
func keyOnly(name string) bool {
	return strings.EqualFold(name, "key") || strings.EqualFold(name, "keys")
}

// secretKey reports whether a mapping's key of this name holds a secret, in a
// mapping of which nobody knows what it is. A name in capitals is a variable's.
func secretKey(name string) bool {
	return secretField(name) || capital.MatchString(name) && secretVariable(name)
}

// holdsVariables reports whether the keys of a mapping of this name are names of
// environment variables.
func holdsVariables(name string) bool {
	switch bareName(name) {
	case "env", "envs", "environment", "envvars", "extraenv", "extraenvs", "extraenvvars", "substitute":
		return true
	}
	return false
}

func contains(s string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

func endsIn(s string, ends []string) bool {
	return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(s, end) })
}

// plural reports whether a name is that of several secrets, which stand under it
// by names that nobody can foresee: passwords: {alice: ...}.
func plural(name string) bool {
	n, ok := strings.CutSuffix(bareName(name), "s")
	return ok && n != "credential" && endsIn(n, secretWords)
}

// holdsValue reports whether a key under a secret's name holds the secret
// itself, as in password: {value: ...}; password: {secretName: ...} does not.
func holdsValue(name string) bool {
	switch strings.ToLower(name) {
	case "value", "values", "data", "stringdata", "literal", "plaintext", "plain", "raw", "default", "inline", "text":
		return true
	}
	return false
}

var flagOnly = regexp.MustCompile(`^--?([A-Za-z0-9._-]+)$`)

// secretFlag reports whether an argument says that the one after it is a secret.
func secretFlag(argument string) bool {
	m := flagOnly.FindStringSubmatch(argument)
	return m != nil && secretField(m[1])
}
