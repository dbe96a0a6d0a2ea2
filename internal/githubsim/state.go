package githubsim

import (
	"crypto/rsa"
	"slices"
	"strings"
	"time"
)

// account is whoever can own a repository or do something: a user, an
// organization, or the bot user of an App.
type account struct {
	id      int64
	login   string
	name    string
	kind    string // User, Organization or Bot, as the API's "type"
	token   string // personal access token of a user
	created time.Time
	teams   []*team  // of an organization
	members []string // of an organization
}

func (a *account) isMember(login string) bool { return slices.Contains(a.members, login) }

func (a *account) team(slug string) *team {
	for _, t := range a.teams {
		if t.slug == slug {
			return t
		}
	}
	return nil
}

type team struct {
	id      int64
	org     *account
	slug    string
	members []string
	created time.Time
}

// App is a registered GitHub App. PrivateKey is what GitHub hands out once as
// a PEM file.
type App struct {
	ID         int64
	Slug       string
	PrivateKey []byte

	spec    AppSpec
	key     *rsa.PublicKey
	owner   *account
	bot     *account
	hookID  int64
	created time.Time
	hooks   *hookQueue
}

type installation struct {
	id        int64
	app       *App
	owner     *account
	repos     []*repo
	created   time.Time
	suspended bool
	since     time.Time // of the suspension
}

func (i *installation) covers(r *repo) bool { return slices.Contains(i.repos, r) }

// token is an installation access token, possibly narrowed.
type token struct {
	value        string
	installation *installation
	permissions  map[string]string
	repos        []*repo // nil: all of the installation
	expires      time.Time
}

func (t *token) covers(r *repo) bool {
	if !t.installation.covers(r) {
		return false
	}
	return t.repos == nil || slices.Contains(t.repos, r)
}

type repo struct {
	id            int64
	owner         *account
	name          string
	private       bool
	defaultBranch string
	collaborators map[string]string // login -> role name
	protections   map[string]Protection
	queues        map[string][]*entry // by branch
	git           *gitstore
	verified      map[string]bool // commits that GitHub signed
	issues        []*issue        // pull requests too; the number is the index + 1
	labels        []*label
	suites        []*checkSuite
	runs          []*checkRun
	statuses      []*commitStatus
	deployments   []*deployment
	archived      bool
	created       time.Time
	pushed        time.Time
}

func (r *repo) fullName() string { return r.owner.login + "/" + r.name }

func (r *repo) issue(number int) *issue {
	if number < 1 || number > len(r.issues) {
		return nil
	}
	return r.issues[number-1]
}

func (r *repo) pull(number int) *issue {
	i := r.issue(number)
	if i == nil || i.pull == nil {
		return nil
	}
	return i
}

// openPulls are the open pull requests that keep wants.
func (r *repo) openPulls(keep func(*issue) bool) []*issue {
	var found []*issue
	for _, i := range r.issues {
		if i.pull != nil && i.state == "open" && keep(i) {
			found = append(found, i)
		}
	}
	return found
}

func (r *repo) label(name string) *label {
	for _, l := range r.labels {
		if strings.EqualFold(l.name, name) {
			return l
		}
	}
	return nil
}

type label struct {
	id                       int64
	name, color, description string
}

// issue is an issue, or the issue half of a pull request.
type issue struct {
	id        int64
	number    int
	title     string
	body      string
	state     string // open, closed
	author    *account
	via       *App
	labels    []*label
	comments  []*comment
	reactions []*reaction
	created   time.Time
	updated   time.Time
	closed    time.Time
	closedBy  *account
	edits     []edit // of the body, oldest first; with the first one comes what it was made of
	pull      *pull

	reopenedBy *account // of a pull request, the last time
}

type comment struct {
	id        int64
	issue     *issue
	author    *account
	via       *App
	body      string
	created   time.Time
	updated   time.Time
	reactions []*reaction
}

type reaction struct {
	id      int64
	user    *account
	content string
	created time.Time
}

// pull is the part of a pull request that an issue has not.
type pull struct {
	id         int64
	headRef    string // branch name; the head repository is the base repository
	headSHA    string
	baseRef    string
	baseSHA    string // the base branch when the head was last pushed
	draft      bool
	merged     bool
	mergedBy   *account
	mergedAt   time.Time
	mergeSHA   string
	reviews    []*review
	requested  []*account
	teams      []*team // requested teams
	unknownFor int     // reads of the pull request that still answer mergeable null
	forced     []forcePush
}

type review struct {
	id        int64
	author    *account
	body      string
	state     string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	commit    string
	submitted time.Time
	dismissal string // why it was dismissed; told in the timeline, not with the review
}

type checkSuite struct {
	id      int64
	app     *App
	sha     string
	branch  string
	before  string
	created time.Time
	updated time.Time
}

type checkRun struct {
	id         int64
	name       string
	sha        string
	suite      *checkSuite
	app        *App
	status     string
	conclusion string
	externalID string
	details    string
	output     checkOutput
	actions    []checkAction
	started    time.Time
	completed  time.Time
}

type commitStatus struct {
	id          int64
	sha         string
	state       string
	context     string
	description string
	target      string
	creator     *account
	created     time.Time
}

type deployment struct {
	id          int64
	sha         string
	ref         string
	task        string
	environment string
	description string
	payload     any
	creator     *account
	via         *App
	transient   bool
	production  bool
	statuses    []*deploymentStatus
	created     time.Time
	updated     time.Time
}

type deploymentStatus struct {
	id          int64
	state       string
	description string
	environment string
	envURL      string
	logURL      string
	target      string
	creator     *account
	via         *App
	created     time.Time
}
