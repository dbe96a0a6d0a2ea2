package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/store"
)

// unhealthy: the pods of a version never become ready in dev. Staging stays shut to it,
// whoever asks; the next version heals dev, and goes on.
func (s *story) unhealthy(ctx context.Context) {
	const app, sick, cure = "catalog", "crash1", "2.4.0"
	alice := s.w.GitHub.As("alice")
	was := s.version(app, "2.3.1")
	asks, _ := s.w.pullTo("staging", app, was.Tag)
	var dev, staging int
	s.do(ctx, "Alice asks for catalog crash1 in dev: a build that CI has not released", func(ctx context.Context) (err error) {
		if s.digests[app+" "+sick], err = s.w.pushImage(ctx, app, sick, sick, ""); err == nil {
			_, err = alice.Comment(envRepo, asks.Number, "/promote dev "+app+" "+sick)
		}
		return err
	})
	s.until(ctx, "it merges", func(context.Context) error {
		p, err := s.w.isMerged("dev", app, sick)
		dev = p.Number
		return err
	})
	s.do(ctx, "she asks for it in staging, too", func(context.Context) error {
		_, err := alice.Comment(envRepo, dev, "/promote staging "+app+" "+sick)
		return err
	})
	s.until(ctx, "dev's pull request tells which pod crashes, and GitHub's deployment has failed", func(context.Context) error {
		return errors.Join(s.w.said(dev, sick, "failed", "pod "+app+"-", "CrashLoopBackOff"), s.w.deploymentIs(dev, "dev", "failure"))
	})
	s.until(ctx, "staging's stays open, and its check says why", func(context.Context) error {
		p, err := s.w.isOpen("staging", app, sick)
		staging = p.Number
		return errors.Join(err, s.w.checkSays(staging, "dev has "+sick, "is not healthy", "CrashLoopBackOff"))
	})
	s.do(ctx, "staging runs 2.3.1, as before", func(ctx context.Context) error { return s.w.runs(ctx, "staging", app, was) })
	s.do(ctx, "CI pushes catalog:2.4.0", func(ctx context.Context) (err error) {
		s.digests[app+" "+cure], err = s.w.release(ctx, app, cure)
		return err
	})
	s.until(ctx, "it heals dev, and goes to staging in the place of crash1", func(ctx context.Context) error {
		p, err := s.w.isMerged("staging", app, cure)
		if err == nil && p.Number != staging {
			err = fmt.Errorf("#%d was opened beside #%d", p.Number, staging)
		}
		return errors.Join(err, s.w.runs(ctx, "dev", app, s.version(app, cure)), s.w.runs(ctx, "staging", app, s.version(app, cure)))
	})
	s.until(ctx, "everything is healthy, and no promotion is left unfinished", func(ctx context.Context) error {
		return errors.Join(s.w.healthyTargets(ctx, len(apps)*len(environments)), s.w.atRest(ctx))
	})
}

// deploymentIs wants a pull request's deployment to have ended so.
func (w *World) deploymentIs(number int, env, state string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	for _, d := range p.Deployments {
		if strings.HasPrefix(d.Environment, env+"/") && d.State == state {
			return nil
		}
	}
	return fmt.Errorf("the deployments of #%d are %v", number, p.Deployments)
}

// healthyTargets wants Tagboat to know of a number of targets, all of them healthy.
func (w *World) healthyTargets(ctx context.Context, n int) error {
	return w.database(ctx, func(db *store.Store) error {
		targets, err := db.Targets(ctx)
		if err != nil {
			return err
		}
		var ill []string
		for _, t := range targets {
			if t.State != store.TargetHealthy {
				ill = append(ill, fmt.Sprintf("%s in %s is %s", t.App, t.Cluster, t.State))
			}
		}
		if len(targets) != n || len(ill) > 0 {
			return fmt.Errorf("%d of %d are healthy: %s", len(targets)-len(ill), n, strings.Join(ill, ", "))
		}
		return nil
	})
}
