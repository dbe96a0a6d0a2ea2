package demo

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestPullRequestsOfPeople: the branch requires Tagboat's check on every pull
// request. People can change what is theirs, and go back to a version that an
// environment had; they cannot bring a new one in past its gates.
func TestPullRequestsOfPeople(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	s := &story{teller: &teller{say: func(s string) { t.Log(s) }}, w: w, digests: map[string]string{}}
	s.chapter(ctx, "start", s.start)
	s.chapter(ctx, "push", s.push)
	alice := w.GitHub.As("alice")
	propose := func(branch, title string, files map[string]string) (number int, err error) {
		if _, err := alice.Push(envRepo, branch, title, files); err != nil {
			return 0, err
		}
		return alice.OpenPull(envRepo, branch, "main", title, "")
	}
	check := func(number int, conclusion, says string) error {
		p, err := w.GitHub.Pull(envRepo, number)
		if err != nil {
			return err
		}
		if c := ownCheck(p); c.Concluded != conclusion || !strings.Contains(c.Title+c.Summary, says) {
			return fmt.Errorf("#%d: the check is %q, “%s”, want %s, “%s”", number, c.Concluded, c.Title, conclusion, says)
		}
		return nil
	}
	overlay := func(env string) (path, text string) {
		path = "apps/payments/overlays/" + env + "/kustomization.yaml"
		data, err := w.GitHub.File(envRepo, "main", path)
		if err != nil {
			t.Fatal(err)
		}
		return path, string(data)
	}
	s.chapter(ctx, "people", func(ctx context.Context) {
		var readme, past, back int
		s.do(ctx, "alice edits the README, moves prod past its gates, and takes dev back", func(context.Context) (err error) {
			if readme, err = propose("readme", "Say more", map[string]string{"README.md": "# acme/env\n\nMore.\n"}); err != nil {
				return err
			}
			path, text := overlay("prod")
			path17, text17 := overlay("dev")
			old, now := s.version("payments", "1.6.0"), s.version("payments", "1.7.0")
			swap := func(text string, from, to Version) string {
				return strings.NewReplacer(from.Tag, to.Tag, from.Digest, to.Digest).Replace(text)
			}
			if past, err = propose("past", "payments 1.7.0 to prod", map[string]string{path: swap(text, old, now)}); err != nil {
				return err
			}
			back, err = propose("back", "Revert payments in dev", map[string]string{path17: swap(text17, now, old)})
			return err
		})
		s.until(ctx, "the first may be merged", func(context.Context) error { return check(readme, "success", "Not a promotion") })
		s.until(ctx, "the second may not, and it says what to do", func(context.Context) error { return check(past, "failure", "/promote") })
		s.until(ctx, "the third may", func(context.Context) error { return check(back, "success", "Not a promotion") })
		s.do(ctx, "GitHub merges the first, and not the second", func(context.Context) error {
			if _, err := alice.MergePull(envRepo, readme, "squash"); err != nil {
				return err
			}
			if _, err := alice.MergePull(envRepo, past, "squash"); err == nil {
				return fmt.Errorf("#%d was merged past prod's gates", past)
			}
			return nil
		})
		s.do(ctx, "she takes dev back", func(context.Context) error {
			_, err := alice.MergePull(envRepo, back, "squash")
			return err
		})
		s.until(ctx, "dev runs 1.6.0 again, and stays there", func(ctx context.Context) error {
			return w.runs(ctx, "dev", "payments", s.version("payments", "1.6.0"))
		})
	})
	if failed := s.report.Failed(); failed != "" {
		t.Fatal(failed)
	}
}

// TestStrangersMoveNothingUnseen: whatever file it is changed in, a version that an
// environment never had does not get into it by a person's pull request, nor does
// another image in the place of an app's own. What cannot be told is no pass.
func TestStrangersMoveNothingUnseen(t *testing.T) {
	s := newScene(t)
	s.story("an image gets another name", otherName)
	s.story("a file beside the overlay's moves a version", otherFile)
	s.story("a base moves every environment", otherBase)
	s.story("a component moves a version", otherComponent)
	s.story("something new is added", newContainers)
	s.story("an app is taken away, and comes back", awayAndBack)
	s.story("it does not render", notRendered)
	s.story("it breaks tagboat.yaml", brokenByStranger)
	s.story("it mends what is broken", mendedByStranger)
	s.story("it goes to a branch that nothing is deployed from", undeployedBranch)
}

const prodPayments = "apps/payments/overlays/prod/kustomization.yaml"

// propose opens alice's pull request with changed files.
func (s *scene) propose(branch, base string, files map[string]string) int {
	s.Helper()
	_, err := s.as("alice").Push(envRepo, branch, "Change "+branch, files)
	s.must(err)
	number, err := s.as("alice").OpenPull(envRepo, branch, base, "Change "+branch, "")
	s.must(err)
	return number
}

