package approval

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const ownedPath = "apps/payments/overlays/prod/kustomization.yaml"

func ownersOf(file, path string) Rule {
	return Rule{CodeOwners: true, Count: 1}.ownedBy("CODEOWNERS", []byte(file), "acme", path)
}

// The patterns of GitHub's own example
// (https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners),
// and what it says about each.
func TestPatternsMeanWhatTheyMeanOnGitHub(t *testing.T) {
	for _, c := range []struct {
		pattern       string
		owned, others []string
	}{
		{"*", []string{"a", "a/b.go"}, nil},
		{"*.js", []string{"a.js", "src/deep/a.js"}, []string{"a.jsx", "js"}},
		{"/build/logs/", []string{"build/logs/a", "build/logs/deep/a"}, []string{"src/build/logs/a", "build/logs2/a"}},
		{"docs/*", []string{"docs/getting-started.md"}, []string{"docs/build-app/troubleshooting.md", "src/docs/a.md"}},
		{"apps/", []string{"apps/a", "src/apps/deep/a"}, []string{"myapps/a"}},
		{"/docs/", []string{"docs/a", "docs/deep/a"}, []string{"src/docs/a"}},
		{"/scripts/", []string{"scripts/a"}, []string{"a/scripts/b"}},
		{"**/logs", []string{"logs/a", "build/logs/a", "deeply/nested/logs/a"}, []string{"build/catalogs/a"}},
		{"/apps/github", []string{"apps/github", "apps/github/a"}, []string{"apps/github2", "src/apps/github"}},
		{"/apps/*/overlays/prod/", []string{ownedPath, "apps/shop/overlays/prod/deep/a"}, []string{"apps/payments/overlays/dev/a", "apps/a/b/overlays/prod/c"}},
		{"/apps/**/prod/*.yaml", []string{ownedPath, "apps/prod/a.yaml"}, []string{"apps/payments/overlays/prod/deep/a.yaml"}},
		{"kustomization.yaml", []string{ownedPath, "kustomization.yaml"}, []string{"kustomization.yml", "Kustomization.yaml"}},
		{`with\ space/`, []string{"with space/a"}, []string{"with/a"}},
	} {
		for _, path := range c.owned {
			if r := ownersOf(c.pattern+" @bob\n", path); r.Problem != "" || len(r.Users) != 1 {
				t.Errorf("%s does not match %s: %+v", c.pattern, path, r)
			}
		}
		for _, path := range c.others {
			if r := ownersOf(c.pattern+" @bob\n", path); !strings.Contains(r.Problem, "names no owner of "+path) || len(r.Users) != 0 {
				t.Errorf("%s matches %s: %+v", c.pattern, path, r)
			}
		}
	}
}

func TestOwners(t *testing.T) {
	const file = `# Everything is bob's,
*                         @bob
# but for the apps.
/apps/                    @acme/platform @carol @acme/platform # as @dave said
/apps/*/overlays/prod/    @Acme/Security docs@example.com @other/team
/apps/generated/
`
	for path, want := range map[string]Rule{
		"README.md":                         {Users: []string{"bob"}},
		"apps/payments/overlays/dev/a.yaml": {Teams: []string{"platform"}, Users: []string{"carol"}},
		ownedPath:                           {Teams: []string{"security"}}, // the last pattern that matches, and none before
	} {
		want.CodeOwners, want.Count = true, 1
		for _, text := range []string{file, strings.ReplaceAll(file, "\n", "\r\n")} {
			if diff := cmp.Diff(want, ownersOf(text, path)); diff != "" {
				t.Errorf("%s:\n%s", path, diff)
			}
		}
	}
}

