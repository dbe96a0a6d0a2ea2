package envrepo

import (
	"strings"

	"github.com/Masterminds/semver/v3"
)

// NewestFollowed is the newest of the tags that an environment takes by itself; "" for
// none.
func (c *Config) NewestFollowed(env Environment, tags []string) string {
	return newest(tags, func(tag string) bool { return c.Follows(env, tag) })
}

// NewestVersion is the newest of the tags that are full semantic versions and no
// prereleases; "" for none.
func NewestVersion(tags []string) string {
	return newest(tags, func(tag string) bool {
		v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
		return err == nil && v.Prerelease() == ""
	})
}

func newest(tags []string, takes func(tag string) bool) (found string) {
	var best *semver.Version
	for _, tag := range tags {
		v, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
		if err == nil && (best == nil || v.GreaterThan(best)) && takes(tag) {
			best, found = v, tag
		}
	}
	return found
}
