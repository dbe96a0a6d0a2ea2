package envrepo

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/image"
)

var (
	placeholder = regexp.MustCompile(`\{[^}]*\}?|\}`)
	// A chart in a registry is pinned, or the same commit would render differently
	// tomorrow.
	pinnedChart = regexp.MustCompile(`^oci://[a-zA-Z0-9][a-zA-Z0-9.:/_{}-]*@sha256:[0-9a-f]{64}$`)
	// Helm's rule: https://github.com/helm/helm/blob/main/pkg/chart/v2/util/validate_name.go
	releaseGrammar = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	// Kubernetes' rule for a namespace, an RFC 1123 label:
	// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
	namespaceGrammar = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

// How long the names of a Helm release and of a namespace may be.
const (
	maxRelease   = 53
	maxNamespace = 63
)

// isFile reports whether a pattern finds files rather than directories.
func isFile(pattern string) bool {
	ext := path.Ext(pattern)
	return ext == ".yaml" || ext == ".yml"
}

// pattern is what an app is found by.
func (a App) pattern() string {
	switch {
	case a.Discover != "":
		return a.Discover
	case a.Path != "":
		return a.Path
	}
	return a.File
}

func (r *reader) apps(c *Config) {
	names := map[string]bool{}
	for i, a := range c.Apps {
		at := fmt.Sprintf("apps[%d]", i)
		switch {
		case a.Discover != "" && (a.Name != "" || a.Path != ""):
			r.at(at, "%s has discover and also name or path; an app is either discovered or named", at)
		case a.Discover != "":
			r.pattern(at+".discover", a.Discover, "{app}", "{env}")
			if isFile(a.Discover) && a.File != "" {
				r.at(at+".file", "%s.discover finds files already; remove file, or discover directories", at)
			}
		case a.Name == "":
			r.at(at, "%s needs discover (a pattern), or name and path", at)
		default:
			r.name(at+".name", a.Name, names)
			if a.Path != "" || a.File == "" {
				r.pattern(at+".path", a.Path, "{env}")
			}
			if isFile(a.Path) {
				r.at(at+".path", "%q is a file; write it as file:, and as path: the directory to render, if it is another", a.Path)
			}
		}
		if a.File != "" {
			r.carrier(at+".file", a)
		}
		r.moved(at, a)
		if a.Helm != nil {
			r.helm(at, a)
		}
	}
}

// carrier checks the file that carries the version.
func (r *reader) carrier(at string, a App) {
	r.template(at, a.File, a)
	switch {
	case !isFile(a.File):
		r.at(at, "%q must be a file that ends in .yaml or .yml", a.File)
	case !strings.Contains(a.File, "{env}") && r.shared != "":
		r.at(at, "%q is one file for all environments, which would move together; put {env} into it (it can be left out only where every environment has a branch of its own; %s)", a.File, r.shared)
	}
}

// moved checks the names of what moves.
func (r *reader) moved(at string, a App) {
	if len(a.Images) > 0 && len(a.Charts) > 0 {
		r.at(at+".charts", "%s has images and charts; only one of them can move", at)
	}
	r.strings(at+".images", a.Images, func(s string) string {
		if !repository(s, a) {
			return fmt.Sprintf("%q is not a repository; write it without tag or digest, such as registry.example.com/catalog", s)
		}
		return ""
	})
	r.strings(at+".charts", a.Charts, func(s string) string {
		if !repository(s, a) {
			return fmt.Sprintf("%q is not a chart; write it without oci:// and version, such as registry.example.com/charts/payments or payments", s)
		}
		return ""
	})
}

// repository reports whether s names what a registry holds. Where apps are
// discovered, it can be made of the app's name.
func repository(s string, a App) bool {
	if a.Discover != "" {
		s = strings.ReplaceAll(s, "{app}", "app")
	}
	ref, err := image.Parse(s)
	return err == nil && ref.Tag == "" && ref.Digest == ""
}

func (r *reader) helm(at string, a App) {
	h, at := a.Helm, at+".helm"
	switch {
	case h.Chart == "":
		r.at(at, "%s.chart is missing; write the chart's directory, such as charts/{app}, or oci://registry.example.com/charts/payments@sha256:…", at)
	case strings.HasPrefix(h.Chart, "oci://"):
		r.placeholders(at+".chart", h.Chart, a)
		if !pinnedChart.MatchString(h.Chart) {
			r.at(at+".chart", "%q is not pinned; write oci://host/repository@sha256:… with the digest of the chart", h.Chart)
		}
	case strings.Contains(h.Chart, "://"):
		r.at(at+".chart", "%q is neither a directory of this repository nor oci://host/repository@sha256:…", h.Chart)
	default:
		r.template(at+".chart", h.Chart, a)
	}
	for j, v := range h.Values {
		at := fmt.Sprintf("%s.values[%d]", at, j)
		r.template(at, v, a)
		if !isFile(v) {
			r.at(at, "%q must be a file that ends in .yaml or .yml", v)
		}
	}
	r.placeholders(at+".release", h.Release, a)
	if filled := placeholder.ReplaceAllString(h.Release, "x"); filled != "" && wrongRelease(filled) != "" {
		r.at(at+".release", "%s", wrongRelease(h.Release))
	}
	r.placeholders(at+".namespace", h.Namespace, a)
	if filled := placeholder.ReplaceAllString(h.Namespace, "x"); filled != "" && wrongNamespace(filled) != "" {
		r.at(at+".namespace", "%s", wrongNamespace(h.Namespace))
	}
	if a.File != "" || isFile(a.pattern()) {
		return
	}
	if len(h.Values) == 0 {
		r.at(at, "%s names no values, so nothing says where the version stands; add values, or file: beside helm:", at)
	} else if last := h.Values[len(h.Values)-1]; !strings.Contains(last, "{env}") && r.shared != "" {
		r.at(at+".values", "the last of values carries the version, and %q is one file for all environments; put {env} into it, or say which file with file:", last)
	}
}

func wrongRelease(s string) string {
	if len(s) <= maxRelease && releaseGrammar.MatchString(s) {
		return ""
	}
	return fmt.Sprintf("%q is not a name of a Helm release; write 1 to %d of a-z, 0-9, '-' and '.', starting and ending with a letter or digit", s, maxRelease)
}

func wrongNamespace(s string) string {
	if len(s) <= maxNamespace && namespaceGrammar.MatchString(s) {
		return ""
	}
	return fmt.Sprintf("%q is not a namespace; write 1 to %d of a-z, 0-9 and '-', starting and ending with a letter or digit", s, maxNamespace)
}

// pattern checks what apps are found by: each of the placeholders must be there
// once, and {cluster} can be. Without {env} every branch holds one environment.
func (r *reader) pattern(at, pattern string, placeholders ...string) {
	if pattern == "" {
		r.at(at, "%s is missing; write a directory such as %s", at, DefaultDiscover)
		return
	}
	r.path(at, pattern)
	allowed := append(slices.Clone(placeholders), "{cluster}")
	for _, p := range placeholder.FindAllString(pattern, -1) {
		if !slices.Contains(allowed, p) {
			r.at(at, "%q has %s; only %s can stand here%s", pattern, p, words(allowed), meant(p, allowed))
		}
	}
	for _, p := range placeholders {
		n := strings.Count(pattern, p)
		if p == "{env}" && n == 0 && r.shared != "" {
			r.at(at, "%q must have {env} exactly once (it can be left out only where every environment has a branch of its own; %s)", pattern, r.shared)
		} else if n > 1 || n == 0 && p != "{env}" {
			r.at(at, "%q must have %s exactly once", pattern, p)
		}
	}
	if strings.Count(pattern, "{cluster}") > 1 {
		r.at(at, "%q must have {cluster} at most once", pattern)
	}
	for segment := range strings.SplitSeq(pattern, "/") {
		if strings.Contains(segment, "}{") {
			r.at(at, "%q: nothing says where one placeholder of %q ends and the next begins; put '-', '.' or '/' between them", pattern, segment)
		}
	}
}

// template checks a path that is filled in once the app and environment are known.
func (r *reader) template(at, text string, a App) {
	if text == "" {
		r.at(at, "%s is empty; write a path inside the repository", at)
		return
	}
	r.path(at, text)
	r.placeholders(at, text, a)
}

// placeholders checks what can be filled in.
func (r *reader) placeholders(at, text string, a App) {
	allowed := []string{"{app}", "{env}"}
	if strings.Contains(a.pattern(), "{cluster}") {
		allowed = append(allowed, "{cluster}")
	}
	for _, p := range placeholder.FindAllString(text, -1) {
		if !slices.Contains(allowed, p) {
			r.at(at, "%q has %s; only %s can stand here%s", text, p, words(allowed), meant(p, allowed))
		}
	}
}

// path checks that a path stays inside the repository.
func (r *reader) path(at, p string) {
	if path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") {
		r.at(at, "%q must be a clean path inside the repository, without leading or trailing slash and without ..", p)
	}
}

// shared says which environments live on one branch, or "" when each has its own:
// the branch alone tells them apart then.
func shared(c *Config) string {
	on := map[string]string{}
	for _, e := range c.Environments {
		if other, ok := on[e.Branch]; ok {
			branch := "the branch " + e.Branch
			if e.Branch == "" {
				branch = "the default branch"
			}
			return fmt.Sprintf("%s and %s share %s", other, e.Name, branch)
		}
		on[e.Branch] = e.Name
	}
	return ""
}

// words joins a list as people say it.
func words(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// meant is the remark about the nearest of some words, if one is near.
func meant(unknown string, known []string) string {
	if k := nearest(unknown, known); k != "" {
		return "; " + k + " was meant?"
	}
	return ""
}
