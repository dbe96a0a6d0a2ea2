package cluster_test

import "github.com/tagboat/tagboat/internal/cluster"

// proxy is a relay for those who care what is done to which kind, not with which request,
// and who spoil answers by that.
type proxy struct {
	*relay
	s    *site
	door *cluster.Cluster

	// spoil decides what becomes of the n-th request (from 0) that is not discovery:
	// "" to pass it on. Other requests may come while it does.
	spoil func(n int, what string) spoiling
}

type spoiling string

const (
	passed  spoiling = ""
	busy    spoiling = "429"            // not done
	unwell  spoiling = "500"            // not done
	dropped spoiling = "dropped"        // not done, no answer
	lost    spoiling = "answer is lost" // done, no answer
)

var spoils = map[spoiling]deed{busy: tooMany, unwell: ailing, dropped: refuse, lost: loseAnswer}

func (s *site) proxied() *proxy {
	s.t.Helper()
	p := &proxy{relay: s.relay(), s: s}
	p.door = p.Cluster
	p.meddle = func(n int, r request) deed {
		if p.spoil == nil {
			return nil
		}
		return spoils[p.spoil(n-1, r.what)]
	}
	return p
}

// count forgets the requests until now and returns how many there were of each.
func (p *proxy) count() map[string]int {
	counts := map[string]int{}
	for _, r := range p.taken() {
		counts[r.what]++
	}
	return counts
}
