package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tagboat/tagboat/internal/cluster/clustertest"
)

// newcomer is a cluster that prod gets while the story is told.
const newcomer = "prod-us"

// newCluster: prod gets a second cluster, which is empty. A line in Git brings it to the
// state of the first.
func (s *story) newCluster(ctx context.Context) {
	const file, branch = "tagboat.yaml", "prod-us"
	bob := s.w.GitHub.As("bob")
	pulls := len(s.w.GitHub.Pulls(envRepo))
	var number int
	s.do(ctx, "an empty cluster comes up, and Tagboat is started with a way to it", func(ctx context.Context) error {
		return s.w.addCluster(ctx, newcomer, s.w.Namespaces["prod"])
	})
	s.do(ctx, "Bob adds it to prod in tagboat.yaml, by pull request", func(context.Context) error {
		data, err := s.w.GitHub.File(envRepo, "main", file)
		if err != nil {
			return err
		}
		text := strings.Replace(string(data), "clusters: [prod]", "clusters: [prod, "+newcomer+"]", 1)
		if _, err := bob.Push(envRepo, branch, secondProd, map[string]string{file: text}); err != nil {
			return err
		}
		number, err = bob.OpenPull(envRepo, branch, "main", secondProd, "")
		return err
	})
	s.until(ctx, "it passes, and he merges it", func(context.Context) error { return s.w.mergedBy(bob, number) })
	s.until(ctx, "the new cluster has the same objects as the first, and its pods run the same digests", func(ctx context.Context) error {
		return s.w.same(ctx, "prod", newcomer)
	})
	s.until(ctx, "Tagboat knows that all twelve are healthy, and the board shows it", func(ctx context.Context) error {
		return errors.Join(s.w.healthyTargets(ctx, len(apps)*(len(environments)+1)), s.w.boardSays(ctx, `"`+newcomer+`"`))
	})
	s.do(ctx, "no version has moved for that", func(context.Context) error {
		if n := len(s.w.GitHub.Pulls(envRepo)); n != pulls+1 {
			return fmt.Errorf("there are %d pull requests, not the %d of before and Bob's", n, pulls)
		}
		return nil
	})
	s.do(ctx, "the audit log's chain is unbroken, and no secret is in the database", func(ctx context.Context) error {
		return errors.Join(s.w.soundAudit(ctx), s.w.noSecrets(ctx))
	})
}

// secondProd is what Bob calls his pull request.
const secondProd = "Production in a second cluster"

// addCluster starts a control plane with an empty namespace, and Tagboat anew with the
// way to it, as an administrator would.
func (w *World) addCluster(ctx context.Context, name, namespace string) error {
	plane, err := clustertest.Start(ctx, clustertest.Options{})
	if err != nil {
		return err
	}
	w.planes = append(w.planes, plane)
	if err := w.open(ctx, name, namespace, plane.Config(name)); err != nil {
		return err
	}
	w.Tagboat.reaches(name, filepath.Join(w.dir, name+".kubeconfig"))
	return w.Tagboat.Restart(ctx)
}
