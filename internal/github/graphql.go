package github

import (
	"context"
	"net/http"

	"github.com/tagboat/tagboat/internal/fault"
)

// query asks GraphQL for data.
func (c client) query(ctx context.Context, data any, text string, variables map[string]any) error {
	req, err := c.NewRequest(http.MethodPost, graphqlPath(c.BaseURL.Path), map[string]any{"query": text, "variables": variables})
	if err != nil {
		return err
	}
	var answer struct {
		Data   any            `json:"data"`
		Errors []graphqlError `json:"errors"`
	}
	answer.Data = data
	if _, err := c.Do(context.WithValue(ctx, readsKey{}, true), req, &answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return answer.Errors[0].fault()
	}
	return nil
}

type graphqlError struct{ Type, Message string }

// fault is what an error of GraphQL's means.
func (e graphqlError) fault() error {
	kinds := map[string]fault.Kind{"NOT_FOUND": fault.NotFound, "FORBIDDEN": fault.Denied, "RATE_LIMITED": fault.Transient}
	kind, known := kinds[e.Type]
	if !known {
		kind = fault.Invalid
	}
	return fault.Errorf(kind, "GitHub's GraphQL said: %s", e.Message)
}

type readsKey struct{}

// onlyReads: a query of GraphQL is a POST that changes nothing.
func onlyReads(ctx context.Context) bool {
	reads, _ := ctx.Value(readsKey{}).(bool)
	return reads
}

// commitID is a commit that GitHub may not have any more, or not yet.
type commitID struct{ OID string }

func (c *commitID) oid() string {
	if c == nil {
		return ""
	}
	return c.OID
}
