package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

// A listing has what may be versions; a look at one of them costs no more than its
// digest.
func TestTags(t *testing.T) {
	reg, c := start(t)
	var newest string
	for _, tag := range []string{"1.6.0", "latest", "1.7.0", "sha256-" + strings.Repeat("a", 64) + ".sig"} {
		newest = push(t, reg, "acme/payments", tag, registrytest.Content{Seed: tag})
	}
	tags, pages, err := c.Tags(t.Context(), payments)
	if slices.Sort(tags); err != nil || pages != 1 || !slices.Equal(tags, []string{"1.6.0", "1.7.0"}) {
		t.Errorf("%v in %d pages, %v", tags, pages, err)
	}
	was, err := c.Digest(t.Context(), payments, "1.7.0")
	if err != nil || was == newest {
		t.Errorf("1.7.0 is %s, %v", was, err)
	}
	moved := push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "something else"})
	if is, err := c.Digest(t.Context(), payments, "1.7.0"); err != nil || is != moved {
		t.Errorf("1.7.0 was moved to %s, and is told as %s, %v", moved, is, err)
	}
	if _, err := c.Digest(t.Context(), payments, "9.9.9"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a tag that is not there: %v", err)
	}
	if _, _, err := c.Tags(t.Context(), "registry.example.com/acme/nothing"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a repository that is not there: %v", err)
	}
}

// Tens of thousands of tags come in pages, and a listing ends somewhere.
func TestManyTags(t *testing.T) {
	const perPage = 1000
	pages := 30
	var limited bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if limited {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return
		}
		page := 0
		_, _ = fmt.Sscanf(r.URL.Query().Get("last"), "%d", &page) // the first has none
		if page+1 < pages {
			w.Header().Set("Link", fmt.Sprintf(`</v2/acme/payments/tags/list?n=%d&last=%d>; rel="next"`, perPage, page+1))
		}
		tags := make([]string, perPage)
		for i := range tags {
			tags[i] = fmt.Sprintf(`"1.%d.%d"`, page, i)
		}
		fmt.Fprintf(w, `{"name": "acme/payments", "tags": [%s]}`, strings.Join(tags, ","))
	}))
	defer server.Close()
	c := client(strings.TrimPrefix(server.URL, "http://"))
	for _, want := range []int{pages, tagPages} {
		tags, asked, err := c.Tags(t.Context(), payments)
		if err != nil || asked != want || len(tags) != want*perPage {
			t.Errorf("%d tags in %d pages, want %d pages; %v", len(tags), asked, want, err)
		}
		pages = 10 * tagPages
	}
	limited = true
	began := time.Now()
	if _, _, err := c.Tags(t.Context(), payments); !fault.Is(err, fault.RateLimited) || fault.UntilOf(err).Sub(began) < 80*time.Second {
		t.Errorf("a registry that wants to be left alone for 90 s: %v until %v", err, fault.UntilOf(err))
	}
}
