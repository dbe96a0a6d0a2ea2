package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tagboat/tagboat/internal/image"
)

//go:embed assets
var files embed.FS

// page is what every template is given.
type page struct {
	Title   string
	Now     Moment // when the page was made
	Refresh bool   // keeps itself up to date
	Body    any
}

// asset is a file that pages refer to.
type asset struct {
	body    []byte
	kind    string
	version string // of the contents, so that the file can be cached for ever
}

// kinds are fixed: the machine's own table of types may say otherwise, and a
// browser that is told not to guess would then refuse the file.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func readAssets() (map[string]asset, error) {
	entries, err := files.ReadDir("assets")
	if err != nil {
		return nil, err
	}
	assets := map[string]asset{}
	for _, entry := range entries {
		if path.Ext(entry.Name()) == ".html" {
			continue
		}
		body, err := files.ReadFile("assets/" + entry.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(body)
		assets[entry.Name()] = asset{body, kinds[path.Ext(entry.Name())], hex.EncodeToString(sum[:6])}
	}
	return assets, nil
}

func (w *Web) showAsset(c echo.Context) error {
	a, ok := w.assets[c.Param("name")]
	if !ok {
		return w.missing(c, "There is no file at this address.")
	}
	if c.QueryParam("v") == a.version {
		c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	}
	return c.Blob(http.StatusOK, a.kind, a.body)
}

func parsePages(assets map[string]asset) (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{
		"asset":       func(name string) string { return "/assets/" + name + "?v=" + assets[name].version },
		"shortDigest": image.ShortDigest,
		"shortSHA":    func(sha string) string { return sha[:min(len(sha), 12)] },
		"icon":        icon,
	}).ParseFS(files, "assets/*.html")
}

// icons say which of layout.html's drawings stands for a state or a verdict. The
// word is always beside it: neither shape nor colour has to be told apart.
var icons = map[string]string{
	"healthy": "good", "pass": "good", "deployed": "good", "approved": "good", "ticked": "good",
	"failed": "bad", "fail": "bad", "overridden": "lost", "changes requested": "bad", "refused": "bad",
	"unreachable": "lost", "interrupted": "lost",
	"waiting": "wait", "wait": "wait", "applying": "busy", "running": "busy", "merged": "busy",
}

func icon(state string) string {
	if name, ok := icons[state]; ok {
		return name
	}
	return "none"
}

// webURL is s if it is an absolute http or https URL, else "".
func webURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Scheme, "http") && !strings.EqualFold(u.Scheme, "https") {
		return ""
	}
	return s
}
