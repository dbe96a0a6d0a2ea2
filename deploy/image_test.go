package deploy_test

import (
	"debug/elf"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// instruction is one of a Dockerfile's: "COPY", ". .".
type instruction struct{ name, args string }

// stages are the instructions of a Dockerfile, from each FROM to the next.
func stages(t *testing.T) (stages [][]instruction) {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(string(read(t, "../Dockerfile"))) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			text.WriteString(line)
		}
	}
	for line := range strings.Lines(strings.ReplaceAll(text.String(), "\\\n", " ")) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) == 0 {
			t.Fatalf("%s before the first FROM", name)
		}
		last := &stages[len(stages)-1]
		*last = append(*last, instruction{name, strings.TrimSpace(args)})
	}
	if len(stages) != 2 {
		t.Fatalf("the Dockerfile has %d stages, want one that builds and one that ships", len(stages))
	}
	return stages
}

// all are the arguments of every instruction of that name.
func all(stage []instruction, name string) (args []string) {
	for _, i := range stage {
		if i.name == name {
			args = append(args, i.args)
		}
	}
	return args
}

func TestTheImageHasNoShellAndNoRoot(t *testing.T) {
	shipped := stages(t)[1]
	from := shipped[0].args
	if from != "scratch" && !regexp.MustCompile(`^gcr\.io/distroless/static(-debian\d+)?:nonroot$`).MatchString(from) {
		t.Errorf("the image is made from %s", from)
	}
	if users := all(shipped, "USER"); len(users) != 1 || !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(users[0]) {
		t.Errorf("USER %v, want the number of a user that is not root", users)
	}
	if len(all(shipped, "RUN")) > 0 {
		t.Error("something runs in the last stage, which has no shell")
	}
	if copied := all(shipped, "COPY"); !slices.Equal(copied, []string{"--from=build /out/tagboat /tagboat"}) {
		t.Errorf("the image holds %v", copied)
	}
	if entry, cmd := all(shipped, "ENTRYPOINT"), all(shipped, "CMD"); !slices.Equal(entry, []string{`["/tagboat"]`}) || !slices.Equal(cmd, []string{`["serve"]`}) {
		t.Errorf("ENTRYPOINT %v, CMD %v", entry, cmd)
	}
	for _, env := range all(shipped, "ENV") {
		if name, _, _ := strings.Cut(env, "="); slices.Contains(secretNames(t), name) {
			t.Errorf("ENV %s", env)
		}
	}
}

func TestTheBuildFetchesNothingByURL(t *testing.T) {
	for _, stage := range stages(t) {
		if added := all(stage, "ADD"); len(added) > 0 {
			t.Errorf("ADD %v: what a URL gives can change; COPY says all that is needed", added)
		}
		for _, run := range all(stage, "RUN") {
			if strings.Contains(run, "://") {
				t.Errorf("RUN %s", run)
			}
		}
	}
}

func TestTheBuildHasAGoThatIsNewEnough(t *testing.T) {
	wanted := regexp.MustCompile(`(?m)^go (1\.\d+(\.\d+)?)$`).FindSubmatch(read(t, "../go.mod"))
	if wanted == nil {
		t.Fatal("go.mod names no version of Go")
	}
	found := regexp.MustCompile(`^--platform=\$BUILDPLATFORM golang:(1\.\d+\.\d+) AS build$`).FindStringSubmatch(stages(t)[0][0].args)
	if found == nil {
		t.Fatalf("FROM %s, want an exact version of Go", stages(t)[0][0].args)
	}
	if version.Compare("go"+found[1], "go"+string(wanted[1])) < 0 {
		t.Errorf("Go %s builds the image, and go.mod wants %s", found[1], wanted[1])
	}
}

// There may be no container engine here, so the test does what one would: it
// takes the files that .dockerignore lets through, and runs the Dockerfile's own
// build command on them.
func TestTheBinaryIsStatic(t *testing.T) {
	context, binary := buildContext(t), filepath.Join(t.TempDir(), "tagboat")
	runs := all(stages(t)[0], "RUN")
	build := runs[len(runs)-1]
	const out = "-o /out/tagboat "
	if !strings.Contains(build, out) {
		t.Fatalf("the last RUN does not write /out/tagboat: %s", build)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(build, out, `-o "$OUT" `, 1))
	cmd.Dir = context
	cmd.Env = append(os.Environ(), "OUT="+binary, "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=1.2.3-test", "GOFLAGS=", "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	program, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary asks for a dynamic loader, which the image does not have")
		}
	}
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the binary needs %v (%v)", libraries, err)
	}
	if program.Section(".symtab") != nil || program.Section(".debug_info") != nil {
		t.Error("the binary is not stripped")
	}
	if runtime.GOOS != "linux" {
		t.Log("only Linux can run what was built, so its version is not looked at")
		return
	}
	if output, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput(); err != nil || !strings.Contains(string(output), "1.2.3-test") {
		t.Errorf("tagboat version: %v\n%s", err, output)
	}
}

// buildContext copies what .dockerignore lets through. It understands the form
// that ours has: nothing, but for a list of names at the root.
func buildContext(t *testing.T) string {
	t.Helper()
	var names []string
	everythingElse := false
	for line := range strings.Lines(string(read(t, "../.dockerignore"))) {
		line = strings.TrimSpace(line)
		name, allowed := strings.CutPrefix(line, "!")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line == "*":
			everythingElse = true
		case allowed && !strings.ContainsAny(name, "*?/["):
			names = append(names, name)
		default:
			t.Fatalf(".dockerignore: this test does not understand %q", line)
		}
	}
	if !everythingElse {
		t.Fatal(".dockerignore: everything else goes into the build, secrets in the checkout too")
	}
	dir := t.TempDir()
	for _, name := range names {
		from := filepath.Join(root, name)
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(filepath.Join(dir, name), os.DirFS(from))
		} else {
			err = os.WriteFile(filepath.Join(dir, name), read(t, from), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