// verdict waits until the check on a pull request concludes so, and says all parts.
func (s *scene) verdict(number int, conclusion string, parts ...string) {
	s.Helper()
	s.until("the check concludes with "+conclusion, func() error {
		p, err := s.w.GitHub.Pull(envRepo, number)
		if err != nil {
			return err
		}
		if c := ownCheck(p); c.Concluded != conclusion {
			return fmt.Errorf("#%d: %q, “%s”: %s", number, c.Concluded, c.Title, c.Summary)
		}
		return s.w.checkSays(number, parts...)
	})
}

// on is a file of a branch.
func (s *scene) on(branch, path string) string {
	s.Helper()
	data, err := s.w.GitHub.File(envRepo, branch, path)
	s.must(err)
	return string(data)
}

func otherName(s *scene) {
	text := strings.Replace(s.on("main", prodPayments), "newName: "+imageHost+"/payments", "newName: "+imageHost+"/shop", 1)
	s.verdict(s.propose("other-name", "main", map[string]string{prodPayments: text}), "failure",
		"Moves a version", "payments in prod", imageHost+"/shop", "in place of `"+imageHost+"/payments`")
	// imageTags is what images was called; Kustomize still reads it.
	text, _, _ = strings.Cut(strings.Replace(s.on("main", prodPayments), "images:", "imageTags:", 1), "    newTag:")
	s.verdict(s.propose("image-tags", "main", map[string]string{prodPayments: text + "    newTag: 9.9.9\n"}), "failure",
		"payments in prod", imageHost+"/payments:9.9.9")
}

func otherFile(s *scene) {
	patch := func(image string) map[string]string {
		return map[string]string{
			prodPayments: s.on("main", prodPayments) + "patches:\n  - path: patch.yaml\n",
			"apps/payments/overlays/prod/patch.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: payments}\n" +
				"spec: {template: {spec: {containers: [{name: payments, image: \"" + image + "\"}]}}}\n",
		}
	}
	s.verdict(s.propose("patch-version", "main", patch(imageHost+"/payments:9.9.9")), "failure", "payments in prod", "payments:9.9.9", "/promote")
	s.verdict(s.propose("patch-name", "main", patch("evil.test/payments:1.6.0")), "failure", "payments in prod", "evil.test/payments:1.6.0", "in place of")
	s.verdict(s.propose("patch-nothing", "main", patch("payments")), "success", "one overlay was rendered")
}

func otherBase(s *scene) {
	const file = "apps/payments/base/kustomization.yaml"
	images := "images:\n  - {name: payments, newName: " + imageHost + "/payments, newTag: 9.9.9}\n"
	s.verdict(s.propose("base", "main", map[string]string{file: s.on("main", file) + images}), "failure",
		"payments in dev", "payments in staging", "payments in prod", "payments:9.9.9")
	const deployment = "apps/payments/base/deployment.yaml"
	s.verdict(s.propose("replicas", "main", map[string]string{deployment: strings.Replace(s.on("main", deployment), "replicas: 2", "replicas: 3", 1)}),
		"success", "Not a promotion", "3 overlays were rendered")
}

func otherComponent(s *scene) {
	s.verdict(s.propose("component", "main", map[string]string{
		prodPayments: s.on("main", prodPayments) + "components: [../../component]\n",
		"apps/payments/component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n" +
			"images:\n  - {name: payments, newName: " + imageHost + "/payments, newTag: 9.9.9}\n",
	}), "failure", "payments in prod", "payments:9.9.9")
}

func newContainers(s *scene) {
	add := func(containers string) map[string]string {
		return map[string]string{prodPayments: s.on("main", prodPayments) +
			"patches:\n  - patch: |\n      apiVersion: apps/v1\n      kind: Deployment\n      metadata: {name: payments}\n" +
			"      spec: {template: {spec: {containers: [" + containers + "]}}}\n"}
	}
	s.verdict(s.propose("sidecar", "main", add("{name: proxy, image: \"proxy.test/proxy:3.1\", resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 64Mi}}}")), "success",
		"runs something new", "proxy.test/proxy:3.1", "container proxy of Deployment payments")
	s.verdict(s.propose("twin", "main", add("{name: twin, image: \""+imageHost+"/payments:9.9.9\"}")), "failure", "payments:9.9.9")
	s.verdict(s.propose("instead", "main", add("{name: twin, image: \"evil.test/payments:1\"}, {name: payments, $patch: delete}")), "failure",
		"nothing carries `"+imageHost+"/payments` any more")
	const app = "apps/search/"
	s.verdict(s.propose("new-app", "main", map[string]string{
		app + "base/kustomization.yaml":          strings.ReplaceAll(s.on("main", "apps/payments/base/kustomization.yaml"), "payments", "search"),
		app + "base/deployment.yaml":             strings.ReplaceAll(s.on("main", "apps/payments/base/deployment.yaml"), "payments", "search"),
		app + "base/service.yaml":                strings.ReplaceAll(s.on("main", "apps/payments/base/service.yaml"), "payments", "search"),
		app + "overlays/prod/kustomization.yaml": strings.ReplaceAll(s.on("main", prodPayments), "payments", "search"),
	}), "success", "search in prod is new")
}

