package manifest

import (
	"encoding/base64"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// values are the secrets that are known wherever they stand. The prefixes are
// documented by those who issue them, for GitHub at
// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
// and for AWS at https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
var values = []form{
	known("private key", `PRIVATE KEY`),
	known("putty-user-key-file", `PuTTY-User-Key-File`),
	known("openvpn static key", `OpenVPN Static key`),
	known("age-secret-key-1", `AGE-SECRET-KEY-1`),
	known("enc[aes256_gcm", `ENC\[AES256_GCM,`), // sops; its length is the secret's
	known("ghp_ gho_ ghu_ ghs_ ghr_", `gh[pousr]_[A-Za-z0-9]{10}`),
	known("github_pat_", `github_pat_[A-Za-z0-9_]{10}`),
	known("akia asia", `(AKIA|ASIA)[0-9A-Z]{12}`),                                                     // AWS
	known("eyj", `eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`),                                           // JSON Web Token
	known("xox xapp-", `(xox[abeprs]|xapp)-[A-Za-z0-9-]{8}`),                                          // Slack
	known("glpat- glrt- glcbt- gldt- glsoat- glptt-", `gl(pat|rt|cbt|dt|soat|ptt)-[A-Za-z0-9_-]{10}`), // GitLab
	known("k_live_ k_test_ whsec_", `([sr]k_(live|test)|whsec)_[A-Za-z0-9]{10}`),                      // Stripe
	known("sk-", `\bsk-[A-Za-z0-9_-]{20}`),                                                            // OpenAI, Anthropic
	known("aiza gocspx-", `AIza[A-Za-z0-9_-]{30}|GOCSPX-[A-Za-z0-9_-]{10}`),                           // Google
	known("sg.", `SG\.[A-Za-z0-9_-]{16,}\.`),                                                          // SendGrid
	known("glsa_", `glsa_[A-Za-z0-9_]{20}`),                                                           // Grafana
	// npm, Docker, PyPI, Vault, DigitalOcean, Hugging Face
	known("npm dckr_pat pypi hvs hvb dop_v1 hf", `(npm|dckr_pat|pypi|hvs|hvb|dop_v1|hf)[_.-][A-Za-z0-9_-]{20}`),
	known("hooks.slack. /api/webhooks/ webhook.office.", `hooks\.slack\.com/services/|discord(app)?\.com/api/webhooks/|webhook\.office\.com/webhookb2/`),
	known("sig=", `[?&]sig=[^\s"']{8}`), // a URL that Azure signed
	known("bearer", `(?i:bearer)\s+[A-Za-z0-9+/_=.-]{12}`),
	known("$", `\$\$?(apr1|2[abxy]|5|6|7|y|gy|argon2id?|argon2d|scrypt|pbkdf2[a-z0-9-]*)\$[^\s"']{22}`), // crypt(3)
}

// form is a way to write a secret on a line, which begins where the pattern's
// group "at" does, or else its first group. Plausible, if there is one, says
// whether a match, as FindStringSubmatch returns it, really is a secret.
type form struct {
	needs     []string // a line has one of them in it, in lower case; to look for them is much faster
	pattern   *regexp.Regexp
	plausible func(m []string) bool
}

func known(needs, pattern string) form { return credential(needs, pattern, nil) }

func credential(needs, pattern string, plausible func(m []string) bool) form {
	return form{strings.Fields(needs), regexp.MustCompile(pattern), plausible}
}

// command is the words of a command.
const command = `(?:[^|;&\n]*?\s)?`

// forms are the ways to write a credential on one line of a file, of a script, or
// of the arguments of a program.
var forms = []form{
	// host:port:database:user:password, https://www.postgresql.org/docs/current/libpq-pgpass.html
	credential(colons, `(?:^|[\s"'=>])(?:\\.|[^\s:"'=\\])+:(?:\d{1,5}|\*):(?:\\.|[^\s:\\])+:(?:\\.|[^\s:\\])+:(\S+)`, notAddress),
	// machine example.com login alice password x, as ~/.netrc has it
	known("password", `(?:^|[\s"'])(?:(?:machine\s+\S+\s+)?(?:(?:login|account)\s+\S+\s+)+|machine\s+\S+\s+)password\s+(\S)`),
	// user:hash, as htpasswd writes it
	known(":$", `:(\$\$?(?:apr1|2[abxy]|[1567y]|gy|argon2\w*|scrypt)\$)`),
	known("sha md5 crypt} pbkdf2 argon2}", `(\{(?:S?SHA(?:\d+)?|S?MD5|CRYPT|PBKDF2[A-Z0-9-]*|BCRYPT|ARGON2)\}[A-Za-z0-9+/=$.]{4})`),
	// URLs, and what programs take for one
	credential("://", `://[^/\s:@]*:([^\s@]*)@(\S*)`, notPort),
	known("://", `https?://([^/\s:@]{20,}@)`),
	known("jdbc:oracle:", `jdbc:oracle:thin:[^/\s@]+/([^@\s]+@)`),
	known("@tcp( @udp( @unix(", `[^\s:@/]:([^\s@]+@(?:tcp|udp|unix)\()`),
	credential("@", `(?:^|[\s"'=])([\w.+-]+):(?P<at>[^\s@/:]+)@[A-Za-z][\w-]*(?:\.[\w-]+)*(?:$|[/\s"'])`, notScheme),
	// headers
	credential("basic", `(?i)\bbasic\s+([A-Za-z0-9+/]{6,}={0,2})`, encodesPair),
	known("authorization", `(?i)\bauthorization["']?\s+["']([^\s"'])`),
	// commands
	known("mysql mariadb", `\b(?:mysql\w*|mariadb[\w-]*)\s`+command+`-p([^\s-]\S*)`),
	known("sshpass", `\bsshpass\s`+command+`-p\s*(\S)`),
	known("login", `\blogin\s`+command+`-p[\s=]+(\S)`),
	known("mongo", `\bmongo\w*\s`+command+`-p[\s=]+(\S)`),
	known("redis-", `\bredis-\w+\s`+command+`-a\s+(\S)`),
	known("ldap", `\bldap\w+\s`+command+`-w\s+(\S)`),
	known("pass:", `-pass(?:in|out)?\s+pass:(\S)`),
	known("-stdin", `\becho\s+(\S.*?)\s*\|.*-stdin\b`),
	known("--from-literal", `\bcreate\s+secret\b.*?--from-literal[\s=]+[^\s=]+=(\S)`),
	credential("-u", `(?:^|\s)(?:-u|-U|--user|--proxy-user)[\s=]*([^\s:"'-][^\s:"']*:[^\s"']+)`, notPorts),
	credential("-u", `(?:^|\s)(?:-u|-U|--user|--username)[\s=]*([^\s"'-]\S*)\s`+command+`-p[\s=]+(?P<at>\S+)`, notPorts),
	credential("-u", `(?:^|\s)-p[\s=]+(\S+)\s`+command+`(?:-u|-U|--user|--username)[\s=]*([^\s"'-]\S*)`, notPorts),
	// SQL, the files of servers, calls like define('DB_PASSWORD', 'x')
	known("password", `(?i)\bpassword\s+E?['"]([^'"])`),
	known("identified", `(?i)\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?['"]([^'"])`),
	known("requirepass masterauth insecure-password bindpw rootpw", `(?i)(?:^|\s)(?:requirepass|masterauth|insecure-password|bindpw|rootpw)\s+(\S)`),
	known("password: passwd: passphrase: pwd:", `(?i)(?:^|[\s"'(;,])/?(?:password|passwd|passphrase|pwd):([^\s/])`),
	credential("(", `\w\(\s*["']([\w./-]+)["']\s*,\s*["'](?P<at>[^"'])`, namedFirst),
}

// secretValue reports whether a line has one of the known secrets in it.
func secretValue(line string) bool { return knownIn(line) >= 0 }

// knownIn is where in a line the word begins that the first known secret is in, or
// -1. It is the same place whether such a word is only known for what stands
// before it, as a hash in htpasswd is; else the mask would tell which was the case.
func knownIn(line string) int {
	from, lower := -1, strings.ToLower(line)
	for _, v := range values {
		if !v.mayBeIn(lower) {
			continue
		}
		if at := v.pattern.FindStringIndex(line); at != nil {
			from = earliest(from, at[0])
		}
	}
	for from > 0 && strings.IndexByte(" \t\"'=:,;<>()[]{}", line[from-1]) < 0 {
		from--
	}
	return from
}

// colons is what a line needs that has four of them, anywhere.
const colons = ":*4"

func (f form) mayBeIn(lower string) bool {
	if f.needs[0] == colons {
		return strings.Count(lower, ":") >= 4
	}
	return slices.ContainsFunc(f.needs, func(s string) bool { return strings.Contains(lower, s) })
}

// credentialIn is where in a line the first credential begins, or -1.
func credentialIn(line string, depth int) int {
	from := earliest(knownIn(line), encodedIn(line, depth))
	for at := range credentials(line) {
		from = earliest(from, at)
	}
	return from
}

// earliest is the first of two places, of which -1 is none.
func earliest(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// credentials are the places in a line where the credentials of all forms begin.
func credentials(line string) iter.Seq[int] {
	return func(yield func(int) bool) {
		lower := strings.ToLower(line)
		for _, f := range forms {
			if !f.mayBeIn(lower) {
				continue
			}
			group := max(1, f.pattern.SubexpIndex("at"))
			for _, at := range f.pattern.FindAllStringSubmatchIndex(line, -1) {
				if (f.plausible == nil || f.plausible(submatches(line, at))) && !yield(at[2*group]) {
					return
				}
			}
		}
	}
}

func submatches(s string, at []int) []string {
	m := make([]string, len(at)/2)
	for i := range m {
		if at[2*i] >= 0 {
			m[i] = s[at[2*i]:at[2*i+1]]
		}
	}
	return m
}

// notAddress tells a line of .pgpass from an IPv6 address and a network card's.
func notAddress(m []string) bool {
	word := strings.Trim(m[0], " \t\"'=>")
	_, err := netip.ParseAddr(word)
	return err != nil && !cardAddress.MatchString(word)
}

var cardAddress = regexp.MustCompile(`^([0-9A-Fa-f]{2}:)+[0-9A-Fa-f]{2}$`)

// notPort tells https://user:password@host from https://host:8080/x@v1.
func notPort(m []string) bool {
	return !portAndPath.MatchString(m[1]) || !strings.HasSuffix(m[1], "/") && !pinned.MatchString(m[2])
}

var (
	portAndPath = regexp.MustCompile(`^\d{1,5}/`)
	pinned      = regexp.MustCompile(`^(sha\d+:|v?\d)`)
)

// notScheme tells user:password@host from mailto:user@host.
func notScheme(m []string) bool {
	switch strings.ToLower(m[1]) {
	case "mailto", "sip", "sips", "xmpp", "acct", "im", "npm", "github", "file", "workspace":
		return false
	}
	return true
}

// notPorts tells -u name:password from -u 1000:1000, and -p password from -p 8080:80.
func notPorts(m []string) bool {
	return !slices.ContainsFunc(m[1:], ports.MatchString)
}

var ports = regexp.MustCompile(`^\d{1,5}([:./-]\d{1,5})*(/(tcp|udp))?$`)

func namedFirst(m []string) bool { return secretVariable(m[1]) }

// encodesPair reports whether what follows "Basic" is user:password.
func encodesPair(m []string) bool {
	text, ok := decoded(m[1])
	return ok && strings.Contains(text, ":")
}

// shortEncoded is how long a text in base64 is at least that is looked into.
const shortEncoded = 16

// encodedIn is where in a line the first text in base64 begins that has a secret
// in it, or -1.
func encodedIn(line string, depth int) int {
	for i := 0; i+shortEncoded <= len(line); i++ {
		n := 0
		for i+n < len(line) && inBase64(line[i+n]) {
			n++
		}
		if n >= shortEncoded {
			if _, ok := decoded(line[i : i+4]); ok {
				if text, ok := decoded(line[i : i+n]); ok && holdsSecret(text, depth+1) {
					return i
				}
			}
		}
		i += n
	}
	return -1
}

func inBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("+/_-", c) >= 0
}

// standard makes standard base64 without padding of all that there is.
var standard = strings.NewReplacer("-", "+", "_", "/", "=", "")

// decoded is the text that s is in base64.
func decoded(s string) (string, bool) {
	raw, err := base64.RawStdEncoding.DecodeString(standard.Replace(s))
	if err != nil || !utf8.Valid(raw) {
		return "", false
	}
	for _, b := range raw {
		if b < ' ' && b != '\n' && b != '\t' && b != '\r' {
			return "", false
		}
	}
	return string(raw), true
}
