package manifest

// Who refuses secrets in plain text asks the same questions as who masks them.

// SecretName reports whether a variable or a file of this name holds a secret.
func SecretName(name string) bool { return secretVariable(name) }

// SecretText reports whether a text on one line is a secret, or gives a value to the
// name of one.
func SecretText(line string) bool { return looksSecret(line) }

// SecretForm reports whether a text holds what is a secret by its form: a private key,
// a token of a known kind, a URL with a password.
func SecretForm(text string) bool { return credentialIn(text, 0) >= 0 }
