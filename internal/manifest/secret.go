package manifest

import (
	"regexp"
	"strings"
)

// secretValue matches what is a secret wherever it stands. The prefixes are
// documented by those who issue them, for GitHub at
// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
// and for AWS at https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
var secretValue = regexp.MustCompile(strings.Join([]string{
	`PRIVATE KEY`,                                              // PEM
	`gh[pousr]_[A-Za-z0-9]{10}`, `github_pat_[A-Za-z0-9_]{10}`, // GitHub
	`(AKIA|ASIA)[0-9A-Z]{12}`,                                    // AWS
	`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`,                    // JSON Web Token
	`xox[abeprs]-[A-Za-z0-9-]{8}`, `hooks\.slack\.com/services/`, // Slack
	`glpat-[A-Za-z0-9_-]{10}`,                              // GitLab
	`[sr]k_(live|test)_[A-Za-z0-9]{10}`,                    // Stripe
	`AIza[A-Za-z0-9_-]{30}`,                                // Google
	`(npm|dckr_pat|pypi|hvs|dop_v1)[_.-][A-Za-z0-9_-]{20}`, // npm, Docker, PyPI, Vault, DigitalOcean
	`://[^/\s:@]*:[^/\s@]+@`,                               // a URL with a password
	`(?i:bearer)\s+[A-Za-z0-9+/_=.-]{12}`,                  // an Authorization header
}, "|"))

// assigned finds names that are given a value: password=x, "token": "x",
// secret: x, <password>x, --api-key x. A colon needs a space or a quote beside
// it, for token-service:1.7.0 is an image.
var assigned = regexp.MustCompile(`(?i)([a-z0-9_./-]*(?:passw|passphrase|token|secret|credential|key|auth|dsn|pwd|pass|connection)[a-z0-9_./-]*)` +
	`(?:["']\s*:|\s*:(?:\s|$|["'])|["']?\s*:?=>?|>)\s*`)

var flagged = regexp.MustCompile(`(?:^|\s)--?([A-Za-z0-9-]+)\s+`)

// looksSecret reports whether a text on one line is, or contains, a secret.
func looksSecret(s string) bool {
	if secretValue.MatchString(s) {
		return true
	}
	at := secretFrom(s)
	return at >= 0 && at < len(s)
}

// looksPrivate reports whether a text of several lines is a private key; no line
// of it may be shown then.
func looksPrivate(s string) bool { return strings.Contains(s, "PRIVATE KEY") }

// secretFrom is where in a line the value of the first secret name begins, or -1.
func secretFrom(line string) int {
	from := -1
	for _, m := range assigned.FindAllStringSubmatchIndex(line, -1) {
		if name := line[m[2]:m[3]]; secretVariable(name) && !strings.EqualFold(name, "key") && !strings.EqualFold(name, "keys") {
			from = m[1]
			break
		}
	}
	for _, m := range flagged.FindAllStringSubmatchIndex(line, -1) {
		if secretField(line[m[2]:m[3]]) && (from < 0 || m[1] < from) {
			return m[1]
		}
	}
	return from
}

// maskLines masks the secrets in the lines of a text: what follows a name of a
// secret on its line, the lines under it that are indented deeper, and every
// line with a value that looks secret. It also says which lines it masked.
func maskLines(lines []string) (masked []string, secret []bool) {
	masked, secret = make([]string, len(lines)), make([]bool, len(lines))
	under := -1 // the indentation of the secret name that the lines belong to
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		empty := indent == len(line)
		if under >= 0 && !empty && indent <= under {
			under = -1
		}
		at := secretFrom(line)
		switch {
		case empty:
			masked[i] = line
		case under >= 0 || secretValue.MatchString(line):
			masked[i], secret[i] = line[:indent]+maskSecret, true
		case at >= 0:
			under = indent
			masked[i] = line
			if strings.TrimSpace(line[at:]) != "" {
				masked[i], secret[i] = line[:at]+maskSecret, true
			}
		default:
			masked[i] = line
		}
	}
	return masked, secret
}
