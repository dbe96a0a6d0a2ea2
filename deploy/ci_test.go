package deploy_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/riverqueue/river"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/intake"
	"github.com/tagboat/tagboat/internal/store"
)

// inbox keeps arrivals in memory, each body once.
type inbox struct {
	mu       sync.Mutex
	arrivals []store.Arrival
}

// Accept implements intake.Inbox.
func (i *inbox) Accept(_ context.Context, a store.Arrival, _ func(int64) river.JobArgs) (bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, known := range i.arrivals {
		if known.Source == a.Source && known.DeliveryID == a.DeliveryID {
			return false, nil
		}
	}
	i.arrivals = append(i.arrivals, a)
	return true, nil
}

const ciSecret = "it's a secret to $everybody \\0 ü"

// doors serves the real doors; what comes through lies in the inbox.
func doors(t *testing.T, secret string) (url string, in *inbox) {
	t.Helper()
	in = &inbox{}
	one := [][]byte{[]byte("other")}
	d, err := intake.New(in, intake.Secrets{GitHub: one, Registry: one, CI: [][]byte{[]byte(secret)}}, time.Now, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	d.Register(e)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.URL, in
}

func script(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"curl", "openssl", "od", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed to test ci/notify.sh, and is not installed: install it (for example apt-get install %s)", tool, tool)
		}
	}
	path, err := filepath.Abs("ci/notify.sh")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a command with nothing but the given environment and a PATH.
