package render_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/render"
)

// kept is payments with what the cases below lead links to.
func kept() gitTree {
	pod := func(name string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {containers: [{name: app, image: payments}]}\n"
	}
	return payments().with(change{
		"apps/payments/base/other.yaml":          pod("other"),
		"apps/payments/base/third.yaml":          pod("third"),
		"apps/payments/base2/kustomization.yaml": "resources: [deployment.yaml]\n",
		"apps/payments/base2/deployment.yaml":    pod("second"),
		prod + "/pinned.yaml":                    bumped("3.0.0", digest18)[prodYML],
		"apps/payments/pinned.yaml":              bumped("4.0.0", digest18)[prodYML],
		"current":                                link + prod,
	})
}

// TestTheCacheSeesLinksComeAndGo follows trees in which a path becomes a link, leads
// elsewhere, and is none any more.
func TestTheCacheSeesLinksComeAndGo(t *testing.T) {
	const base = "apps/payments/base"
	original := kept().files
	for name, test := range map[string]struct {
		dir     string
		first   change
		changes []change
	}{
		"a file": {prod, nil, []change{
			{base + "/deployment.yaml": link + "other.yaml"},
			{base + "/deployment.yaml": link + "third.yaml"},
			{base + "/third.yaml": original[base+"/other.yaml"]},
			{base + "/deployment.yaml": original[base+"/deployment.yaml"]},
		}},
		"a file of the same content": {prod, change{base + "/copy.yaml": original[base+"/deployment.yaml"]}, []change{
			{base + "/deployment.yaml": link + "copy.yaml"},
			{base + "/copy.yaml": original[base+"/other.yaml"]},
		}},
		"a directory": {prod, nil, []change{
			{base + "/kustomization.yaml": nought, base + "/deployment.yaml": nought, base + "/other.yaml": nought, base + "/third.yaml": nought, base: link + "base2"},
			{"apps/payments/base2/deployment.yaml": original[base+"/other.yaml"]},
			{"apps/payments/base3/kustomization.yaml": "resources: [d.yaml]\n", "apps/payments/base3/d.yaml": original[base+"/third.yaml"], base: link + "base3"},
		}},
		"a directory on the way": {prod, nil, []change{
			{base + "/kustomization.yaml": nought, base + "/deployment.yaml": nought, base + "/other.yaml": nought, base + "/third.yaml": nought,
				"shop/overlays/prod/kustomization.yaml": original[prodYML], "shop/base/kustomization.yaml": "resources: [d.yaml]\n", "shop/base/d.yaml": original[base+"/third.yaml"],
				prodYML: nought, prod + "/pinned.yaml": nought, "apps/payments/overlays/dev/kustomization.yaml": nought, "apps/payments/pinned.yaml": nought,
				"apps/payments/base2/kustomization.yaml": nought, "apps/payments/base2/deployment.yaml": nought, "apps/payments": link + "../shop"},
			{"shop/overlays/prod/kustomization.yaml": bumped("1.9.0", digest18)[prodYML]},
		}},
		"the kustomization itself": {prod, nil, []change{
			{prodYML: link + "pinned.yaml"},
			{prod + "/pinned.yaml": bumped("3.1.0", digest17)[prodYML]},
			{prodYML: bumped("3.2.0", digest17)[prodYML]},
			{prodYML: link + "../../pinned.yaml"}, // out of its directory, which Kustomize does not read
		}},
		"a kustomization that was a link": {prod, change{prodYML: link + "pinned.yaml"}, []change{
			{prod + "/pinned.yaml": bumped("3.1.0", digest17)[prodYML]},
			{prodYML: bumped("3.2.0", digest17)[prodYML]},
			{prodYML: bumped("3.3.0", digest17)[prodYML]},
		}},
		"the overlay's directory": {"current", nil, []change{
			bumped("1.8.0", digest18),
			{"current": link + "apps/payments/overlays/dev"},
			bumped("1.9.0", digest18),
			{"current": nought, "current/kustomization.yaml": "resources: [../apps/payments/base2]\nimages: [{name: payments, newTag: v1}]\n"},
			{"current/kustomization.yaml": "resources: [../apps/payments/base2]\nimages: [{name: payments, newTag: v2}]\n"},
		}},
		"a second kustomization that leads nowhere yet": {prod, change{prod + "/kustomization.yml": link + "later.yml"}, []change{
			bumped("1.8.0", digest18),
			{prod + "/later.yml": "resources: []\n"},
			{prod + "/kustomization.yml": nought},
		}},
		"what a link leads to by way of another": {prod, change{base + "/deployment.yaml": link + "a.yaml", base + "/a.yaml": link + "other.yaml"}, []change{
			{base + "/a.yaml": link + "third.yaml"},
			{base + "/third.yaml": original[base+"/other.yaml"]},
		}},
	} {
		t.Run(name, func(t *testing.T) { follow(t, pool, test.dir, kept().with(test.first), test.changes...) })
	}
}

