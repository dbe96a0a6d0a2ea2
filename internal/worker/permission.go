package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

// speaker is the author of a comment, as GitHub tells while the comment is worked on.
// What it told is kept for no other comment.
type speaker struct {
	w        *Worker
	command  store.Command
	door     *github.Repo // of the comment
	outsider bool
	roles    map[string]command.Role // by repository
	teams    map[string]bool         // whether they are in it, by organisation and slug
}

// speaker asks who somebody is in the repository of their comment.
func (w *Worker) speaker(ctx context.Context, c store.Command, door *github.Repo) (*speaker, error) {
	s := &speaker{w: w, command: c, door: door, roles: map[string]command.Role{}, teams: map[string]bool{}}
	role, err := s.role(ctx, door)
	if err != nil {
		return s, err
	}
	// Whoever has a role that somebody gave them is none, whoever else can read.
	public := false
	if role == command.Read {
		if public, err = door.Public(ctx); err != nil {
			return s, err
		}
	}
	s.outsider = command.Outsider(role, public)
	return s, nil
}

// role is what the speaker may do in a repository. A login that belongs to another
// account now gives no rights to whoever had it.
func (s *speaker) role(ctx context.Context, door *github.Repo) (command.Role, error) {
	if role, known := s.roles[door.String()]; known {
		return role, nil
	}
	name, err := door.PermissionOf(ctx, github.User{ID: s.command.AuthorID, Login: s.command.Author})
	if err != nil && !errors.Is(err, github.ErrAnotherAccount) {
		return command.NoRole, err
	}
	role := command.RoleOf(name)
	s.roles[door.String()] = role
	return role, nil
}

// roleOn is what the speaker may do in an env repo.
func (s *speaker) roleOn(ctx context.Context, repo store.Repo) (command.Role, error) {
	return s.role(ctx, s.w.repo(repo))
}

// mayUse refuses, with words, a verb for which the speaker may do too little on the env
// repo: who may write to an application may not, for that, write to production.
func (s *speaker) mayUse(ctx context.Context, repo store.Repo, v command.Verb) error {
	if err := s.w.mayBeTold(ctx, s.door, repo); err != nil {
		return err
	}
	role, err := s.roleOn(ctx, repo)
	if err != nil {
		return err
	}
	if text := v.Refuse(command.Person{Login: s.command.Author, Role: role}, nameOf(repo)); text != "" {
		return fault.Errorf(fault.Denied, "%s", text)
	}
	return nil
}

// mayBeTold keeps what an env repo knows, and its name, from being told where more
// people read it.
func (w *Worker) mayBeTold(ctx context.Context, door *github.Repo, repo store.Repo) error {
	if door.String() == nameOf(repo) {
		return nil
	}
	public, err := door.Public(ctx)
	if err != nil || !public {
		return err
	}
	if public, err = w.repo(repo).Public(ctx); err != nil || public {
		return err
	}
	return fault.Errorf(fault.Denied, "Everybody can read this, and not everybody can read the env repo. Comment there.")
}

// mayUseIn refuses, with words, a verb that tagboat.yaml keeps to others in an
// environment. A freeze of several needs the permission of each.
func (s *speaker) mayUseIn(ctx context.Context, repo store.Repo, v command.Verb, env string) error {
	if v.Kind == command.Tells || v.Fixed {
		return nil
	}
	b, err := s.w.bases.fresh(ctx, repo, "")
	switch {
	case err != nil && fault.KindOf(err).Retryable():
		return err
	case err != nil && v.Kind == command.Stops:
		return nil // what cannot be read may be stopped by whoever can write
	case err != nil:
		return fault.Errorf(fault.Denied, "Who may use /%s is not known while tagboat.yaml cannot be used: %s", v.Verb, explain(err))
	}
	rules := rulesOf(b.config, v, env)
	p, err := s.person(ctx, repo, rules)
	if err != nil {
		return err
	}
	if text := v.Refuse(p, nameOf(repo), rules...); text != "" {
		return fault.Errorf(fault.Denied, "%s", text)
	}
	return nil
}

