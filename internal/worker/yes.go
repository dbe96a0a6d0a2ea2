package worker

import (
	"context"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// yesTo is the yes that a comment says to the list which a code names. Without an app, that
// of the pull request is meant.
func (r request) yesTo(verb, env, app, code string) (store.Yes, error) {
	if app == "" {
		app = r.app
	}
	if app == "" {
		return store.Yes{}, fault.Errorf(fault.Invalid, "Which app? Write /%s %s <app> %s.", verb, env, code)
	}
	return store.Yes{
		Repo: r.repo.ID, App: app, Env: env, Code: code, By: store.Actor{ID: r.command.AuthorID, Login: r.command.Author},
		URL: fmt.Sprintf("%s/%s#%d", r.command.Owner, r.command.Repo, r.command.Number), Command: r.command.ID,
	}, nil
}

// clustersOf are the names of the targets' clusters, for a sentence.
func clustersOf(targets []store.Target) string {
	var names []string
	for _, t := range targets {
		names = append(names, t.Cluster)
	}
	return strings.Join(names, ", ")
}

// stillWaiting are the lists that wait for a yes where another one was said; words are
// those of a target, "" where it has none.
func (w *Worker) stillWaiting(ctx context.Context, y store.Yes, words func(t store.Target) string) (lists []string, err error) {
	targets, err := w.Store.TargetsOfPair(ctx, y.Repo, y.App, y.Env)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if told := words(t); told != "" {
			lists = append(lists, fmt.Sprintf("in %s, %s", t.Cluster, told))
		}
	}
	return lists, nil
}

// withSpeakers adds to a question who may answer it with a verb.
func (s *syncing) withSpeakers(question, name string) string {
	verb, _ := command.VerbOf(name)
	return fmt.Sprintf("%s Who may say it: %s.", question, verb.Speakers(nameOf(s.repo), rulesOf(s.base.config, verb, s.was.Env)...))
}