// A chart that is fetched because the repository has none would be taken from the
// repository as soon as a link shows one there.
func TestTheCacheSeesALinkAboveWhatWasAbsent(t *testing.T) {
	p, _ := fetching(t, map[string]fs.FS{"registry.example.com/charts/web@" + digest: tree(helmChart)})
	files := change{
		"app/kustomization.yaml": "helmCharts:\n- name: web\n  repo: oci://registry.example.com/charts\n  releaseName: shop\n  version: 1.2.3 # " + digest + "\n",
		"app/charts/README.md":   "charts\n",
		"own/README.md":          "charts\n",
	}
	for name, content := range helmChart {
		files["own/web-1.2.3/web/"+name] = strings.Replace(content, "replicas: 1", "replicas: 7", 1)
	}
	for name, changes := range map[string][]change{
		"in a directory that was there": {{"app/charts/README.md": nought, "app/charts": link + "../own"}},
		"in one that was not":           {{"app/charts/README.md": nought}, {"app/charts": link + "../own"}},
		"at the path itself":            {{"app/charts/web-1.2.3": link + "../../own/web-1.2.3"}},
		"from where it led nowhere":     {{"app/charts/web-1.2.3": link + "../../later"}, {"later": link + "own/web-1.2.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			if s := follow(t, p, "app", committed(files), changes...); s.Built < 2 {
				t.Errorf("%+v; want the chart of the repository rendered", s)
			}
		})
	}
}

// What the tree has under the names that builds use for themselves is never taken
// for what they have put there.
func TestATreeMayHaveTheDirectoriesThatBuildsUse(t *testing.T) {
	own := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-the-tree}\n"
	chart := change{
		"app/kustomization.yaml":                    "helmCharts: [{name: web, releaseName: shop}]\nimages: [{name: web, newTag: v2}]\n",
		".tagboat-written/app/kustomization.yaml":   "resources: [own.yaml]\n",
		".tagboat-written/app/kustomization.yml":    "resources: [own.yaml]\n",
		".tagboat-written/app/chart-0.yaml":         own,
		".tagboat-written/app/own.yaml":             own,
		".tagboat-remote/x/kustomization.yaml":      "resources: [own.yaml]\n",
		".tagboat-remote/x/own.yaml":                own,
		".tagboat-remote/kustomization.yaml":        "resources: [x]\n",
		"linked/kustomization.yaml":                 "resources: [../written, cm.yaml]\n",
		"linked/cm.yaml":                            own,
		"written":                                   link + ".tagboat-written/app",
		"mounted/kustomization.yaml":                "resources: [../remote]\n",
		"remote":                                    link + ".tagboat-remote/x",
		"below/kustomization.yaml":                  "resources: [base]\n",
		"below/base":                                link + "../.tagboat-remote/x",
		"below/.tagboat-remote/kustomization.yaml":  "resources: [own.yaml]\n",
		"below/.tagboat-remote/own.yaml":            own,
		"inside/kustomization.yaml":                 "resources: [.tagboat-remote]\nimages: [{name: web, newTag: v2}]\n",
		"inside/.tagboat-remote/kustomization.yaml": "resources: [own.yaml]\n",
		"inside/.tagboat-remote/own.yaml":           own,
	}
	for name, content := range helmChart {
		chart["app/charts/web/"+name] = content
	}
	files := committed(chart)
	output, err := pool.Build(t.Context(), files, render.Source{Dir: "app"})
	if err != nil || strings.Contains(string(output.Manifests), "of-the-tree") || !strings.Contains(string(output.Manifests), "web:v2") {
		t.Errorf("a chart: %v\n%s", err, output.Manifests)
	}
	if output, err := pool.Build(t.Context(), files, render.Source{Dir: "inside"}); err != nil || !strings.Contains(string(output.Manifests), "of-the-tree") {
		t.Errorf("the name deeper in the tree is nobody's: %v\n%s", err, output.Manifests)
	}
	for dir, reason := range map[string]string{
		".tagboat-written/app": ".tagboat-written is a name that Tagboat needs for itself; rename the directory",
		".tagboat-remote":      ".tagboat-remote is a name that Tagboat needs for itself; rename the directory",
		".tagboat-remote/x":    ".tagboat-remote is a name that Tagboat needs for itself; rename the directory",
		"linked":               ".tagboat-written is a name that Tagboat needs for itself; rename the directory",
		"mounted":              ".tagboat-remote is a name that Tagboat needs for itself; rename the directory",
		"below":                ".tagboat-remote is a name that Tagboat needs for itself; rename the directory",
	} {
		refusedWith(t, files, dir, reason)
	}
	follow(t, pool, "app", files, change{".tagboat-written/app/kustomization.yml": nought}, change{".tagboat-written/app/chart-0.yaml": "x"},
		change{"app/kustomization.yaml": "helmCharts: [{name: web, releaseName: shop}]\nimages: [{name: web, newTag: v3}]\n"})
	follow(t, pool, "inside", files, change{"inside/.tagboat-remote/own.yaml": strings.Replace(own, "of-the-tree", "other", 1)})
}

