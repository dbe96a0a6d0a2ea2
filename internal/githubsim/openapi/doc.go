// Package openapi judges GitHub traffic by GitHub's own OpenAPI description, for
// tests: requests of ours, answers and webhooks of the simulator.
//
// The description comes from npm (@octokit/openapi, 13 MB of JSON for 811
// paths), which also holds the schemas of all webhooks. It is never committed:
// the first use trims it to the operations and webhooks that the product knows
// and keeps the result in the cache directory.
//
// # What it does not see
//
// The schemas allow properties that they do not name, so that a misspelt
// optional one passes. kin-openapi decodes bodies as JSON only where the
// description gives them a schema.
package openapi
