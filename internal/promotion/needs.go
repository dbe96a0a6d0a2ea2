package promotion

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/image"
)

// Proven is the version that all needed environments have proven: the one that is
// healthy in every one of them. Where there is none, why says so.
//
// It says nothing of soaks: those are for the gate, which waits for them.
func Proven(needed []Upstream) (version image.Ref, why string) {
	var ill, differ []string
	for _, up := range needed {
		if !up.Healthy || up.Digest == "" {
			ill = append(ill, fmt.Sprintf("%s is not healthy (%s)", up.Env, strings.TrimSuffix(cmp.Or(up.Reason, "nothing is known to run there"), ".")))
			continue
		}
		differ = append(differ, fmt.Sprintf("%s has %s (%s)", up.Env, up.Tag, image.ShortDigest(up.Digest)))
		if version.Digest == "" {
			version = image.Ref{Tag: up.Tag, Digest: up.Digest}
		}
	}
	switch {
	case len(ill) > 0:
		return image.Ref{}, strings.Join(ill, "; ") + "."
	case version.Digest == "":
		return image.Ref{}, "no environment is needed."
	}
	for _, up := range needed {
		if up.Digest != version.Digest {
			return image.Ref{}, strings.Join(differ, ", ") + "."
		}
	}
	return version, ""
}
