package chart_test

import (
	"os"
	"testing"

	"github.com/tagboat/tagboat/internal/render/chart"
)

// BenchmarkInflate renders one chart of a few templates with values on top.
func BenchmarkInflate(b *testing.B) {
	files := os.DirFS(unpack(b, "testdata/payments.txtar"))
	request := chart.Request{Release: "blue", Values: [][]byte{[]byte("replicas: 3\n")}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := chart.Inflate(files, request); err != nil {
			b.Fatal(err)
		}
	}
}
