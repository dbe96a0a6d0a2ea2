package githubsim

import (
	"net/url"
	"regexp"
	"strings"
)

// route is one operation of the API.
type route struct {
	method  string
	pattern string // as in GitHub's OpenAPI description; {name+} may span slashes
	// app is the permission an installation token needs, in the words of the
	// header X-Accepted-GitHub-Permissions: "checks=write", alternatives
	// separated by "; ". Empty: any token. "jwt": the App itself.
	app string
	// user is the least role in the repository that a person needs; empty: may
	// see it. "-": not for people.
	user   string
	handle func(*call) (any, error)
}

// name is the route as journals and faults show it: "GET /repos/{owner}/{repo}".
func (rt *route) name() string { return rt.method + " " + strings.ReplaceAll(rt.pattern, "+}", "}") }

type router struct{ table []compiled }

type compiled struct {
	route *route
	match *regexp.Regexp
	names []string
}

var placeholder = regexp.MustCompile(`\{([a-z_]+)(\+?)\}`)

func newRouter(routes []route) *router {
	rt := &router{}
	for i := range routes {
		c := compiled{route: &routes[i]}
		expr := placeholder.ReplaceAllStringFunc(routes[i].pattern, func(p string) string {
			parts := placeholder.FindStringSubmatch(p)
			c.names = append(c.names, parts[1])
			if parts[2] == "+" {
				return "(.+)"
			}
			return "([^/]+)"
		})
		c.match = regexp.MustCompile("^" + expr + "$")
		rt.table = append(rt.table, c)
	}
	return rt
}

// find returns the first route that fits, with its path values decoded. The
// table is ordered, special before general.
func (rt *router) find(method, escapedPath string) (*route, map[string]string) {
	path := strings.TrimSuffix(strings.TrimPrefix(escapedPath, "/api/v3"), "/")
	for _, c := range rt.table {
		if method != "" && c.route.method != method {
			continue
		}
		m := c.match.FindStringSubmatch(path)
		if m == nil {
			continue
		}
		vars := map[string]string{}
		for i, name := range c.names {
			value, err := url.PathUnescape(m[i+1])
			if err != nil {
				value = m[i+1]
			}
			vars[name] = value
		}
		return c.route, vars
	}
	return nil, nil
}

// knows reports whether any method of the API answers at the path.
func (rt *router) knows(escapedPath string) bool {
	found, _ := rt.find("", escapedPath)
	return found != nil
}
