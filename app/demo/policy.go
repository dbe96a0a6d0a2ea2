package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// policy: Bob's own pull request brings latest and drops the limits. The rules of the
// base branch keep it out until it is mended.
func (s *story) policy(ctx context.Context) {
	const file, base, branch = "apps/shop/overlays/prod/kustomization.yaml", "apps/shop/base/deployment.yaml", "three-shops"
	bob := s.w.GitHub.As("bob")
	var number int
	var right string
	s.do(ctx, "Bob wants three shops in prod, and with them brings latest and drops the limits", func(context.Context) error {
		data, err := s.w.GitHub.File(envRepo, "main", file)
		if err != nil {
			return err
		}
		right = string(data) + threeShops
		shop := s.version("shop", "3.0.0")
		wrong := strings.Replace(right, "newTag: "+shop.Tag+"\n    digest: "+shop.Digest, "newTag: latest", 1)
		wrong = strings.Replace(wrong, "replicas: 3\n", "replicas: 3\n        template: {spec: {containers: [{name: shop, resources: {limits: null}}]}}\n", 1)
		if _, err := bob.Push(envRepo, branch, "Three shops in prod", map[string]string{file: wrong}); err != nil {
			return err
		}
		number, err = bob.OpenPull(envRepo, branch, "main", "Three shops in prod", "")
		return err
	})
	s.until(ctx, "it is blocked, with a remark for each on its line", func(context.Context) error {
		return errors.Join(s.w.checkSays(number, "mutable-tag", "resource-limits"), s.w.remarked(number, "failure", "mutable-tag", file), s.w.remarked(number, "failure", "resource-limits", base))
	})
	s.do(ctx, "GitHub does not merge it", func(context.Context) error {
		if _, err := bob.MergePull(envRepo, number, "squash"); err == nil {
			return fmt.Errorf("#%d was merged past the rules", number)
		}
		return nil
	})
	s.do(ctx, "Bob mends it", func(context.Context) error {
		_, err := bob.Push(envRepo, branch, "Keep the version and the limits", map[string]string{file: right})
		return err
	})
	s.until(ctx, "it passes, and he merges it", func(context.Context) error {
		return s.w.mergedBy(bob, number)
	})
	s.until(ctx, "prod has three shops of the same version", func(ctx context.Context) error {
		return errors.Join(s.w.scaled(ctx, "prod", "shop", 3), s.w.runs(ctx, "prod", "shop", s.version("shop", "3.0.0")))
	})
}

const threeShops = `patches:
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: shop}
      spec:
        replicas: 3
`

// mergedBy has a person merge their own pull request as soon as Tagboat's check lets
// them.
func (w *World) mergedBy(person *githubsim.Person, number int) error {
	if err := w.checkSays(number, "Not a promotion"); err != nil {
		return err
	}
	if p, err := w.GitHub.Pull(envRepo, number); err != nil || p.Merged {
		return err
	}
	_, err := person.MergePull(envRepo, number, "squash")
	return err
}

// remarked wants an annotation of Tagboat's check on a file of a pull request.
func (w *World) remarked(number int, level, rule, file string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	return annotated(ownCheck(p), level, rule, file)
}

func annotated(c githubsim.CheckView, level, rule, file string) error {
	for _, a := range c.Annotations {
		if a := fmt.Sprint(a); strings.Contains(a, "annotation_level:"+level) && strings.Contains(a, rule) && strings.Contains(a, "path:"+file) {
			return nil
		}
	}
	return fmt.Errorf("no annotation on %s says %s: %v", file, rule, c.Annotations)
}
