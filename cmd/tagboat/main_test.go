package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

func TestMain(m *testing.M) {
	render.RunIfChild()
	testscript.Main(m, map[string]func(){"tagboat": main})
}

// TestCommandLine plays the scripts of testdata/script: what people type, and
// what they read.
func TestCommandLine(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	testscript.Run(t, testscript.Params{
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Dir:  "../../testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home-of-somebody"))
			gitAs(env, "Erin", "erin@example.com")
			return os.WriteFile(filepath.Join(env.WorkDir, "key.pem"), block, 0o600)
		},
	})
}

// gitAs lets scripts commit, whatever the machine's own git is configured to.
func gitAs(env *testscript.Env, name, email string) {
	env.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		env.Setenv("GIT_"+who+"_NAME", name)
		env.Setenv("GIT_"+who+"_EMAIL", email)
		env.Setenv("GIT_"+who+"_DATE", "2025-03-01T12:00:00Z")
	}
}

// exits lets a script ask for an exit code: "exits 3 tagboat bump ...".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT]...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func TestAnErrorSaysFirstWhatToDo(t *testing.T) {
	url := "dial postgres://tagboat:hunter2@db.example.com/x:\n\trefused"
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("refused"), "refused"},
		{fault.Errorf(fault.Invalid, "Add one."), "Add one."},
		{fault.E(fault.Invalid, "Add one.", nil), "Add one."},
		{fault.E(fault.Invalid, "Add one.", errors.New("refused")), "Add one.\n  refused"},
		{fault.E(fault.Transient, "Is it running?", errors.New(url)), "Is it running?\n  dial postgres://[secret]@db.example.com/x: refused"},
		{errors.Join(fault.E(fault.Invalid, "Add one: refused.", fmt.Errorf("dial: %w", errors.New("refused")))), "Add one: refused."},
		{errors.New(url), "dial postgres://[secret]@db.example.com/x:\n\trefused"},
	} {
		if got := words(c.err); got != c.want {
			t.Errorf("%v is shown as %q, want %q", c.err, got, c.want)
		}
	}
}

func TestWhatABinaryWasBuiltFrom(t *testing.T) {
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	changed := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for want, info := range map[string]*debug.BuildInfo{
		"unknown":                           nil,
		"(devel)":                           {},
		"v1.2.3":                            {Main: debug.Module{Version: "v1.2.3"}},
		"(devel) 0123456789ab":              {Settings: []debug.BuildSetting{commit}},
		"(devel) 0123456789ab with changes": {Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{commit, changed}},
	} {
		if got := built(info, info != nil); got != want {
			t.Errorf("%+v is %q, want %q", info, got, want)
		}
	}
}
