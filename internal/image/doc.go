// Package image is an image reference pinned by digest, and the rules for which
// tags may stand for one.
package image
