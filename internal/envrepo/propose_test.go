package envrepo_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

var update = flag.Bool("update", false, "write what is proposed into the archives")

// Every archive in testdata/propose is a tree, what is proposed for it, and the
// pairs that the proposal finds.
const (
	wantYAML  = "want/tagboat.yaml"
	wantPairs = "want/pairs"
)

func TestATreeIsReadAndProposed(t *testing.T) {
	archives, err := filepath.Glob("testdata/propose/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no trees: %v", err)
	}
	for _, file := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			files, want := map[string]string{}, map[string]string{}
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "want/") {
					want[f.Name] = string(f.Data)
				} else {
					files[f.Name] = string(f.Data)
				}
			}
			proposal, err := envrepo.Propose(repo(files))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{wantYAML: string(proposal.YAML), wantPairs: found(proposal.Pairs)}
			if *update {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, "want/") })
				for _, name := range []string{wantYAML, wantPairs} {
					archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got[name])})
				}
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("proposal (-want +got):\n%s", diff)
			}

			// What is proposed can be committed as it is.
			files["tagboat.yaml"] = string(proposal.YAML)
			config, pairs, err := envrepo.Load(repo(files))
			if err != nil {
				t.Fatalf("the proposal is not accepted: %v", err)
			}
			if found(pairs) != found(proposal.Pairs) {
				t.Errorf("the proposal says %s and finds %s", found(proposal.Pairs), found(pairs))
			}
			for _, e := range config.Environments {
				if strings.Contains(e.Name, "prod") && e.Name != "pre-prod" && (e.Follow != nil || !e.Approvals.Asked()) {
					t.Errorf("%s is not guarded: %+v", e.Name, e)
				}
			}
		})
	}
}

func found(pairs []envrepo.Pair) string {
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s %s %s", p.App, p.Env, p.File)
		for _, name := range p.Moves() {
			b.WriteString(" " + name)
		}
		if p.Helm != nil {
			fmt.Fprintf(&b, " (%s with %s)", p.Helm.Chart, strings.Join(p.Helm.Values, ", "))
		}
		if p.Err != nil {
			fmt.Fprintf(&b, " refused: %v", p.Err)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestATreeWithoutVersionsIsExplained(t *testing.T) {
	for name, tree := range map[string]fs.FS{
		"empty":     repo(nil),
		"unrelated": repo(map[string]string{"main.go": "package main\n", "docker-compose.yml": "services: {db: {image: 'postgres:16'}}\n", ".github/workflows/ci.yaml": "jobs: {}\n"}),
	} {
		_, err := envrepo.Propose(tree)
		if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "Run it at the root of the repository that says what runs where") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
