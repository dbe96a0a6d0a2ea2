package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestTheReferenceKnowsWhatAWorkerTakes: what tagboat sync takes beside the server's settings
// is in the reference, as those are (app.TestConfigurationReference).
func TestTheReferenceKnowsWhatAWorkerTakes(t *testing.T) {
	reference, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	worker, own := reflect.TypeFor[syncCommand](), 0
	for i := range worker.NumField() {
		tag := worker.Field(i).Tag
		if tag.Get("env") == "" {
			continue
		}
		own++
		for _, name := range []string{"`" + tag.Get("env") + "`", "`--" + tag.Get("name") + "`"} {
			if !strings.Contains(string(reference), name) {
				t.Errorf("docs/configuration.md does not know %s", name)
			}
		}
	}
	if own == 0 {
		t.Error("a worker takes nothing of its own")
	}
}