// A remote base is what was fetched, whatever the tree has at the place where a build
// sees it.
func TestATreeCannotStandInForARemote(t *testing.T) {
	p, _ := fetching(t, map[string]fs.FS{"https://github.com/acme/bases@" + commit: tree(map[string]string{"web/kustomization.yaml": "resources: [d.yaml]\n", "web/d.yaml": deployment})})
	mount := render.MountOf(render.Remote{Git: "https://github.com/acme/bases", Commit: commit})
	remote := "'https://github.com/acme/bases//web?ref=" + commit + "'"
	files := committed(change{
		"app/kustomization.yaml":          "resources: [" + remote + "]\n",
		"first/kustomization.yaml":        "resources: [../x, " + remote + "]\n",
		"x":                               link + mount + "/web",
		mount + "/web/kustomization.yaml": "resources: [own.yaml]\n",
		mount + "/web/own.yaml":           "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-the-tree}\n",
	})
	output, err := p.Build(t.Context(), files, render.Source{Dir: "app"})
	if err != nil || strings.Contains(string(output.Manifests), "of-the-tree") {
		t.Errorf("%v\n%s", err, output.Manifests)
	}
	if output, err := p.Build(t.Context(), files, render.Source{Dir: "first"}); err == nil {
		t.Errorf("what is looked at before it is fetched:\n%s", output.Manifests)
	}
	follow(t, p, "app", files, change{mount + "/web/kustomization.yml": "resources: []\n"})
}

// counting counts the links that are asked for.
type counting struct {
	gitTree
	asked *int
}

func (c counting) ReadLink(name string) (string, error) {
	*c.asked++
	return c.gitTree.ReadLink(name)
}

// A line of YAML can name a path that is thousands of directories deep. What is not
// there is not looked for below.
func TestDeepPathsThatAreNotThereCostLittle(t *testing.T) {
	var refs strings.Builder
	for i := range 300 {
		fmt.Fprintf(&refs, "- d%d%s\n", i, strings.Repeat("/x", 2000))
	}
	asked := 0
	files := counting{committed(change{"app/kustomization.yaml": "resources:\n" + refs.String()}), &asked}
	refusedWith(t, files, "app", "is not a file of this repository")
	if asked == 0 || asked > 1000 {
		t.Errorf("%d paths were looked at; want one or two for each of 300", asked)
	}
}
