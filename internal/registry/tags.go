package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// tagPages bounds a listing: a registry gives about 1,000 tags a page.
const tagPages = 100

// Tags lists the tags of an image that may be versions, in the registry's order, and
// tells in how many requests. What is beyond 100 pages is left out. Errors are those of
// Resolve.
func (c *Client) Tags(ctx context.Context, imageName string) (tags []string, pages int, err error) {
	defer fault.Wrap(&err, "list the tags of %s", imageName)
	q, err := c.ask(ctx, imageName)
	if err != nil {
		return nil, 0, err
	}
	lister, err := q.puller.Lister(ctx, q.repo)
	for err == nil && lister.HasNext() && pages < tagPages {
		var page *remote.Tags
		page, err = c.nextTags(ctx, lister)
		if err != nil {
			break
		}
		pages++
		for _, tag := range page.Tags {
			if image.ValidTag(tag) && !image.AttachedTag(tag) && !image.MutableTag(tag) {
				tags = append(tags, tag)
			}
		}
	}
	if err != nil {
		return nil, pages, q.classify(ctx, image.Ref{Name: imageName}, err)
	}
	return tags, pages, nil
}

// nextTags is one page, within the time of one question.
func (c *Client) nextTags(ctx context.Context, lister *remote.Lister) (*remote.Tags, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	return lister.Next(ctx)
}

// Digest asks what a tag means now, in one small request. Errors are those of Resolve.
func (c *Client) Digest(ctx context.Context, imageName, tag string) (_ string, err error) {
	defer fault.Wrap(&err, "look at %s:%s", imageName, tag)
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	q, err := c.ask(ctx, imageName)
	if err != nil {
		return "", err
	}
	found, err := q.puller.Head(ctx, q.repo.Tag(tag))
	if err != nil {
		return "", q.classify(ctx, image.Ref{Name: imageName, Tag: tag}, err)
	}
	return found.Digest.String(), nil
}
