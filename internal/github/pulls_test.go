package github

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
)

func TestMergeRefusalsAreToldApart(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		kind   fault.Kind
		is     error
		hint   string
	}{
		{405, `{"message":"Base branch was modified. Review and try the merge again."}`, fault.Conflict, ErrBaseModified, ""},
		{405, `{"message":"Required status check \"lint\" is expected."}`, fault.Denied, nil, `"lint" is expected`},
		{409, `{"message":"Head branch was modified. Review and try the merge again."}`, fault.Conflict, ErrHeadMoved, ""},
		{200, `{"merged":false,"message":"not today"}`, fault.Denied, nil, "not today"},
		{200, `{"merged":tr`, fault.Transient, nil, "reads the state again"},
		{504, ``, fault.Transient, nil, "tries again"},
	} {
		app, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			io.WriteString(w, test.body)
		})
		_, err := app.Repo(1, "acme", "env").Merge(t.Context(), 7, MergeRequest{HeadSHA: "h", Method: "squash"})
		if !fault.Is(err, test.kind) || (test.is != nil && !errors.Is(err, test.is)) || !strings.Contains(fault.HintOf(err), test.hint) {
			t.Errorf("%d %s: %v is %v, hint %q", test.status, test.body, err, fault.KindOf(err), fault.HintOf(err))
		}
	}
}

// Whether a review may be dismissed is for GitHub to say: a retry helps only where it
// did not answer.
func TestDismissalsAreToldApart(t *testing.T) {
	for status, kind := range map[int]fault.Kind{403: fault.Denied, 404: fault.NotFound, 422: fault.Invalid, 502: fault.Transient} {
		app, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/repos/acme/env/pulls/7/reviews/9/dismissals") || strings.TrimSpace(string(body)) != `{"message":"Look again."}` {
				t.Errorf("%s %s %s", r.Method, r.URL.Path, body)
			}
			w.WriteHeader(status)
			io.WriteString(w, `{"message":"no"}`)
		})
		if err := app.Repo(1, "acme", "env").DismissReview(t.Context(), 7, 9, "Look again."); !fault.Is(err, kind) {
			t.Errorf("%d: %v is %v", status, err, fault.KindOf(err))
		}
	}
}

// Whoever takes over a login does not take over what its owner may do.
func TestAPermissionIsAnAccounts(t *testing.T) {
	app, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"permission":"write","role_name":"maintain","user":{"login":"bob","id":12}}`)
	})
	repo := app.Repo(1, "acme", "env")
	if role, err := repo.PermissionOf(t.Context(), User{ID: 12, Login: "bob"}); role != "maintain" || err != nil {
		t.Errorf("bob may %q, %v", role, err)
	}
	if role, err := repo.PermissionOf(t.Context(), User{ID: 11, Login: "bob"}); role != "" || !errors.Is(err, ErrAnotherAccount) || fault.KindOf(err).Retryable() {
		t.Errorf("who was bob may %q, %v", role, err)
	}
}

func TestMergeNeverGoesWithoutTheEvaluatedHead(t *testing.T) {
	app, _ := answering(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("asked %s %s", r.Method, r.URL) })
	if _, err := app.Repo(1, "acme", "env").Merge(t.Context(), 7, MergeRequest{Method: "squash"}); err == nil {
		t.Error("merged whatever is there")
	}
}

func TestPullThatHasNothingToShow(t *testing.T) {
	app, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"No commits between main and b"}]}`)
	})
	_, err := app.Repo(1, "acme", "env").OpenPull(t.Context(), NewPull{Branch: "b", Base: "main"})
	if !errors.Is(err, ErrNoCommits) || !fault.Is(err, fault.Conflict) {
		t.Errorf("%v is %v", err, fault.KindOf(err))
	}
}

func TestListsAreReadToTheirEnd(t *testing.T) {
	app, server := answering(t, nil)
	var asked []string
	server.Config.Handler = pagesOf(t, server.Config.Handler, &asked)
	reviews, err := app.Repo(1, "acme", "env").Reviews(t.Context(), 7)
	if err != nil || len(reviews) != 3 || reviews[2].ID != 3 || len(asked) != 3 {
		t.Errorf("%+v, %v after %q", reviews, err, asked)
	}
}

// pagesOf answers with three pages of one entry each and leaves tokens to next.
func pagesOf(t *testing.T, next http.Handler, asked *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		*asked = append(*asked, r.URL.RawQuery)
		page := 1
		if p := r.URL.Query().Get("page"); p != "" {
			if _, err := fmt.Sscan(p, &page); err != nil {
				t.Error(err)
			}
		}
		if page < 3 {
			w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, r.Host, r.URL.Path, page+1))
		}
		fmt.Fprintf(w, `[{"id":%d,"state":"approved"}]`, page)
	})
}