// Where the owners are not certain, the rule says why, and names nobody.
func TestOwnersThatAreNotKnown(t *testing.T) {
	const prod = "/apps/*/overlays/prod/ "
	for _, c := range []struct{ story, file, says string }{
		{"an empty file", "", "names no owner of " + ownedPath},
		{"nothing matches", "/docs/ @bob\n", "names no owner of " + ownedPath},
		{"a pattern without owners", "* @bob\n" + prod + "\n", "says in line 2 that nobody owns " + ownedPath},
		{"an address", "* @bob\n" + prod + "bob@example.com\n", "in line 2 only e-mail addresses"},
		{"a team of another organisation", "* @bob\n" + prod + "@other/platform\n", "teams of other organisations, whom Tagboat cannot recognise; name a login or a team of acme"},
		{"an owner without @", "* @bob\n" + prod + "bob\n", "cannot be used: line 2: invalid owner format 'bob'"},
		{"a line that is invalid, and does not match", "* @bob\n/docs/[ab] @carol\n", "cannot be used: line 2"},
		{"a negation", "* @bob\n!/apps/ @carol\n", "cannot be used: line 2"},
		{"an escaped #", "* @bob\n\\#a @carol\n", "cannot be used: line 2 has a # within a pattern"},
		{"a # in a pattern", "* @bob\napps#b @carol\n", "cannot be used: line 2 has a # within a pattern"},
		{"a # after an escaped space", "* @bob\na\\ #b @carol\n", "cannot be used: line 2 has a # within a pattern"},
		{"three stars", "* @bob\n*** @carol\n", "cannot be used: line 2"},
		{"the root alone", "* @bob\n/ @carol\n", "line 2: the pattern / matches nothing"},
		{"a byte order mark", "\ufeff* @bob\n", "cannot be used: line 1"},
		{"a line of endless length", "* @bob\n" + prod + strings.Repeat("@carol ", 10_000) + "\n" + prod + "@dave\n", "line 2 is longer than 32 KiB"},
		{"more owners than can be asked about", "* @bob\n" + prod + strings.Repeat("@carol ", 51) + "\n", "more than 50 owners"},
		{"larger than GitHub reads", "* @bob\n" + strings.Repeat("# a comment of some length\n", 200_000), "larger than 3 MiB"},
	} {
		got := ownersOf(c.file, ownedPath)
		if !strings.Contains(got.Problem, c.says) || !strings.HasPrefix(got.Problem, "CODEOWNERS of the base branch ") || len(got.Teams)+len(got.Users) > 0 {
			t.Errorf("%s: %.300q does not say %q; %v %v", c.story, got.Problem, c.says, got.Teams, got.Users)
		}
		if Evaluate([]Rule{got}, snapshot(story{}.then(bob, Approved).then(carol, Approved))).Satisfied {
			t.Errorf("%s: it passes", c.story)
		}
	}
}

// GitHub looks in one place after the other, and takes the first that is there.
func TestWhereCodeOwnersAreLookedFor(t *testing.T) {
	file := func(login string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("* @" + login + "\n")} }
	tree := fstest.MapFS{"docs/CODEOWNERS": file("docs"), "README.md": file("readme"), ".gitlab/CODEOWNERS": file("gitlab")}
	rule := Rule{Count: 1, CodeOwners: true}
	look := func(want string) {
		t.Helper()
		got, err := rule.OwnedIn(tree, "acme", ownedPath)
		if err != nil || !slices.Equal(got.Users, []string{want}) {
			t.Errorf("%+v, %v: the owner is not %s", got, err, want)
		}
	}
	look("docs")
	tree["CODEOWNERS"] = file("root")
	look("root")
	tree[".github/CODEOWNERS"] = file("github")
	look("github")
	for what, at := range map[string]*fstest.MapFile{"a link": {Mode: fs.ModeSymlink, Data: []byte("../CODEOWNERS")}, "a directory": {Mode: fs.ModeDir}} {
		tree[".github/CODEOWNERS"] = at
		if got, err := rule.OwnedIn(tree, "acme", ownedPath); err != nil || got.Problem != ".github/CODEOWNERS of the base branch is not a file" || len(got.Users) > 0 {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if _, err := rule.OwnedIn(broken{}, "acme", ownedPath); err == nil {
		t.Error("a tree that cannot be read has no file")
	}
	none, err := rule.OwnedIn(fstest.MapFS{}, "acme", ownedPath)
	if err != nil {
		t.Fatal(err)
	}
	if got := Evaluate([]Rule{none}, snapshot(story{}.then(bob, Approved))); got.Satisfied || !strings.Contains(got.Reason, "no CODEOWNERS file (.github/CODEOWNERS, CODEOWNERS, docs/CODEOWNERS)") {
		t.Errorf("%+v", got)
	}
}

// broken is a tree that cannot be read.
type broken struct{}

func (broken) Open(string) (fs.File, error) { return nil, errors.New("the disk is gone") }

// Whatever stands in the file, there is an answer: owners, or why there are none.
func FuzzOwners(f *testing.F) {
	f.Add("* @bob\n", ownedPath)
	f.Add("/ @bob\n**/ @acme/x # y\n\\", "a")
	f.Add("/apps/**/a\\ b/* a@b.de @c", "apps/x/a b/c")
	f.Fuzz(func(t *testing.T, file, path string) {
		r := ownersOf(file, path)
		if known := len(r.Teams)+len(r.Users) > 0; known == (r.Problem != "") {
			t.Errorf("%q of %q: %+v", path, file, r)
		}
		for _, name := range append(r.Teams, r.Users...) {
			if strings.ContainsAny(name, "@/ <>`\n") {
				t.Errorf("%q of %q: an owner %q", path, file, name)
			}
		}
	})
}
