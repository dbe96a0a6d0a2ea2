package checklist

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestTheDocumentationNamesEveryField reads the page that people write templates by.
func TestTheDocumentationNamesEveryField(t *testing.T) {
	data, err := os.ReadFile("../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[page]()
	for i := range fields.NumField() {
		if name := "`{{." + fields.Field(i).Name + "}}`"; !strings.Contains(string(data), name) {
			t.Errorf("docs/templates.md does not name %s", name)
		}
	}
}
