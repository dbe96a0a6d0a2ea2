package demo

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

// TestWhatAPullRequestTells is about what stands around the gates: the commits between
// two images, what runs upstream, and the way back. None of it may hold anything up,
// and none of what strangers wrote may do anything.
func TestWhatAPullRequestTells(t *testing.T) {
	s := newScene(t)
	s.story("the commits between two versions, what runs upstream, and how to go back", commitsBetween)
	s.story("labels that are lies, and titles that are traps", evilLabels)
	s.story("a version that was built from an older commit", olderCommit)
	s.story("a repository that Tagboat's App is not installed on", notInstalled)
	s.story("a cluster that is behind gets more than the image", clusterBehind)
	s.story("GitHub cannot compare, and nobody waits for that", noComparison)
}

const compareRoute = "GET /repos/{owner}/{repo}/compare/{basehead}"

func commitsBetween(s *scene) {
	asked := len(s.w.GitHub.Requests())
	s.develop("payments", "Round half to even\n\nBankers do.", "a.txt")
	s.develop("payments", "Write less to the log (#7)", "b.txt")
	digest := s.release("payments", "1.7.0")
	dev := s.merged("dev", "payments", "1.7.0")
	s.saysOf(dev, "3 commits of `acme/payments` since `1.6.0` ([compare](", " Release 1.7.0, by alice\n", " Write less to the log (#&#8203;7), by alice\n",
		" Round half to even, by alice\n", "/acme/payments/commit/", "(CI run)")
	if strings.Contains(dev.Body, "Bankers") || strings.Index(dev.Body, "Release 1.7.0") > strings.Index(dev.Body, "Round half") {
		s.Errorf("titles only, the newest first:\n%s", dev.Body)
	}
	s.done("staging", "payments", "1.7.0", digest)

	prod := s.asked("prod", "payments", "1.7.0")
	s.until("the description has everything", func() error {
		return s.bodyHas(prod.Number, "3 commits of `acme/payments` since `1.6.0`", "- **staging** runs `1.7.0@"+digest[:19]+"`, healthy since 20",
			"### Going back", "Before this there is `1.6.0@sha256:", "comment `/rollback ")
	})
	s.checkSays(prod.Number, "Waiting for")
	s.until("the check has it, too", func() error {
		text := checkOf(s, prod.Number, "tagboat", "tagboat").Text
		if !strings.Contains(text, "3 commits of `acme/payments`") || !strings.Contains(text, "comment `/rollback ") {
			return fmt.Errorf("it says:\n%s", text)
		}
		return nil
	})
	compared := 0
	for _, r := range s.w.GitHub.Requests()[asked:] {
		if r.Route == compareRoute {
			compared++
		}
	}
	if compared != 1 {
		s.Errorf("GitHub was asked %d times what lies between the same two commits", compared)
	}
	s.must(s.as("alice").ClosePull(envRepo, prod.Number))
}

// develop commits to an app's repository.
func (s *scene) develop(app, message, file string) string {
	s.Helper()
	sha, err := s.as("alice").Push(org+"/"+app, "main", message, map[string]string{file: message})
	s.must(err)
	return sha
}

// saysOf wants all parts in a pull request's description.
func (s *scene) saysOf(p githubsim.PullView, parts ...string) {
	s.Helper()
	for _, part := range parts {
		if !strings.Contains(p.Body, part) {
			s.Errorf("the description of #%d lacks “%s”:\n%s", p.Number, part, p.Body)
		}
	}
}

// pushLabelled pushes an image with labels, of which no CI tells.
func (s *scene) pushLabelled(app, tag, source, revision string) {
	s.Helper()
	_, err := s.w.Registry.Push(s.ctx, app, tag, registrytest.Content{Seed: app + " " + tag, Labels: map[string]string{
		"org.opencontainers.image.source": source, "org.opencontainers.image.revision": revision,
	}})
	s.must(err)
}

const trap = "- [x] On-call informed <!-- tagboat:item id=x --> @acme/platform <img src=x> | fixes #1 /promote prod"

// code is what GitHub shows as it stands.
var code = regexp.MustCompile("`[^`\n]+`")

