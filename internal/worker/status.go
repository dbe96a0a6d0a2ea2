package worker

import (
	"context"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// status carries out /status [env] [app] from PostgreSQL alone. Without names it is about
// the app of the pull request, wherever it runs; on an issue, about everything.
func (w *Worker) status(ctx context.Context, r request, cmd command.Status) (string, error) {
	s, err := w.Store.Whereabouts(ctx, r.repo.ID)
	if err != nil {
		return "", err
	}
	all := runningRows(s)
	apps, err := w.askedAbout(ctx, r, cmd)
	if err != nil {
		return "", err
	}
	rows := slices.DeleteFunc(slices.Clone(all), func(row checklist.Running) bool {
		return cmd.Env != "" && row.Env != cmd.Env || apps != nil && !slices.Contains(apps, row.App)
	})
	if len(rows) == 0 {
		return "", nothingRuns(all, cmd, apps)
	}
	return checklist.RenderStatus(rows), nil
}

// askedAbout are the apps that a /status is about; nil is all of them.
func (w *Worker) askedAbout(ctx context.Context, r request, cmd command.Status) (apps []string, err error) {
	switch {
	case cmd.App != "":
		return []string{cmd.App}, nil
	case r.carried != nil && cmd.Env == "":
		together, err := w.Store.Together(ctx, *r.carried)
		for _, p := range together {
			apps = append(apps, p.App)
		}
		return apps, err
	case r.carried != nil || r.meant == nil:
		return nil, nil
	}
	names, err := w.names(ctx, r)
	for _, n := range names {
		apps = append(apps, n.Apps...)
	}
	return apps, err
}

// nothingRuns says what there is instead.
func nothingRuns(all []checklist.Running, cmd command.Status, apps []string) error {
	var envs, there []string
	for _, row := range all {
		if !slices.Contains(envs, row.Env) {
			envs = append(envs, row.Env)
		}
		if (cmd.Env == "" || row.Env == cmd.Env) && !slices.Contains(there, row.App) {
			there = append(there, row.App)
		}
	}
	switch {
	case len(all) == 0:
		return fault.Errorf(fault.NotFound, "No cluster is known to run anything.")
	case cmd.Env != "" && !slices.Contains(envs, cmd.Env):
		return fault.Errorf(fault.NotFound, "Nothing is known to run in %s.%s Something does in: %s.", cmd.Env, didYouMean(cmd.Env, envs), strings.Join(envs, ", "))
	}
	app := strings.Join(apps, ", ")
	return fault.Errorf(fault.NotFound, "%s is not known to run there.%s What does: %s.", app, didYouMean(app, there), strings.Join(there, ", "))
}

// runningRows are what runs in each cluster, with what is on its way there.
func runningRows(s store.Whereabouts) (rows []checklist.Running) {
	for _, t := range s.Running {
		row := checklist.Running{App: t.Target.App, Env: t.Target.Env, ClusterStatus: clusterStatuses([]store.Target{t.Target})[0], Pull: int(t.PullNumber)}
		row.MergedAt = moment(t.MergedAt)
		for _, c := range s.Coming {
			if c.App == row.App && c.Env == row.Env {
				row.Coming = append(row.Coming, checklist.Coming{Tag: c.Tag, Pull: int(c.PullNumber), State: c.State})
			}
		}
		rows = append(rows, row)
	}
	return rows
}
