package demo

import (
	"context"
	"errors"
	"fmt"
)

// drift: somebody changes clusters by hand, past Git. In prod that is told, with who has
// changed what; in staging, where tagboat.yaml says so, it is taken back besides.
func (s *story) drift(ctx context.Context) {
	const app, tag = "shop", "3.1.1"
	inProd, _ := s.w.pullTo("prod", app, tag)
	inStaging, _ := s.w.pullTo("staging", app, tag)
	object := "Deployment " + s.w.Namespaces["prod"] + "/" + app
	s.do(ctx, "somebody gives prod five shops with kubectl edit", func(ctx context.Context) error { return s.w.scale(ctx, "prod", app, 5) })
	s.until(ctx, "the board and the pull request that brought 3.1.1 name object, field, both values and kubectl-edit", func(ctx context.Context) error {
		_, err := s.w.told(inProd.Number, object, "`spec.replicas` is `5`; in Git it is `3`, by `kubectl-edit`", "Tagboat leaves it as it is")
		return errors.Join(err, s.w.boardSays(ctx, "changed past Git: "+object+": spec.replicas is 5 and should be 3, by kubectl-edit"))
	})
	s.until(ctx, "prod keeps its five shops: tagboat.yaml has changes there reported, and no more", func(ctx context.Context) error { return s.w.scaled(ctx, "prod", app, 5) })
	s.do(ctx, "somebody changes it back", func(ctx context.Context) error { return s.w.scale(ctx, "prod", app, 3) })
	s.until(ctx, "the comment says that it is over, and the board says nothing any more", func(ctx context.Context) error {
		n, err := s.w.told(inProd.Number, object, "everything is as it is in Git again")
		if err == nil && n != 1 {
			err = fmt.Errorf("it is told %d times", n)
		}
		return errors.Join(err, s.w.boardSilent(ctx, "changed past Git"))
	})
	s.do(ctx, "somebody gives staging five shops", func(ctx context.Context) error { return s.w.scale(ctx, "staging", app, 5) })
	s.until(ctx, "it is taken back, and told on the pull request that brought 3.1.1 there", func(ctx context.Context) error {
		_, err := s.w.told(inStaging.Number, "`spec.replicas` is `5`; in Git it is `2`, by `kubectl-edit`", "Tagboat has taken it back")
		return errors.Join(err, s.w.scaled(ctx, "staging", app, 2))
	})
}
