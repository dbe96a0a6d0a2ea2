package demo

import (
	"fmt"
	"strings"
	"testing"
)

// TestWhatIsWrongInGit tells of files in the env repo that cannot be used: people
// read where and why, nothing that runs is touched, and once the file is mended
// everything goes on by itself, with what arrived meanwhile.
func TestWhatIsWrongInGit(t *testing.T) {
	s := newScene(t)
	s.story("tagboat.yaml is malformed", malformedConfiguration)
	s.story("a kustomization cannot be parsed", unparsableKustomization)
	s.story("an overlay does not set the image", overlayWithoutImage)
}

func malformedConfiguration(s *scene) {
	catalog := s.release("catalog", "2.3.1")
	pull := s.asked("prod", "catalog", "2.3.1").Number
	s.runs("staging", "catalog", "2.3.1", catalog)
	s.until("everything is healthy", func() error { return s.w.allHealthy(s.ctx) })

	mend := s.edit("Check more", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "checks: [lint, security-scan]", "chekcs: [lint, security-scan]", 1)
	}})
	where := "tagboat.yaml:18"
	s.checkSays(pull, "Blocked by configuration", where, "chekcs")
	s.boardSays(where)
	s.says("alice", s.issue(), "/promote prod shop 3.0.0", "confused", where)
	payments := s.release("payments", "1.7.0")
	s.until("the image waits", func() error {
		n, err := s.w.count(s.ctx, `SELECT count(*) FROM river.river_job WHERE kind = 'verify' AND attempt > 1`)
		if err == nil && n == 0 {
			err = fmt.Errorf("nothing waits")
		}
		return err
	})
	s.runs("staging", "catalog", "2.3.1", catalog)
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM target WHERE state <> 'healthy'`)) // whoever is just looking at it
	s.until("everything stays healthy", func() error { return s.w.allHealthy(s.ctx) })

	mend()
	s.runs("staging", "payments", "1.7.0", payments)
	s.checkSays(pull, "Waiting for", "0 of 2 approvals")
	s.until("the board forgets it", func() error {
		if s.w.boardSays(s.ctx, where) == nil {
			return fmt.Errorf("the board still says %s", where)
		}
		return nil
	})
	s.approve(pull, "bob", "carol")
	s.tickAll(pull)
	s.done("prod", "catalog", "2.3.1", catalog)
}

func unparsableKustomization(s *scene) {
	mend := s.edit("Tidy up", map[string]func(string) string{"apps/payments/overlays/dev/kustomization.yaml": func(text string) string {
		return strings.Replace(text, "images:\n", "images: [\n", 1)
	}})
	where := "apps/payments/overlays/dev/kustomization.yaml:"
	s.boardSays(where)
	s.says("alice", s.issue(), "/promote dev payments 1.7.0", "confused", where)
	payments := s.release("payments", "1.8.0")
	shop := s.release("shop", "3.1.0")
	s.runs("staging", "shop", "3.1.0", shop)
	if p, err := s.w.pullTo("dev", "payments", "1.8.0"); err == nil {
		s.Errorf("pull request #%d changes a file that cannot be read", p.Number)
	}

	mend()
	s.runs("staging", "payments", "1.8.0", payments)
	s.until("everything is healthy", func() error { return s.w.allHealthy(s.ctx) })
	s.done("dev", "payments", "1.8.0", payments)
	s.done("staging", "payments", "1.8.0", payments)
}

func overlayWithoutImage(s *scene) {
	const file = "apps/shop/overlays/staging/kustomization.yaml"
	mend := s.edit("Use another image", map[string]func(string) string{file: func(text string) string {
		return strings.Replace(text, "newName: "+imageHost+"/shop", "newName: "+imageHost+"/other", 1)
	}})
	shop := s.release("shop", "3.2.0")
	s.runs("dev", "shop", "3.2.0", shop)
	s.says("alice", s.issue(), "/promote staging shop 3.2.0", "confused", "other:3.2.0 is not in registry")
	mend()
	s.runs("staging", "shop", "3.2.0", shop)

	pull := s.asked("prod", "shop", "3.2.0").Number
	prod := strings.Replace(file, "staging", "prod", 1)
	mend = s.edit("Use another image in prod", map[string]func(string) string{prod: func(text string) string {
		return strings.Replace(text, "newName: "+imageHost+"/shop", "newName: "+imageHost+"/other", 1)
	}})
	s.checkSays(pull, "Blocked by commit", prod, imageHost+"/shop")
	s.boardSays(prod)
	mend()
	s.checkSays(pull, "Waiting for", "Only the image's tag and digest change")

	mend = s.edit("Set no image at all", map[string]func(string) string{prod: func(text string) string {
		return text[:strings.Index(text, "images:")]
	}})
	s.says("alice", s.issue(), "/promote prod shop 3.2.0", "confused", "shop has no overlay for prod that sets an image")
	s.checkSays(pull, "no overlay of shop for prod that sets an image")
	mend()
	s.checkSays(pull, "Waiting for", "Only the image's tag and digest change")
	s.approve(pull, "bob", "carol")
	s.tickAll(pull)
	s.done("prod", "shop", "3.2.0", shop)
}
