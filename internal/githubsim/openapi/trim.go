package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// trim reduces GitHub's description to what is wanted and what that refers to,
// without the words that are for people. Webhooks leave its extension for an
// ordinary place: components.schemas, found by the names in "x-tagboat-webhooks".
func trim(raw []byte) ([]byte, error) {
	var full struct {
		Paths      map[string]map[string]any `json:"paths"`
		Webhooks   map[string]map[string]any `json:"x-webhooks"`
		Components map[string]map[string]any `json:"components"`
	}
	if err := json.Unmarshal(raw, &full); err != nil {
		return nil, fmt.Errorf("GitHub's description is not the JSON it was: %w", err)
	}
	paths := map[string]any{}
	for path, methods := range wanted {
		item := map[string]any{}
		for _, method := range methods {
			operation, ok := full.Paths[path][method].(map[string]any)
			if !ok {
				return nil, fmt.Errorf("GitHub's description has no %s %s", strings.ToUpper(method), path)
			}
			item[method] = strip(operation, false)
		}
		paths[matchable(path)] = item
	}
	hooks, err := webhookSchemas(full.Webhooks)
	if err != nil {
		return nil, err
	}
	description := map[string]any{
		"openapi":            "3.0.3",
		"info":               map[string]any{"title": "GitHub, trimmed", "version": Version},
		"servers":            []any{map[string]any{"url": "/"}},
		"paths":              paths,
		"components":         referred(full.Components, paths, hooks),
		"x-tagboat-webhooks": hooks,
	}
	if err := mend(description); err != nil {
		return nil, err
	}
	return json.Marshal(description)
}

// matchable lets a path's last parameter take slashes, in gorilla/mux's syntax.
func matchable(path string) string {
	parameter, ok := slashed[path]
	if !ok {
		return path
	}
	return strings.TrimSuffix(path, parameter) + strings.TrimSuffix(parameter, "}") + ":.+}"
}

// webhookSchemas maps "issue-comment-created" to the reference of its body.
func webhookSchemas(webhooks map[string]map[string]any) (map[string]any, error) {
	type reference = map[string]any
	hooks := map[string]any{}
	for name, hook := range webhooks {
		if !slices.ContainsFunc(wantedWebhooks, func(event string) bool {
			event = hookName(event, "")
			return name == event || strings.HasPrefix(name, event+"-")
		}) {
			continue
		}
		raw, err := json.Marshal(hook)
		if err != nil {
			return nil, err
		}
		var h struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct{ Schema reference }
				}
			}
		}
		if err := json.Unmarshal(raw, &h); err != nil {
			return nil, err
		}
		ref, ok := h.Post.RequestBody.Content["application/json"].Schema["$ref"]
		if !ok {
			return nil, fmt.Errorf("GitHub's description of webhook %s refers to no schema", name)
		}
		hooks[name] = ref
	}
	return hooks, nil
}

// hookName is how the description calls a webhook.
func hookName(event, action string) string {
	if action != "" {
		event += "-" + action
	}
	return strings.ReplaceAll(event, "_", "-")
}

// named are the keys whose object maps names that people chose to things.
var named = map[string]bool{
	"properties": true, "patternProperties": true, "schemas": true, "responses": true, "parameters": true,
	"headers": true, "content": true, "requestBodies": true, "mapping": true,
}

// dropped are the keys that hold words for people, or what only they need.
var dropped = map[string]bool{
	"summary": true, "example": true, "examples": true, "externalDocs": true, "tags": true, "deprecated": true,
}

// strip removes words for people. names: v maps chosen names, none of which is
// a keyword, even where it looks like one.
func strip(v any, names bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			switch {
			case names:
				out[key] = strip(value, false)
			case dropped[key] || strings.HasPrefix(key, "x-"):
			case key == "description":
				out[key] = "" // responses must have one
			case key == "enum" || key == "default":
				out[key] = value
			default:
				out[key] = strip(value, named[key])
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = strip(item, false)
		}
		return out
	}
	return v
}

// referred collects the components that roots refer to, and those that they
// refer to in turn.
func referred(all map[string]map[string]any, roots ...any) map[string]any {
	kept := map[string]any{} // map[string]any by kind, as JSON has it
	var visit func(any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, value := range v {
				visit(value)
			}
		case []any:
			for _, item := range v {
				visit(item)
			}
		case string:
			kind, name, ok := strings.Cut(strings.TrimPrefix(v, "#/components/"), "/")
			if !ok || !strings.HasPrefix(v, "#/components/") {
				return
			}
			group, _ := kept[kind].(map[string]any)
			if group == nil {
				group = map[string]any{}
				kept[kind] = group
			}
			if _, done := group[name]; done {
				return
			}
			component := strip(all[kind][name], false)
			group[name] = component
			visit(component)
		}
	}
	for _, root := range roots {
		visit(root)
	}
	return kept
}