// rulesOf are what tagboat.yaml says of a verb in an environment, or in all where the
// word stands for all.
func rulesOf(config *envrepo.Config, v command.Verb, env string) (rules []command.Rule) {
	_, known := config.Environment(env)
	all := !known && (env == command.All || env == command.Organisation)
	for _, e := range config.Environments {
		if p, kept := e.Keeps(v.Verb); kept && (all || e.Name == env) {
			rules = append(rules, command.Rule{Env: e.Name, Role: command.RoleOf(p.Role), Teams: p.Teams, Users: p.Users})
		}
	}
	return rules
}

// person is the speaker as rules ask about them: GitHub is asked about each team that
// they name.
func (s *speaker) person(ctx context.Context, repo store.Repo, rules []command.Rule) (p command.Person, err error) {
	p.Login = s.command.Author
	if p.Role, err = s.roleOn(ctx, repo); err != nil {
		return p, err
	}
	for _, r := range rules {
		for _, team := range r.Teams {
			member, err := s.memberOf(ctx, repo, team)
			if err != nil {
				return p, err
			}
			if member {
				p.Teams = append(p.Teams, team)
			}
		}
	}
	return p, nil
}

func (s *speaker) memberOf(ctx context.Context, repo store.Repo, team string) (bool, error) {
	key := repo.Owner + "/" + team
	if member, known := s.teams[key]; known {
		return member, nil
	}
	member, err := s.w.repo(repo).TeamMember(ctx, repo.Owner, team, s.command.Author)
	if err == nil {
		s.teams[key] = member
	}
	return member, err
}

// help answers /help with what the speaker may use here.
func (w *Worker) help(ctx context.Context, s *speaker) (string, error) {
	repo, config, err := w.helpedBy(ctx, s)
	if err != nil {
		return "", err
	}
	var may []command.Allowed
	for _, v := range command.Verbs {
		a, ok, err := s.allowed(ctx, repo, config, v)
		if err != nil {
			return "", err
		}
		if ok {
			may = append(may, a)
		}
	}
	return command.HelpText(may), nil
}

// helpedBy is the env repo by which help is given, and its tagboat.yaml where that can
// be used. On an application's repository nobody knows yet which one a command will be
// about: then there is none.
func (w *Worker) helpedBy(ctx context.Context, s *speaker) (*store.Repo, *envrepo.Config, error) {
	repo, err := w.envRepo(ctx, placeOf(s.command))
	if errors.Is(err, errNotOurs) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	b, err := w.bases.recent(ctx, repo, "")
	if err != nil && fault.KindOf(err).Retryable() {
		return nil, nil, err
	}
	if err != nil {
		return &repo, nil, nil
	}
	return &repo, b.config, nil
}

// allowed says whether the speaker may use a verb, and where.
func (s *speaker) allowed(ctx context.Context, repo *store.Repo, config *envrepo.Config, v command.Verb) (a command.Allowed, ok bool, err error) {
	a.Verb = v
	if repo == nil {
		role, err := s.role(ctx, s.door)
		return a, role >= v.Least, err
	}
	role, err := s.roleOn(ctx, *repo)
	if err != nil || role < v.Least || config == nil || v.Kind == command.Tells || v.Fixed {
		return a, role >= v.Least, err
	}
	for _, e := range config.Environments {
		rules := rulesOf(config, v, e.Name)
		p, err := s.person(ctx, *repo, rules)
		if err != nil && fault.KindOf(err).Retryable() {
			return a, false, err
		}
		if err == nil && v.Refuse(p, nameOf(*repo), rules...) == "" {
			a.Envs = append(a.Envs, e.Name)
		}
	}
	ok = len(a.Envs) > 0
	if len(a.Envs) == len(config.Environments) {
		a.Envs = nil
	}
	return a, ok, nil
}

func nameOf(r store.Repo) string { return fmt.Sprintf("%s/%s", r.Owner, r.Name) }
