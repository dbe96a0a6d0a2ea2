package overlay

import (
	"regexp"
	"strings"
)

// cutRevision splits a URL around the value of its first ref or version.
func cutRevision(url string) (head, revision, tail string, ok bool) {
	query := strings.IndexAny(url, "?&")
	for query >= 0 {
		pair := url[query+1:]
		end := strings.IndexByte(pair, '&')
		if end < 0 {
			end = len(pair)
		}
		for _, key := range []string{"ref=", "version="} {
			if strings.HasPrefix(pair[:end], key) {
				return url[:query+1+len(key)], pair[len(key):end], pair[end:], true
			}
		}
		if end == len(pair) {
			break
		}
		query += 1 + end
	}
	return "", "", "", false
}

// revisionGrammar is what git allows as the name of a branch, tag or commit
// (https://git-scm.com/docs/git-check-ref-format), without what a URL would read
// as something else.
var revisionGrammar = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./+-]*$`)

func validRevision(s string) bool {
	return revisionGrammar.MatchString(s) && !strings.Contains(s, "..") && !strings.HasSuffix(s, ".lock")
}

// commitTag is how CI systems call an image after the commit it was built from
// (https://github.com/docker/metadata-action#typesha).
var commitTag = regexp.MustCompile(`^sha-([0-9a-f]{40})$`)

// revisionOf is the git revision that a tag stands for: the commit of "sha-<commit>",
// else what is called the same.
func revisionOf(tag string) string {
	if m := commitTag.FindStringSubmatch(tag); m != nil {
		return m[1]
	}
	return tag
}

var scpHost = regexp.MustCompile(`^([A-Za-z0-9.-]+):([^0-9/].*)$`)

// gitName is a git URL as it is compared: host in lower case and path, without
// scheme, user, query and ".git". path is what stands behind the repository where
// the URL marks its end (".git" or "//").
func gitName(url string) (repo, path string) {
	url, _, _ = strings.Cut(strings.TrimPrefix(url, "git::"), "?")
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	host, rest, _ := strings.Cut(url, "/")
	if _, after, ok := strings.Cut(host, "@"); ok {
		host = after
	}
	url = host + "/" + rest
	if rest == "" {
		url = host
	}
	if m := scpHost.FindStringSubmatch(url); m != nil { // git@host:owner/repo
		url = m[1] + "/" + m[2]
	}
	repo, path, marked := strings.Cut(url, "//")
	if before, after, ok := strings.Cut(repo+"/", ".git/"); ok {
		repo = before
		if !marked {
			path = after
		}
	}
	host, rest, _ = strings.Cut(strings.TrimSuffix(repo, "/"), "/")
	return strings.ToLower(host) + "/" + rest, strings.Trim(path, "/")
}

// ownerAndName are hosts without groups in groups: what follows the second part
// is a path.
var ownerAndName = map[string]bool{"github.com": true, "bitbucket.org": true, "codeberg.org": true}

func hostOf(repo string) string {
	host, _, _ := strings.Cut(repo, "/")
	return host
}

// sameURL reports whether two URLs name the same path of the same repository.
func sameURL(a, b string) bool {
	ra, pa := gitName(a)
	rb, pb := gitName(b)
	return joined(ra, pa) == joined(rb, pb)
}

// withinRepo reports whether a URL points into the repository that another names
// as a whole.
func withinRepo(url, whole string) bool {
	repo, path := gitName(whole)
	depth := strings.Count(repo, "/")
	if path != "" || depth < 2 || depth > 2 && ownerAndName[hostOf(repo)] { // a path, or not yet a repository
		return false
	}
	r, p := gitName(url)
	return strings.HasPrefix(joined(r, p), repo+"/")
}

func joined(repo, path string) string {
	if path == "" {
		return repo
	}
	return repo + "/" + path
}
