package app

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestConfigurationReference: every setting and every secret is in the reference.
func TestConfigurationReference(t *testing.T) {
	data, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	config := reflect.TypeFor[Config]()
	for i := range config.NumField() {
		if env := config.Field(i).Tag.Get("env"); env != "" && !strings.Contains(text, "`"+env+"`") {
			t.Errorf("docs/configuration.md does not know %s", env)
		}
	}
	_, err = ReadSecrets(func(name string) string {
		if base, isFile := strings.CutSuffix(name, "_FILE"); !isFile && !strings.Contains(text, "`"+base+"`") {
			t.Errorf("docs/configuration.md does not know the secret %s", base)
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
}
