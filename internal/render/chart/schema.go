package chart

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"

	"github.com/tagboat/tagboat/internal/fault"
)

// checkSchemas holds the values against the schemas of a chart and its subcharts
// (https://helm.sh/docs/topics/charts/#schema-files). A schema that refers to
// another file or URL is refused.
func checkSchemas(c *chart.Chart, values any) error {
	var dict map[string]any
	switch v := values.(type) {
	case nil:
		return nil
	case map[string]any:
		dict = v
	case common.Values:
		dict = v
	default:
		return fault.Errorf(fault.Invalid, "the values for chart %s must be a mapping", c.Name())
	}
	if c.Schema != nil {
		if err := checkSchema(c.Schema, dict); err != nil {
			return fault.Errorf(fault.Invalid, "the values for chart %s do not meet its values.schema.json: %s", c.Name(), oneLine(err.Error()))
		}
	}
	for _, sub := range c.Dependencies() {
		if err := checkSchemas(sub, dict[sub.Name()]); err != nil {
			return err
		}
	}
	return nil
}

const schemaName = "file:///values.schema.json"

func checkSchema(data []byte, values map[string]any) error {
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(closed{})
	if err := compiler.AddResource(schemaName, schema); err != nil {
		return err
	}
	compiled, err := compiler.Compile(schemaName)
	if err != nil {
		return err
	}
	err = compiled.Validate(values)
	if problems, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return errors.New(strings.Join(leaves(problems, map[string]bool{}), "; "))
	}
	return err
}

// leaves are the problems at the ends of the tree, each once.
func leaves(e *jsonschema.ValidationError, found map[string]bool) []string {
	if len(e.Causes) == 0 {
		found[e.Error()] = true
	}
	for _, cause := range e.Causes {
		leaves(cause, found)
	}
	return slices.Sorted(maps.Keys(found))
}

// closed loads nothing that a schema refers to. Only urn: is let through, as Helm
// does, which takes it for a schema that everything meets.
type closed struct{}

// Load implements jsonschema.URLLoader.
func (closed) Load(url string) (any, error) {
	if strings.HasPrefix(url, "urn:") {
		return true, nil
	}
	return nil, errors.New("it refers to another schema, which Tagboat never fetches; copy it into values.schema.json")
}