func run(t *testing.T, env []string, name string, args ...string) (output string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

const (
	pushed   = "sha256:24c49e8dc8be8d9cd0b4c8da8cf4bcd8ac21b1b3ad4fa8ed2f4f4e2ba80a9d3e"
	revision = "0123456789abcdef0123456789abcdef01234567"
)

func notify(url string) []string {
	return []string{"--url", url, "--image", "registry.example.com/acme/payments", "--tag", "1.7.0", "--digest", pushed,
		"--repository", "acme/payments", "--revision", revision, "--run-url", "https://ci.example.com/runs/17?a=1&b=2",
		"--actor", "carol", "--actor-id", "583231"}
}

func built(t *testing.T, in *inbox) image.Built {
	t.Helper()
	if len(in.arrivals) != 1 {
		t.Fatalf("%d callbacks came through the door, want one", len(in.arrivals))
	}
	b, err := image.ParseBuilt(in.arrivals[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestACIRunTellsTagboat(t *testing.T) {
	for name, secret := range map[string]string{
		"odd characters": ciSecret,
		"a full block":   strings.Repeat("k", 64),
		"longer":         strings.Repeat("0123456789", 20),
	} {
		t.Run(name, func(t *testing.T) {
			url, in := doors(t, secret)
			for range 2 { // a run that is repeated does no harm
				if out, code := run(t, []string{"TAGBOAT_CI_SECRET=" + secret}, script(t), notify(url)...); code != 0 {
					t.Fatalf("exit %d: %s", code, out)
				}
			}
			want := image.Built{Image: "registry.example.com/acme/payments", Tag: "1.7.0", Digest: pushed}
			want.Source.Repository, want.Source.Revision = "acme/payments", revision
			want.Run.URL = "https://ci.example.com/runs/17?a=1&b=2"
			want.Actor = image.Actor{Login: "carol", ID: 583231}
			if diff := cmp.Diff(want, built(t, in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheSecretMayLieInAFile(t *testing.T) {
	url, in := doors(t, ciSecret)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(ciSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := run(t, []string{"TAGBOAT_CI_SECRET_FILE=" + file}, script(t), "--url", url+"/", "--image", "registry.example.com/acme/payments", "--tag", "1.7.0")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	if b := built(t, in); b.Tag != "1.7.0" || b.Digest != "" {
		t.Errorf("%+v", b)
	}
}

// A curl that changes the body on the way stands for whoever sits on the line.
func TestATamperedCallbackIsRefused(t *testing.T) {
	url, in := doors(t, ciSecret)
	notifier := script(t)
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	evil := "#!/bin/sh\nsed s/1.7.0/6.6.6/ | " + curl + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "curl"), []byte(evil), 0o755); err != nil {
		t.Fatal(err)
	}
	out, code := run(t, []string{"TAGBOAT_CI_SECRET=" + ciSecret, "PATH=" + bin + ":" + os.Getenv("PATH")}, notifier, notify(url)...)
	refused(t, out, code, in)
}

func TestAWrongSecretIsRefused(t *testing.T) {
	url, in := doors(t, ciSecret)
	out, code := run(t, []string{"TAGBOAT_CI_SECRET=" + ciSecret + "!"}, script(t), notify(url)...)
	refused(t, out, code, in)
}

func refused(t *testing.T, out string, code int, in *inbox) {
	t.Helper()
	if code != 1 || !strings.Contains(out, "status 401") || !strings.Contains(out, "signature does not match") {
		t.Errorf("exit %d: %s", code, out)
	}
	if len(in.arrivals) != 0 {
		t.Error("it came through the door")
	}
	if strings.Contains(out, ciSecret) {
		t.Error("the output shows the secret")
	}
}

func TestTheScriptSaysWhatIsWrong(t *testing.T) {
	url, in := doors(t, ciSecret)
	secret := []string{"TAGBOAT_CI_SECRET=" + ciSecret}
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, test := range map[string]struct {
		env  []string
		args []string
		code int
		says string
	}{
		"no secret":        {nil, notify(url), 2, "TAGBOAT_CI_SECRET is missing"},
		"no image":         {secret, []string{"--url", url, "--tag", "1"}, 2, "--image is missing"},
		"no value":         {secret, []string{"--url"}, 2, "--url needs a value"},
		"unknown argument": {secret, []string{"--dry-run", "yes"}, 2, "unknown argument --dry-run"},
		"a quote":          {secret, []string{"--url", url, "--image", `a","tag":"x`, "--tag", "1"}, 2, "a quote"},
		"a line break":     {secret, []string{"--url", url, "--image", "a", "--tag", "1\n2"}, 2, "a line break"},
		"not a tag":        {secret, []string{"--url", url, "--image", "registry.example.com/a", "--tag", "1 2"}, 1, "is not a tag"},
		"no server": {append(secret, "PATH="+withoutRetries(t)+":"+os.Getenv("PATH")),
			[]string{"--url", gone.URL, "--image", "a", "--tag", "1"}, 1, "cannot be reached at " + gone.URL},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := run(t, test.env, script(t), test.args...)
			if code != test.code || !strings.Contains(out, test.says) {
				t.Errorf("exit %d, want %d and %q: %s", code, test.code, test.says, out)
			}
		})
	}
	if len(in.arrivals) != 0 {
		t.Errorf("%d callbacks came through the door", len(in.arrivals))
	}
}

// withoutRetries is a directory with a curl that tries only once: the waits of
// the real one take a minute.
func withoutRetries(t *testing.T) string {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal("curl is not installed: install it (for example apt-get install curl)")
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "curl"), []byte("#!/bin/sh\nexec "+curl+` "$@" --retry 0`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

// action is the part of a composite GitHub Action that this one uses.
type action struct {
	Name        string                 `json:"name"`
	Description string                 `json:"description"`
	Inputs      map[string]actionInput `json:"inputs"`
	Runs        struct {
		Using string       `json:"using"`
		Steps []actionStep `json:"steps"`
	} `json:"runs"`
}

type actionInput struct {
	Description string `json:"description"`
	Required    bool   `json:"required"`
	Default     string `json:"default"`
}

type actionStep struct {
	Name  string            `json:"name"`
	Shell string            `json:"shell"`
	Env   map[string]string `json:"env"`
	Run   string            `json:"run"`
}

func TestTheGitHubActionTellsTagboat(t *testing.T) {
	url, in := doors(t, ciSecret)
	script(t) // for its tools
	var a action
	if err := yaml.UnmarshalStrict(read(t, "action/action.yml"), &a); err != nil {
		t.Fatal(err)
	}
	if a.Runs.Using != "composite" || len(a.Runs.Steps) != 1 {
		t.Fatalf("%+v", a.Runs)
	}
	step := a.Runs.Steps[0]
	if strings.Contains(step.Run, "${{") {
		t.Errorf("an expression in the script is text that a sender can write: %s", step.Run)
	}
	here, err := filepath.Abs("action")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"GITHUB_ACTION_PATH=" + here, "GITHUB_REPOSITORY=acme/payments", "GITHUB_SHA=" + revision,
		"GITHUB_SERVER_URL=https://github.com", "GITHUB_RUN_ID=17", "GITHUB_ACTOR=renovate[bot]", "GITHUB_ACTOR_ID=29139614"}
	inputs := map[string]string{"url": url, "secret": ciSecret, "image": "registry.example.com/acme/payments", "tag": "1.7.0", "digest": pushed}
	for name := range a.Inputs {
		if _, ok := inputs[name]; !ok {
			t.Errorf("the test has no value for the input %s", name)
		}
	}
	for name, value := range step.Env {
		input, ok := strings.CutPrefix(value, "${{ inputs.")
		input = strings.TrimSuffix(input, " }}")
		if _, declared := a.Inputs[input]; !ok || !declared {
			t.Errorf("%s: %s is not an input", name, value)
		}
		env = append(env, name+"="+inputs[input])
	}
	// GitHub runs "shell: sh" as sh -e (docs: "Workflow syntax", jobs.<id>.steps[*].shell).
	if out, code := run(t, env, step.Shell, "-e", "-c", step.Run); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	b := built(t, in)
	if b.Digest != pushed || b.Source.Repository != "acme/payments" || b.Run.URL != "https://github.com/acme/payments/actions/runs/17" ||
		b.Actor != (image.Actor{Login: "renovate[bot]", ID: 29139614}) {
		t.Errorf("%+v", b)
	}
	if bytes.Contains(in.arrivals[0].Body, []byte(ciSecret)) {
		t.Error("the body holds the secret")
	}
}
