package github

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// payload is the part of every webhook that Tagboat reads, in GitHub's names
// (docs.github.com, "Webhook events and payloads"). Whatever is missing or null
// is zero.
type payload struct {
	Action       string `json:"action"`
	Reason       string // why a pull request left a merge queue
	Sender       account
	Repository   repository
	Installation struct {
		ID      int64
		Account account
	}

	Issue struct {
		Number      int
		PullRequest *struct{} `json:"pull_request"`
	}
	Comment struct {
		ID        int64
		Body      string
		User      account
		CreatedAt when `json:"created_at"`
	}
	Review struct {
		ID          int64
		User        account
		State       string
		CommitID    string `json:"commit_id"`
		SubmittedAt when   `json:"submitted_at"`
	}
	PullRequest pullRequest `json:"pull_request"`
	Changes     struct {
		Body *struct{ From string }
		Base struct{ Ref struct{ From string } }
	}

	CheckRun   checkRun `json:"check_run"`
	CheckSuite struct {
		HeadSHA   string `json:"head_sha"`
		App       struct{ ID int64 }
		UpdatedAt when `json:"updated_at"`
	} `json:"check_suite"`

	MergeGroup struct {
		HeadSHA string `json:"head_sha"`
		HeadRef string `json:"head_ref"`
		BaseSHA string `json:"base_sha"`
		BaseRef string `json:"base_ref"`
	} `json:"merge_group"`

	// status
	SHA       string
	Context   string
	State     string
	TargetURL string `json:"target_url"`
	UpdatedAt when   `json:"updated_at"`

	// push, and before of a synchronized pull request
	Ref, Before, After string
	Forced, Deleted    bool
	Commits            []struct{ Added, Modified []string }

	Repositories        []repository
	RepositoriesAdded   []repository `json:"repositories_added"`
	RepositoriesRemoved []repository `json:"repositories_removed"`
}

type account struct {
	ID    int64
	Login string
	Type  string
}

func (a account) user() User { return User{ID: a.ID, Login: a.Login, Bot: a.Type == "Bot"} }

type repository struct {
	ID            int64
	Name          string
	FullName      string `json:"full_name"`
	DefaultBranch string `json:"default_branch"`
}

// ref splits full_name, the one name that every form of a repository has.
func (r repository) ref(installation int64) RepoRef {
	owner, name, _ := strings.Cut(r.FullName, "/")
	return RepoRef{Owner: owner, Name: cmp.Or(name, r.Name), ID: r.ID, InstallationID: installation}
}

type branchEnd struct {
	Ref  string
	SHA  string
	Repo repository
}

type pullRequest struct {
	Number         int
	State          string
	Title, Body    string
	Draft, Merged  bool
	MergeCommitSHA string `json:"merge_commit_sha"`
	Head, Base     branchEnd
	User           account
	Mergeable      *bool
	MergeableState string `json:"mergeable_state"`
	HTMLURL        string `json:"html_url"`
	Labels         []struct{ Name string }
	UpdatedAt      when `json:"updated_at"`
}

func (p pullRequest) pull() Pull {
	out := Pull{
		Number: p.Number, State: p.State, Merged: p.Merged, HeadSHA: p.Head.SHA, HeadRef: p.Head.Ref, HeadRepo: p.Head.Repo.FullName,
		BaseRef: p.Base.Ref, BaseSHA: p.Base.SHA, Title: p.Title, Body: p.Body, Author: p.User.user(), Draft: p.Draft,
		Mergeable: p.Mergeable, MergeableState: p.MergeableState, URL: p.HTMLURL,
	}
	if p.Merged {
		out.MergeSHA = p.MergeCommitSHA
	}
	for _, l := range p.Labels {
		out.Labels = append(out.Labels, l.Name)
	}
	return out
}

type checkRun struct {
	ID          int64
	Name        string
	HeadSHA     string `json:"head_sha"`
	Status      string
	Conclusion  string
	DetailsURL  string `json:"details_url"`
	HTMLURL     string `json:"html_url"`
	StartedAt   when   `json:"started_at"`
	CompletedAt when   `json:"completed_at"`
	App         struct{ ID int64 }
}

func (c checkRun) url() string { return cmp.Or(c.DetailsURL, c.HTMLURL) }

// when is a time as webhooks write it: mostly RFC 3339, in push events seconds
// since 1970. One that cannot be read is zero: a webhook is not refused over it.
type when struct{ time.Time }

func (w *when) UnmarshalJSON(raw []byte) error {
	var seconds int64
	if json.Unmarshal(raw, &seconds) == nil && !bytes.Equal(raw, []byte("null")) {
		w.Time = time.Unix(seconds, 0).UTC()
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		w.Time, _ = time.Parse(time.RFC3339, text)
	}
	return nil
}

func (p *payload) repo() RepoRef { return p.Repository.ref(p.Installation.ID) }

func (p *payload) refs(from []repository) []RepoRef {
	var out []RepoRef
	for _, r := range from {
		out = append(out, r.ref(p.Installation.ID))
	}
	return out
}

// field is whether something that an event needs is there.
type field struct {
	name    string
	present bool
}

// needs demands a repository and all of fields.
func (p *payload) needs(fields ...field) error {
	repo := p.repo()
	fields = append([]field{{"repository", repo.ID != 0 && repo.Owner != "" && repo.Name != ""}}, fields...)
	for _, f := range fields {
		if !f.present {
			return missing(f.name)
		}
	}
	return nil
}

func missing(name string) error {
	return fault.Errorf(fault.Invalid, "the webhook's body has no %s", name)
}
