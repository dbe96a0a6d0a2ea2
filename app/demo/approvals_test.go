package demo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestWhoMaySayYes tells of approvals: of several rules at once, of code owners, of
// who built the image, and of approvals that were for something else.
func TestWhoMaySayYes(t *testing.T) {
	s := newScene(t)
	s.w.GitHub.AddUser("erin", "Erin Eaton")
	s.w.GitHub.AddTeam(org, "security", "carol", "erin")
	s.story("two rules, and one person who counts for both until she leaves the team", severalRules)
	s.story("the owners of the changed file, by the base branch's CODEOWNERS", codeOwners)
	s.story("who built the image does not approve it", builderDoesNotCount)
	s.story("a stale approval is dismissed on GitHub, too, and a change request stands", staleApprovals)
	s.story("GitHub does not let Tagboat dismiss a review", refusedDismissal)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// approvals changes what prod asks of its reviewers.
func (s *scene) approvals(rules string) (undo func()) {
	s.Helper()
	return s.edit("Other approvals", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "approvals: {count: 2, teams: [platform]}", "approvals: "+rules, 1)
	}})
}

func severalRules(s *scene) {
	undo := s.approvals("[{count: 2, teams: [platform]}, {name: security, teams: [security]}]")
	digest := s.release("shop", "3.1.0")
	s.runs("staging", "shop", "3.1.0", digest)
	number := s.asked("prod", "shop", "3.1.0").Number
	s.checkSays(number, "0 of 2 from platform; 0 of 1 from security.", "team platform; team security (for security)")
	s.approve(number, "bob", "oscar")
	s.checkSays(number, "1 of 2 from platform (bob); 0 of 1 from security.", "oscar is not in team platform or in team security")
	s.approve(number, "carol")
	s.checkSays(number, "2 of 2 from platform (bob, carol); 1 of 1 from security (carol).")

	// Nobody tells Tagboat that carol leaves security. Before the merge it asks.
	s.w.GitHub.RemoveTeamMember(org, "security", "carol")
	s.tickAll(number)
	s.checkSays(number, "2 of 2 from platform (bob, carol); 0 of 1 from security.", "team security (for security)")
	s.approve(number, "erin")
	p := s.done("prod", "shop", "3.1.0", digest)
	undo()

	// Years later, when the teams have other members.
	s.w.GitHub.RemoveTeamMember(org, "security", "erin")
	kept := s.approvalEvidence(p)
	var got []string
	for _, rule := range kept.Rules {
		for _, c := range rule.Counted {
			if c.ID == 0 || c.Review == 0 || c.Asked == "" {
				s.Errorf("it is not kept who, what or when: %+v", c)
			}
			got = append(got, fmt.Sprintf("%s for %s as a member of %s", c.Login, rule.Rule, c.Team))
		}
	}
	if want := "bob for platform as a member of platform, carol for platform as a member of platform, erin for security as a member of security"; strings.Join(got, ", ") != want {
		s.Errorf("the evidence keeps %q, not %q", got, want)
	}
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM audit a JOIN promotion p ON p.id = a.promotion_id WHERE p.pull_number = $1 AND a.action = 'merged' AND a.inputs::jsonb @? '$.approvedBy[*] ? (@.login == "erin").for[*] ? (@.team == "security")'`, p.Number); err != nil || n != 1 {
		s.Errorf("%d rows of the merge say for what erin counted, %v", n, err)
	}
}

// keptApprovals is what the evidence of the approvals gate keeps.
type keptApprovals struct {
	Rules []struct {
		Rule    string
		Counted []struct {
			ID          int64
			Login, Team string
			Review      int64
			Asked       string
		}
	}
}

// approvalEvidence is what the merge of a pull request was made on.
func (s *scene) approvalEvidence(p githubsim.PullView) (kept keptApprovals) {
	s.Helper()
	conn, err := pgx.Connect(s.ctx, s.w.DatabaseURL())
	s.must(err)
	defer conn.Close(s.ctx)
	var detail string
	s.must(conn.QueryRow(s.ctx, `SELECT e.detail FROM evidence e JOIN promotion p ON p.id = e.promotion_id
		WHERE p.pull_number = $1 AND e.gate = 'approvals' AND e.verdict = 'pass' ORDER BY e.id DESC LIMIT 1`, p.Number).Scan(&detail))
	s.must(json.Unmarshal([]byte(detail), &kept))
	return kept
}

func codeOwners(s *scene) {
	undo := s.approvals("[{count: 1, teams: [platform]}, {codeowners: true}]")
	digest := s.release("catalog", "2.3.1")
	s.runs("staging", "catalog", "2.3.1", digest)
	number := s.asked("prod", "catalog", "2.3.1").Number
	s.tickAll(number)
	s.approve(number, "bob")
	s.checkSays(number, "1 of 1 from platform (bob); 0 of 1 from code owners, because the base branch has no CODEOWNERS file", "whoever maintains CODEOWNERS")

	for _, c := range []struct{ story, file, says string }{
		{"an address", "* @bob\n/apps/*/overlays/prod/ catalog@example.com\n", "names as owners of apps/catalog/overlays/prod/kustomization.yaml in line 2 only e-mail addresses"},
		{"a line that cannot be read", "* @bob\n/docs/ bob\n", "cannot be used: line 2: invalid owner format"},
		{"somebody else's files", "/docs/ @bob\n", "names no owner of apps/catalog/overlays/prod/kustomization.yaml"},
		{"nobody's file", "* @bob\n/apps/catalog/\n", "says in line 2 that nobody owns"},
	} {
		s.pushMain("Owners: "+c.story, map[string]string{"docs/CODEOWNERS": c.file})
		s.checkSays(number, "0 of 1 from code owners, because docs/CODEOWNERS of the base branch", unescaped(c.says))
	}
	// GitHub looks into .github first. The last pattern that matches decides: bob owns
	// everything but this.
	s.pushMain("Owners", map[string]string{".github/CODEOWNERS": "* @bob\n/apps/*/overlays/prod/ @acme/security @carol\n"})
	s.checkSays(number, "1 of 1 from platform (bob); 0 of 1 from code owners.", "the owners of the file: team security, carol")
	s.idle()
	if p, err := s.w.GitHub.Pull(envRepo, number); err != nil || p.State != "open" {
		s.Fatalf("#%d is %s, %v", number, p.State, err)
	}
	s.approve(number, "carol")
	s.done("prod", "catalog", "2.3.1", digest)
	undo()
}

func builderDoesNotCount(s *scene) {
	digest := s.release("payments", "1.7.0")
	s.runs("staging", "payments", "1.7.0", digest)
	number := s.asked("prod", "payments", "1.7.0").Number
	s.approve(number, "bob", "carol")
	s.checkSays(number, "2 of 2 approvals (bob, carol)")

	var carol struct{ User struct{ ID int64 } }
	s.read("alice", "collaborators/carol/permission", &carol)
	tell := func(actor string) {
		s.must(s.w.callback(s.ctx, fmt.Appendf(nil, `{"image": %q, "tag": "1.7.0", "digest": %q, "actor": %s}`, imageHost+"/payments", digest, actor)))
	}
	tell(fmt.Sprintf(`{"login": "carol", "id": %d}`, carol.User.ID))
	s.checkSays(number, "1 of 2 approvals (bob). carol's approval does not count: carol built the image.")
	tell(`"oscar"`) // who built it once stays
	s.idle()
	s.must(s.w.checkSays(number, "1 of 2 approvals (bob). carol's approval does not count: carol built the image."))
	s.tickAll(number)
	s.idle()
	s.must(s.w.checkSays(number, "carol built the image"))

	undo := s.approvals("{count: 2, teams: [platform], allow: [builder]}")
	p := s.done("prod", "payments", "1.7.0", digest)
	if len(p.Reviews) != 2 {
		s.Errorf("there are %d reviews", len(p.Reviews))
	}
	undo()
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM audit WHERE action = 'builder recorded' AND actor_id = $1 AND actor = 'carol' AND sha = $2`, carol.User.ID, digest); err != nil || n != 1 {
		s.Errorf("%d rows say that carol built it, %v", n, err)
	}
}

