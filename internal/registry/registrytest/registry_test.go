package registrytest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tagboat/tagboat/internal/child"
)

func TestImagesOutliveTheRegistry(t *testing.T) {
	dir := t.TempDir()
	kept, err := child.KeepAddress()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Release()
	first, err := Start(t.Context(), Options{Dir: dir, Addr: kept.String(), Progress: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := first.Push(t.Context(), "acme/payments", "1.7.0", Content{Seed: "1"})
	if err != nil {
		t.Fatal(err)
	}
	first.Stop()
	first.Stop() // harmless
	if c, err := net.DialTimeout("tcp", first.Host(), time.Second); err == nil {
		c.Close()
		t.Error("it still listens after Stop")
	}
	second, err := Start(t.Context(), Options{Dir: dir, Addr: first.Host()})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Stop()
	if second.Host() != first.Host() {
		t.Errorf("Host = %s, want %s again", second.Host(), first.Host())
	}
	ref, err := name.NewTag(second.Host()+"/acme/payments:1.7.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := remote.Head(ref); err != nil || d.Digest.String() != digest {
		t.Errorf("after a restart: %v, %v; want %s", d, err, digest)
	}
}

func TestContentDecidesTheDigest(t *testing.T) {
	r, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	push := func(tag string, c Content) string {
		digest, err := r.Push(t.Context(), "acme/shop", tag, c)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	base := push("a", Content{Seed: "1"})
	if again := push("b", Content{Seed: "1"}); again != base {
		t.Errorf("the same content: %s and %s", base, again)
	}
	seen := map[string]string{base: "base"}
	for what, c := range map[string]Content{
		"seed": {Seed: "2"}, "labels": {Seed: "1", Labels: map[string]string{"a": "b"}},
		"platform": {Seed: "1", Platforms: []string{"linux/arm64"}}, "index": {Seed: "1", Index: true},
		"two": {Seed: "1", Platforms: []string{"linux/arm64", "linux/amd64"}},
	} {
		digest := push(what, c)
		if other, ok := seen[digest]; ok {
			t.Errorf("%s and %s have the same digest", what, other)
		}
		seen[digest] = what
	}
	if one, other := push("x", Content{Seed: "1", Platforms: []string{"linux/amd64", "linux/arm64"}}), "two"; seen[one] != other {
		t.Error("the order of the platforms matters")
	}
	if _, err := r.Push(t.Context(), "Not A Repository", "1", Content{}); err == nil {
		t.Error("a repository that cannot be was pushed to")
	}
}

func TestStartSaysWhyItCannot(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho no space left on the moon\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Binary: broken}); err == nil || !strings.Contains(err.Error(), "no space left on the moon") {
		t.Errorf("Start = %v; want what the binary said", err)
	}
	if _, err := Start(t.Context(), Options{Binary: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a missing binary started")
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Start(t.Context(), Options{Addr: taken.Addr().String()}); err == nil {
		t.Error("a taken port was taken again")
	}
}

// The registry must not survive a demo that was killed.
func TestRegistryDiesWithItsParent(t *testing.T) {
	if addr := os.Getenv("REGISTRYTEST_PARENT"); addr != "" { // we are the parent that gets killed
		r, err := Start(context.Background(), Options{Addr: addr})
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("up " + r.Host() + "\n")
		select {}
	}
	binary, err := Binary(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestRegistryDiesWithItsParent$")
	parent.Env = append(os.Environ(), "REGISTRYTEST_PARENT=127.0.0.1:0", "TMPDIR="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer parent.Process.Kill()
	said := make([]byte, 200)
	n, err := out.Read(said)
	if err != nil {
		t.Fatal(err)
	}
	_, host, ok := strings.Cut(strings.TrimSpace(string(said[:n])), "up ")
	if !ok {
		t.Fatalf("the parent of %s says %q", binary, said[:n])
	}
	c, err := net.DialTimeout("tcp", host, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	for deadline := time.Now().Add(time.Minute); ; {
		c, err := net.DialTimeout("tcp", host, time.Second)
		if err != nil {
			return
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("the registry lives on, a minute after its parent was killed")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
