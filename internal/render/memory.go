package render

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

const (
	gcPercent   = 800      // a child's live heap is small: memory for speed
	maxStack    = 64 << 20 // a stack that overflows cannot be recovered from; let it be soon
	memoryLook  = 20 * time.Millisecond
	memoryShare = 0.75 // of the limit, from where on the collector works hard
)

// limitMemory has the collector work hard when memory gets short, and ends the
// process when it has more than limit bytes.
func limitMemory(limit int64) {
	runtime.GOMAXPROCS(1) // the pool has a child per processor
	debug.SetGCPercent(gcPercent)
	debug.SetMaxStack(maxStack)
	debug.SetMemoryLimit(int64(memoryShare * float64(limit)))
	if !raceDetector() {
		limitData(limit)
	}
	go func() {
		for range time.Tick(memoryLook) {
			if memoryUsed() > limit {
				os.Exit(exitMemory)
			}
		}
	}()
}

// memoryUsed is the memory that the Go runtime holds and has not given back, in
// bytes.
func memoryUsed() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

// raceDetector reports whether the binary has the race detector, whose own memory
// is many times the program's and not to be limited.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