const dismissRoute = "PUT /repos/{owner}/{repo}/pulls/{number}/reviews/{review_id}/dismissals"

func staleApprovals(s *scene) {
	old := s.release("shop", "3.2.0")
	s.runs("staging", "shop", "3.2.0", old)
	p := s.asked("prod", "shop", "3.2.0")
	s.approve(p.Number, "bob")
	_, err := s.as("carol").Review(envRepo, p.Number, "REQUEST_CHANGES", "Not on a Friday.")
	s.must(err)
	s.checkSays(p.Number, "carol asked for changes. 1 of 2 approvals (bob).")

	digest := s.release("shop", "3.2.1")
	s.runs("staging", "shop", "3.2.1", digest)
	s.says("alice", s.issue(), "/promote prod shop 3.2.1", "rocket", fmt.Sprintf("#%d", p.Number))
	s.until("bob's approval is dismissed on GitHub", func() error {
		return s.w.reviewOf(p.Number, "bob", "DISMISSED", p.HeadSHA[:12], old[:19], "shop 3.2.1", digest[:19], "approve it again")
	})
	s.checkSays(p.Number, "carol asked for changes. 0 of 2 approvals. bob's approval does not count: bob approved another digest. It is dismissed on GitHub, too.")
	s.must(s.w.reviewOf(p.Number, "carol", "CHANGES_REQUESTED"))
	s.idle()
	for action, want := range map[string]int{"review dismissed": 1, "dismissal refused": 0} {
		if n, err := s.w.count(s.ctx, `SELECT count(*) FROM audit a JOIN promotion p ON p.id = a.promotion_id WHERE a.action = $1 AND p.pull_number = $2`, action, p.Number); err != nil || n != want {
			s.Errorf("%d rows “%s”, not %d, %v", n, action, want, err)
		}
	}
	s.tickAll(p.Number)
	s.approve(p.Number, "bob")
	s.checkSays(p.Number, "carol asked for changes. 1 of 2 approvals (bob).")
	s.approve(p.Number, "carol")
	s.done("prod", "shop", "3.2.1", digest)
}

