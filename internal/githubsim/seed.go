package githubsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// AppSpec is what one fills in when registering a GitHub App.
type AppSpec struct {
	Slug, Name, Owner         string
	WebhookURL, WebhookSecret string
	Permissions               map[string]string // "contents" -> "write"; metadata:read is always granted
	Events                    []string          // subscriptions; installation events come anyway
}

// RepoSpec is a repository to make, with Files as its first commit.
type RepoSpec struct {
	Owner, Name   string
	Private       bool
	Files         map[string]string
	DefaultBranch string            // main if empty
	Collaborators map[string]string // login -> read, triage, write, maintain or admin
}

// AddOrg adds an organization.
func (s *Server) AddOrg(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addAccount(login, login, "Organization")
}

// AddUser adds a person and returns a personal access token for them.
func (s *Server) AddUser(login, name string) (token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.addAccount(login, name, "User")
	if a.token == "" {
		a.token = "ghp_" + randomHex(18)
	}
	return a.token
}

// AddTeam adds a team to an organization, or members to the team. Members of
// a team become members of the organization.
func (s *Server) AddTeam(org, slug string, members ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.addAccount(org, org, "Organization")
	t := o.team(slug)
	if t == nil {
		t = &team{id: s.nextID(), org: o, slug: slug, created: s.now()}
		o.teams = append(o.teams, t)
	}
	for _, m := range members {
		if !slices.Contains(t.members, m) {
			t.members = append(t.members, m)
		}
		if !o.isMember(m) {
			o.members = append(o.members, m)
		}
	}
}

// RemoveTeamMember takes a person out of a team; they stay in the organization.
func (s *Server) RemoveTeamMember(org, slug, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.account(org); o != nil && o.team(slug) != nil {
		t := o.team(slug)
		t.members = slices.DeleteFunc(t.members, func(m string) bool { return m == login })
	}
}

// addAccount returns the account of that login, making it if there is none.
func (s *Server) addAccount(login, name, kind string) *account {
	if a := s.account(login); a != nil {
		return a
	}
	a := &account{id: s.nextID(), login: login, name: name, kind: kind, created: s.now()}
	s.accounts[strings.ToLower(login)] = a
	return a
}

