package envrepo

import (
	"fmt"
	"slices"
	"strings"
)

// waves checks that every cluster of an environment is in exactly one wave.
func (r *reader) waves(e *Environment, at string) {
	at += ".waves"
	if e.Waves == nil {
		return
	}
	if len(e.Waves) == 0 {
		r.at(at, "waves of environment %s lists no wave; write waves: [[CLUSTER], [CLUSTER]], or remove it", e.Name)
		return
	}
	in := map[string]int{}
	for i, w := range e.Waves {
		at := fmt.Sprintf("%s[%d]", at, i)
		if len(w.Clusters) == 0 {
			r.at(at, "wave %d of environment %s has no clusters; write [CLUSTER], or remove it", i+1, e.Name)
		}
		for j, name := range w.Clusters {
			at := r.inWave(at, j)
			switch {
			case in[name] > 0:
				r.at(at, "cluster %s is in wave %d already; remove it from wave %d", name, in[name], i+1)
			case !slices.Contains(e.Clusters, name):
				r.at(at, "cluster %q of wave %d is no cluster of environment %s, which has %s%s", name, i+1, e.Name, strings.Join(e.Clusters, ", "), meant(name, e.Clusters))
			default:
				in[name] = i + 1
			}
		}
		if w.Healthy > 0 && i == len(e.Waves)-1 {
			r.at(at+".healthy", "no wave comes after wave %d of environment %s that could wait for it; write healthy where another environment needs %s", i+1, e.Name, e.Name)
		}
	}
	for _, name := range e.Clusters {
		if in[name] == 0 {
			r.at(at, "cluster %s of environment %s is in no wave; add it to one, or write it as a wave of its own", name, e.Name)
		}
	}
}

// inWave is where a cluster of a wave stands, in whichever way the wave is written.
func (r *reader) inWave(wave string, i int) string {
	short := fmt.Sprintf("%s[%d]", wave, i)
	if _, ok := r.lines[short]; ok {
		return short
	}
	return fmt.Sprintf("%s.clusters[%d]", wave, i)
}