func refusedDismissal(s *scene) {
	remove := s.w.GitHub.Inject(githubsim.Fault{
		Route: dismissRoute, Status: http.StatusForbidden,
		Body: `{"message":"Resource not accessible by integration","documentation_url":"https://docs.github.com/rest"}`,
	})
	defer remove()
	before := len(s.w.GitHub.Requests())
	s.runs("staging", "payments", "1.7.1", s.release("payments", "1.7.1"))
	number := s.asked("prod", "payments", "1.7.1").Number
	s.approve(number, "bob")
	s.checkSays(number, "1 of 2 approvals (bob).")
	digest := s.release("payments", "1.7.2")
	s.runs("staging", "payments", "1.7.2", digest)
	s.says("alice", s.issue(), "/promote prod payments 1.7.2", "rocket", fmt.Sprintf("#%d", number))
	s.checkSays(number, "bob's approval does not count: bob approved another digest. GitHub still shows it: it did not let Tagboat dismiss it.")
	s.must(s.w.reviewOf(number, "bob", "APPROVED"))
	s.tickAll(number)
	s.approve(number, "carol")
	s.checkSays(number, "1 of 2 approvals (carol)")
	s.idle()
	tried := 0
	for _, r := range s.w.GitHub.Requests()[before:] {
		if r.Route == dismissRoute {
			tried++
		}
	}
	if tried != 1 {
		s.Errorf("it was tried %d times", tried)
	}
	s.approve(number, "bob")
	s.done("prod", "payments", "1.7.2", digest)
}
