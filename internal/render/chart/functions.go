package chart

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"text/template"
	"time"
	_ "time/tzdata" // time zones without a disk

	"github.com/Masterminds/sprig/v3"
)

// functions replace those of Helm that would make the output depend on anything
// but the chart, its values, and what they leave to chance.
func functions(c *chance) template.FuncMap {
	dated := func(layout string, t any, zone string) (string, error) {
		at, err := c.time(t)
		return format(layout, at, zone), err
	}
	f := template.FuncMap{
		// Helm gives keys and values in random order; sorted is one of those.
		"keys":   sortedKeys,
		"values": sortedValues,
		// Helm takes the zone of the machine; ours is UTC.
		"date":           func(layout string, t any) (string, error) { return dated(layout, t, "UTC") },
		"htmlDate":       func(t any) (string, error) { return dated(time.DateOnly, t, "UTC") },
		"htmlDateInZone": func(t any, zone string) (string, error) { return dated(time.DateOnly, t, zone) },
		"dateInZone":     dated,
		"date_in_zone":   dated,
		"toDate":         func(layout, s string) time.Time { t, _ := time.ParseInLocation(layout, s, time.UTC); return t },
		"mustToDate":     func(layout, s string) (time.Time, error) { return time.ParseInLocation(layout, s, time.UTC) },
	}
	maps.Copy(f, c.functions())
	return f
}

func sortedKeys(dicts ...map[string]any) []string {
	keys := []string{}
	for _, dict := range dicts {
		keys = append(keys, slices.Sorted(maps.Keys(dict))...)
	}
	return keys
}

func sortedValues(dict map[string]any) []any {
	values := []any{}
	for _, key := range sortedKeys(dict) {
		values = append(values, dict[key])
	}
	return values
}

// format is a time in a zone; in UTC where there is no such zone, as in Sprig.
func format(layout string, t time.Time, zone string) string {
	location, err := time.LoadLocation(zone)
	if err != nil || location == time.Local {
		location = time.UTC
	}
	return t.In(location).Format(layout)
}

var errEnv = errors.New("it reads the environment, and there is none")

// executeName renders a template for the name of a release, which has Sprig's
// functions and no values. A name is nothing to leave to chance.
func executeName(text string) (string, error) {
	f := template.FuncMap(sprig.TxtFuncMap())
	maps.Copy(f, functions(&chance{refused: true}))
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		f[name] = func(...any) (string, error) { return "", errEnv }
	}
	t, err := template.New("name").Funcs(f).Parse(text)
	if err != nil {
		return "", err
	}
	var name strings.Builder
	err = t.Execute(&name, nil)
	return name.String(), err
}