func evilLabels(s *scene) {
	home := s.w.GitHub.URL() + "/acme/payments"
	gates := []string{"digest", "head", "rendered", "policy", "dry-run", "checks", "approvals", "upstream"}
	harmless := func(p githubsim.PullView) {
		s.Helper()
		items, err := checklist.Items(p.Body)
		s.must(err)
		for _, i := range items {
			if i.Human || !slices.Contains(gates, i.Gate) {
				s.Errorf("#%d has the item %+v", p.Number, i)
			}
		}
		outside := code.ReplaceAllString(p.Body, "")
		for _, harm := range []string{"@acme", "<img", "fixes #1", "://elsewhere", "tagboat:item id"} {
			if strings.Contains(strings.ReplaceAll(outside, "tagboat:item id=x --&gt;", ""), harm) {
				s.Errorf("%s in #%d:\n%s", harm, p.Number, p.Body)
			}
		}
		for _, c := range p.Commits {
			if strings.Contains(c.Message, "fixes #1") || strings.Contains(c.Message, "Co-authored-by") {
				s.Errorf("the commit message of #%d: %q", p.Number, c.Message)
			}
		}
	}
	sha := s.develop("payments", trap+"\n\n"+trap, "c.txt")
	s.pushLabelled("payments", "1.7.1", home, sha)
	p := s.merged("dev", "payments", "1.7.1")
	s.saysOf(p, `\- \[x\] On-call informed &lt;\!-- tagboat:item id=x --&gt; @&#8203;acme/platform &lt;img src=x&gt; \| fixes #&#8203;1 /promote`)
	harmless(p)

	s.pushLabelled("payments", "1.7.2", home, "0123\n\nCo-authored-by: Mallory <m@x>\n"+trap)
	p = s.merged("dev", "payments", "1.7.2")
	s.saysOf(p, "Not known: This image says that it was built from the commit “0123 Co-authored-by: Mallory &lt;m@&#8203;x&gt; - \\[x\\]", "which is no full commit id.")
	harmless(p)

	s.pushLabelled("payments", "1.7.3", "https://elsewhere.example.com/acme/payments\x00"+trap, sha)
	p = s.merged("dev", "payments", "1.7.3")
	s.saysOf(p, "Not known: This image says that it was built from “https:&#8203;//elsewhere.example.com/acme/payments", "which is no repository on "+strings.TrimPrefix(s.w.GitHub.URL(), "http://"))
	harmless(p)

	s.pushLabelled("payments", "1.7.4", home, strings.Repeat("1", 40))
	p = s.merged("dev", "payments", "1.7.4")
	s.saysOf(p, "Not known: The image that is pinned now says that it was built from “https:&#8203;//elsewhere")
	s.pushLabelled("payments", "1.7.5", home, sha)
	s.saysOf(s.merged("dev", "payments", "1.7.5"), "Not known: acme/payments has no commits 111111111111 and "+sha[:12]+" that could be compared")
	s.pushLabelled("payments", "1.7.6", "", "")
	s.saysOf(s.merged("dev", "payments", "1.7.6"), "Not known: This image does not say which commit it was built from")
	s.pushLabelled("payments", "1.7.7", s.w.GitHub.URL()+"/acme/shop", sha)
	s.merged("dev", "payments", "1.7.7")
	s.pushLabelled("payments", "1.7.8", home, sha)
	s.saysOf(s.merged("dev", "payments", "1.7.8"), "Not known: the image that is pinned now was built from acme/shop, this one from acme/payments.")
}

func olderCommit(s *scene) {
	home := s.w.GitHub.URL() + "/acme/catalog"
	older := s.develop("catalog", "One", "one.txt")
	newer := s.develop("catalog", "Two", "two.txt")
	s.pushLabelled("catalog", "2.3.1", home, newer)
	s.merged("dev", "catalog", "2.3.1")
	s.pushLabelled("catalog", "2.3.2", home, older)
	s.saysOf(s.merged("dev", "catalog", "2.3.2"), "**This goes back**: `2.3.2` was built from an older commit of `acme/catalog` than `2.3.1`, and lacks 1 commit")
	s.pushLabelled("catalog", "2.3.3", home, older)
	s.saysOf(s.merged("dev", "catalog", "2.3.3"), "None: `2.3.2` and `2.3.3` were built from the same commit of `acme/catalog`.")

	aside, err := s.as("alice").Push("acme/catalog", "aside", "Aside", map[string]string{"aside.txt": "x"})
	s.must(err)
	third := s.develop("catalog", "Three", "three.txt")
	s.pushLabelled("catalog", "2.3.4", home, third)
	s.merged("dev", "catalog", "2.3.4")
	s.pushLabelled("catalog", "2.3.5", home, aside)
	s.saysOf(s.merged("dev", "catalog", "2.3.5"), "**The two were built from different lines of history** of `acme/catalog`: `2.3.5` has 1 commit that `2.3.4` has not, and lacks 1 commit",
		" Aside, by alice")
}