// AddApp registers an App with a fresh private key and, if it has a webhook
// URL, sends it a ping.
func (s *Server) AddApp(spec AppSpec) (*App, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("githubsim: make a private key for %s: %w", spec.Slug, err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	app := &App{Slug: spec.Slug, PrivateKey: pem.EncodeToMemory(block), key: &key.PublicKey, spec: spec}
	err = s.change(func() error {
		app.owner = s.account(spec.Owner)
		if app.owner == nil {
			return fmt.Errorf("githubsim: the App %s belongs to %q, which is no account", spec.Slug, spec.Owner)
		}
		if s.account(spec.Slug+"[bot]") != nil {
			return fmt.Errorf("githubsim: there is already an App %q", spec.Slug)
		}
		app.spec.Permissions = withMetadata(spec.Permissions)
		app.ID, app.hookID, app.created = s.nextID(), s.nextID(), s.now()
		app.bot = s.addAccount(spec.Slug+"[bot]", spec.Name, "Bot")
		app.hooks = s.startHookQueue(app)
		s.apps[app.ID] = app
		s.ping(app)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return app, nil
}

func withMetadata(permissions map[string]string) map[string]string {
	all := map[string]string{"metadata": "read"}
	maps.Copy(all, permissions)
	return all
}

// SetWebhookURL points an App's webhook elsewhere and sends a ping there.
func (s *Server) SetWebhookURL(appID int64, url string) {
	_ = s.change(func() error {
		if app := s.apps[appID]; app != nil {
			app.spec.WebhookURL = url
			s.ping(app)
		}
		return nil
	})
}

// SetPermissions replaces what an App may do, for its present and future
// installations; existing tokens lose what is taken away.
func (s *Server) SetPermissions(appID int64, permissions map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if app := s.apps[appID]; app != nil {
		app.spec.Permissions = withMetadata(permissions)
	}
}

// Install installs an App on an account for the named repositories (without
// owner; all of the owner's if none is named). Installing again adds
// repositories to the installation.
func (s *Server) Install(appID int64, owner string, repos ...string) (installationID int64, err error) {
	err = s.change(func() error {
		app, acc := s.apps[appID], s.account(owner)
		if app == nil || acc == nil {
			return fmt.Errorf("githubsim: install App %d on %q: no such App or account", appID, owner)
		}
		chosen, err := s.ownedRepos(acc, repos)
		if err != nil {
			return err
		}
		if inst := s.installationOf(app, acc); inst != nil {
			installationID = inst.id
			s.extendInstallation(inst, chosen)
			return nil
		}
		inst := &installation{id: s.nextID(), app: app, owner: acc, repos: chosen, created: s.now()}
		installationID = inst.id
		s.installations = append(s.installations, inst)
		s.emitInstallation(inst, "created")
		return nil
	})
	return installationID, err
}

func (s *Server) extendInstallation(inst *installation, chosen []*repo) {
	var added []*repo
	for _, r := range chosen {
		if !inst.covers(r) {
			added = append(added, r)
		}
	}
	if len(added) == 0 {
		return
	}
	inst.repos = append(inst.repos, added...)
	s.emitInstallationRepositories(inst, "added", added)
}

// Suspend stops (or resumes) an installation: its tokens are refused with 403.
func (s *Server) Suspend(installationID int64, suspended bool) {
	_ = s.change(func() error {
		for _, inst := range s.installations {
			if inst.id != installationID || inst.suspended == suspended {
				continue
			}
			inst.suspended, inst.since = suspended, s.now()
			s.emitInstallation(inst, map[bool]string{true: "suspend", false: "unsuspend"}[suspended])
		}
		return nil
	})
}

func (s *Server) installationOf(app *App, owner *account) *installation {
	for _, inst := range s.installations {
		if inst.app == app && inst.owner == owner {
			return inst
		}
	}
	return nil
}

func (s *Server) ownedRepos(owner *account, names []string) ([]*repo, error) {
	var found []*repo
	if len(names) == 0 {
		for _, r := range s.sortedRepos() {
			if r.owner == owner {
				found = append(found, r)
			}
		}
	}
	for _, name := range names {
		r, err := s.knownRepo(owner.login + "/" + strings.TrimPrefix(name, owner.login+"/"))
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, nil
}

func (s *Server) sortedRepos() []*repo {
	all := slices.Collect(maps.Values(s.repos))
	slices.SortFunc(all, func(a, b *repo) int { return int(a.id - b.id) })
	return all
}

// SetRole gives somebody a role in a repository; "" takes it away.
func (s *Server) SetRole(repo, login, role string) error {
	return s.change(func() error {
		r, err := s.knownRepo(repo)
		if err != nil {
			return err
		}
		if role == "" {
			delete(r.collaborators, login)
			return nil
		}
		if roleRank[role] == 0 || s.account(login) == nil {
			return fmt.Errorf("githubsim: %s cannot be a collaborator of %s with role %q", login, r.fullName(), role)
		}
		r.collaborators[login] = role
		return nil
	})
}

// AddRepo makes a repository with one commit that holds spec.Files.
func (s *Server) AddRepo(spec RepoSpec) error {
	return s.change(func() error {
		owner := s.account(spec.Owner)
		if owner == nil {
			return fmt.Errorf("githubsim: the repository %s belongs to %q, which is no account", spec.Name, spec.Owner)
		}
		if s.repo(spec.Owner+"/"+spec.Name) != nil {
			return fmt.Errorf("githubsim: there is already a repository %s/%s", spec.Owner, spec.Name)
		}
		branch := spec.DefaultBranch
		if branch == "" {
			branch = "main"
		}
		id := s.nextID()
		dir := filepath.Join(s.opt.Dir, owner.login, spec.Name+".git")
		for _, other := range s.repos {
			if other.git.dir == dir { // it was called so when it was made
				dir = filepath.Join(s.opt.Dir, owner.login, fmt.Sprintf("%s-%d.git", spec.Name, id))
			}
		}
		store, err := newGitstore(dir, branch)
		if err != nil {
			return err
		}
		r := &repo{
			id: id, owner: owner, name: spec.Name, private: spec.Private, defaultBranch: branch,
			collaborators: maps.Clone(spec.Collaborators), protections: map[string]Protection{}, queues: map[string][]*entry{}, git: store,
			verified: map[string]bool{}, created: s.now(), pushed: s.now(),
		}
		if r.collaborators == nil {
			r.collaborators = map[string]string{}
		}
		for login, role := range r.collaborators {
			if roleRank[role] == 0 || s.account(login) == nil {
				return fmt.Errorf("githubsim: %s cannot be a collaborator of %s with role %q", login, r.fullName(), role)
			}
		}
		for _, name := range []string{"bug", "enhancement"} {
			r.labels = append(r.labels, &label{id: s.nextID(), name: name, color: "ededed"})
		}
		if err := s.firstCommit(r, spec.Files); err != nil {
			return err
		}
		s.repos[strings.ToLower(r.fullName())] = r
		delete(s.moved, strings.ToLower(r.fullName())) // the name leads to whoever has it
		return nil
	})
}

func (s *Server) firstCommit(r *repo, files map[string]string) error {
	if len(files) == 0 {
		files = map[string]string{"README.md": "# " + r.name + "\n"}
	}
	edits := map[string]treeEdit{}
	for path, content := range files {
		edits[path] = treeEdit{content: []byte(content)}
	}
	tree, err := r.git.editTree("", edits)
	if err != nil {
		return err
	}
	who := s.webFlow()
	sha, err := r.git.commit(commitSpec{tree: tree, message: "Initial commit", author: who, committer: who})
	if err != nil {
		return err
	}
	r.verified[sha] = true
	return r.git.updateRef("refs/heads/"+r.defaultBranch, sha, zeroSHA)
}

// Protect sets the protection of one branch of "owner/name".
func (s *Server) Protect(repo, branch string, p Protection) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.knownRepo(repo)
	if err != nil {
		return err
	}
	for _, c := range p.RequiredChecks {
		if c.Context == "" {
			return errors.New("githubsim: a required check needs a context")
		}
	}
	r.protections[branch] = p
	return r.git.guard(branch, p)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b)
}