// awayAndBack: two pull requests must not do what one may not.
func awayAndBack(s *scene) {
	const overlay = "apps/catalog/overlays/prod/kustomization.yaml"
	text := s.on("main", overlay)
	s.verdict(s.propose("away", "main", map[string]string{overlay: ""}), "success", "catalog in prod is taken away")
	s.pushMain("Take catalog away", map[string]string{overlay: ""})
	defer s.pushMain("Bring catalog back", map[string]string{overlay: text})
	s.idle()
	past, _, _ := strings.Cut(text, ", newTag:")
	s.verdict(s.propose("back-past", "main", map[string]string{overlay: past + ", newTag: 9.9.9}\n"}), "failure", "catalog in prod", "catalog:9.9.9")
	other := strings.Replace(text, "newName: "+imageHost+"/catalog", "newName: "+imageHost+"/shop", 1)
	s.verdict(s.propose("back-other", "main", map[string]string{overlay: other}), "failure", "in place of `"+imageHost+"/catalog`")
	s.verdict(s.propose("back", "main", map[string]string{overlay: text + "# as it was\n"}), "success", "catalog in prod is new")
}

func notRendered(s *scene) {
	const base = "apps/payments/base/deployment.yaml"
	s.verdict(s.propose("broken-base", "main", map[string]string{base: "containers: [\n"}), "failure", "Nobody can tell", "payments in prod", "apps/payments/base", "deployment.yaml", "tagboat validate")
	s.verdict(s.propose("broken-overlay", "main", map[string]string{prodPayments: strings.Replace(s.on("main", prodPayments), "images:\n", "images: [\n", 1)}),
		"failure", "Nobody can tell", "payments in prod", prodPayments)
	s.verdict(s.propose("broken-reference", "main", map[string]string{prodPayments: s.on("main", prodPayments) + "components: [../../nowhere]\n"}),
		"failure", "Nobody can tell", "payments in prod", "nowhere")
}

func brokenByStranger(s *scene) {
	text := strings.Replace(s.on("main", "tagboat.yaml"), "checks: [lint, security-scan]", "chekcs: [lint, security-scan]", 1)
	s.verdict(s.propose("broken-config", "main", map[string]string{"tagboat.yaml": text}), "failure", "Nobody can tell", "tagboat.yaml:18", "chekcs")
	text = strings.Replace(s.on("main", "tagboat.yaml"), "count: 2", "count: 1", 1)
	s.verdict(s.propose("config", "main", map[string]string{"tagboat.yaml": text}), "success", "Not a promotion")
}

// mendedByStranger: what cannot be compared with the base is still compared with what
// is known of the environment.
func mendedByStranger(s *scene) {
	const base = "apps/payments/base/deployment.yaml"
	right := s.on("main", base)
	mend := s.edit("Break the base", map[string]func(string) string{base: func(string) string { return "containers: [\n" }})
	s.verdict(s.propose("unrelated", "main", map[string]string{"README.md": "# acme/env\n\nMore.\n"}), "success", "without this pull request either")
	s.verdict(s.propose("mends", "main", map[string]string{base: right}), "success", "of 3 overlays that it may change, 0 could be", "could not be rendered before")
	s.verdict(s.propose("mends-and-renames", "main", map[string]string{base: strings.Replace(right, "image: payments", "image: evil.test/payments:1.6.0", 1)}),
		"failure", "nothing carries `"+imageHost+"/payments` any more")
	s.verdict(s.propose("mends-and-moves", "main", map[string]string{base: strings.Replace(right, "image: payments", "image: "+imageHost+"/payments:9.9.9", 1)}),
		"failure", "payments in prod", "payments:9.9.9")
	mend()

	mend = s.edit("Break tagboat.yaml", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "checks: [lint, security-scan]", "chekcs: [lint, security-scan]", 1)
	}})
	s.verdict(s.propose("mends-config", "main", map[string]string{"tagboat.yaml": strings.Replace(s.on("main", "tagboat.yaml"), "chekcs", "checks", 1)}),
		"success", "Not a promotion")
	s.verdict(s.propose("moves-meanwhile", "main", map[string]string{
		prodPayments: strings.Replace(s.on("main", prodPayments), "newName: "+imageHost+"/payments", "newName: "+imageHost+"/shop", 1),
	}), "failure", "payments in prod")
	mend()
}

// undeployedBranch: a verdict about a branch on which nothing can move would hold for
// the same commit on its way to one where it can.
func undeployedBranch(s *scene) {
	moves := map[string]string{prodPayments: strings.Replace(s.on("main", prodPayments), "newName: "+imageHost+"/payments", "newName: "+imageHost+"/shop", 1)}
	_, err := s.as("alice").Push(envRepo, "scratch", "Prepare", moves)
	s.must(err)
	moves["README.md"] = "# acme/env\n\nAnd more.\n"
	number := s.propose("detour", "scratch", moves)
	s.idle()
	p, err := s.w.GitHub.Pull(envRepo, number)
	s.must(err)
	if c := ownCheck(p); c.Concluded != "" {
		s.Errorf("#%d goes nowhere, and has the verdict %q: %s", number, c.Concluded, c.Summary)
	}
	s.must(s.as("alice").RetargetPull(envRepo, number, "main"))
	s.verdict(number, "failure", "payments in prod", "in place of")
}
