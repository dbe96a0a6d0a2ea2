package openapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/nested"
)

// Version of npm's @octokit/openapi that traffic is judged by.
const Version = "23.0.2"

// Validator judges traffic. It is safe for concurrent use.
type Validator struct {
	router   routers.Router
	roots    map[string]bool             // first elements of API paths
	webhooks map[string]*openapi3.Schema // by hookName
}

// Load reads the trimmed description from cacheDir ("" for nested.CacheDir()),
// after fetching and trimming it where it is not there yet.
func Load(ctx context.Context, cacheDir string) (_ *Validator, err error) {
	defer fault.Wrap(&err, "load GitHub's OpenAPI description")
	raw, err := trimmed(ctx, cacheDir)
	if err != nil {
		return nil, err
	}
	return parse(ctx, raw)
}

// trimmed is the cached description. The file's name tells the version and what
// it was trimmed to, so that a changed list makes another file.
func trimmed(ctx context.Context, cacheDir string) ([]byte, error) {
	if cacheDir == "" {
		cacheDir = nested.CacheDir()
	}
	key, err := json.Marshal([]any{trimFormat, wanted, wantedWebhooks, slashed})
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(key)
	path := filepath.Join(cacheDir, fmt.Sprintf("github-openapi-%s-%x.json", Version, hash[:8]))
	if raw, err := os.ReadFile(path); err == nil {
		return raw, nil
	}
	pkg, err := nested.NPM(ctx, "@octokit/openapi", Version, nested.Options{Cache: cacheDir})
	if err != nil {
		return nil, err
	}
	full, err := os.ReadFile(filepath.Join(pkg, "generated", "api.github.com.json"))
	if err != nil {
		return nil, err
	}
	raw, err := trim(full)
	if err != nil {
		return nil, err
	}
	return raw, writeWhole(path, raw)
}

// trimFormat changes whenever trim makes something else of the same lists.
const trimFormat = 4

// writeWhole never leaves half a file for another process to read.
func writeWhole(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".openapi-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(content); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Chmod(0o644); err != nil { // other accounts may share the cache
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func parse(ctx context.Context, raw []byte) (*Validator, error) {
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(ctx, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation()); err != nil {
		return nil, err
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	v := &Validator{router: router, roots: map[string]bool{}, webhooks: map[string]*openapi3.Schema{}}
	for path := range wanted {
		v.roots[root(path)] = true
	}
	var extra struct {
		Hooks map[string]string `json:"x-tagboat-webhooks"`
	}
	if err := json.Unmarshal(raw, &extra); err != nil {
		return nil, err
	}
	for name, ref := range extra.Hooks {
		schema := doc.Components.Schemas[filepath.Base(ref)]
		if schema == nil {
			return nil, fmt.Errorf("webhook %s refers to %s, which is not there", name, ref)
		}
		v.webhooks[name] = schema.Value
	}
	return v, nil
}