func notInstalled(s *scene) {
	s.must(s.w.GitHub.AddRepo(githubsim.RepoSpec{Owner: org, Name: "secret", Private: true, Files: map[string]string{"README.md": "x"}, Collaborators: map[string]string{"alice": "write"}}))
	home := s.w.GitHub.URL() + "/acme/secret"
	s.pushLabelled("shop", "3.1.0", home, s.develop("secret", "A secret", "a.txt"))
	s.merged("dev", "shop", "3.1.0")
	s.pushLabelled("shop", "3.1.1", home, s.develop("secret", "Another secret", "b.txt"))
	p := s.merged("dev", "shop", "3.1.1")
	s.saysOf(p, "Not known: Tagboat's GitHub App is not installed on acme/secret. Install it there to see the commits")
	if strings.Contains(p.Body, "Another") {
		s.Errorf("the description tells a secret:\n%s", p.Body)
	}
}

func noComparison(s *scene) {
	home := s.w.GitHub.URL() + "/acme/shop"
	one, two := s.develop("shop", "One", "one.txt"), s.develop("shop", "Two", "two.txt")
	s.w.GitHub.Inject(githubsim.Fault{Route: compareRoute, Status: http.StatusBadGateway, Match: func(r githubsim.Request) bool {
		return strings.HasSuffix(r.Path, one+"..."+two)
	}})
	s.pushLabelled("shop", "3.2.0", home, one)
	s.merged("dev", "shop", "3.2.0")
	s.pushLabelled("shop", "3.2.1", home, two)
	s.saysOf(s.merged("dev", "shop", "3.2.1"), "Not known: GitHub could not be asked about acme/shop; Tagboat asks again.")
	if err := s.w.none(s.ctx, `SELECT count(*) FROM source_comparison WHERE head = $1 AND base = $2`, two, one); err != nil {
		s.Errorf("an answer is kept that GitHub did not give: %v", err)
	}
}

func clusterBehind(s *scene) {
	digest := s.release("catalog", "2.4.0")
	s.runs("staging", "catalog", "2.4.0", digest)
	number := s.asked("prod", "catalog", "2.4.0").Number
	s.until("nothing comes along", func() error { return s.bodyHas(number, "### Going back") })
	s.idle()
	const warning = "**More than the image would reach the clusters.**"
	if body := s.body(number); strings.Contains(body, warning) {
		s.Errorf("prod has everything that is merged:\n%s", body)
	}
	mend := s.edit("A selector that no API server takes, and settings", map[string]func(string) string{"apps/catalog/overlays/prod/kustomization.yaml": func(text string) string {
		return text + `
configMapGenerator: [{name: settings, literals: [level=debug]}]
patches:
  - target: {kind: Deployment}
    patch: '[{"op": "add", "path": "/spec/selector/matchLabels/nobody", "value": "has-it"}]'
`
	}})
	s.until("the description warns", func() error {
		return s.bodyHas(number, warning, "> - **prod** was last brought to commit `", "`; since then: ", "`ConfigMap prod/settings-", "`Deployment prod/catalog changed`", "It is behind because its last sync failed:")
	})
	s.until("so does the check", func() error {
		if text := checkOf(s, number, "tagboat", "tagboat").Text; !strings.HasPrefix(text, "> [!WARNING]") {
			return fmt.Errorf("it says:\n%.300s", text)
		}
		return nil
	})
	mend()
	s.until("the warning is gone", func() error {
		if body := s.body(number); strings.Contains(body, warning) {
			return fmt.Errorf("it is still there:\n%s", body)
		}
		return nil
	})
	s.must(s.as("alice").ClosePull(envRepo, number))
}
