package manifest

import (
	"strconv"
	"strings"
)

// mergeKeys are the fields by which Kubernetes knows the elements of its lists:
// the patchMergeKey and listMapKey of k8s.io/api/core/v1/types.go and its
// neighbours. Ports have different keys in a container and in a Service, so the
// first whose fields all elements have is taken. Lists that are not here
// (tolerations, a NetworkPolicy's rules) are compared by position.
var mergeKeys = map[string][][]string{
	"containers":                {{"name"}},
	"initContainers":            {{"name"}},
	"ephemeralContainers":       {{"name"}},
	"volumes":                   {{"name"}},
	"env":                       {{"name"}},
	"imagePullSecrets":          {{"name"}},
	"secrets":                   {{"name"}},
	"resourceClaims":            {{"name"}},
	"webhooks":                  {{"name"}},
	"versions":                  {{"name"}},
	"ports":                     {{"containerPort", "protocol"}, {"port", "protocol"}},
	"volumeMounts":              {{"mountPath"}},
	"volumeDevices":             {{"devicePath"}},
	"hostAliases":               {{"ip"}},
	"topologySpreadConstraints": {{"topologyKey", "whenUnsatisfiable"}},
	"volumeClaimTemplates":      {{"metadata.name"}},
}

// elementKeys are the selectors of a list's elements, like "name=app"; false
// where Kubernetes knows them by none, or two share one.
func elementKeys(field string, n *node) ([]string, bool) {
	for _, fields := range mergeKeys[field] {
		if keys, ok := keysBy(fields, n); ok {
			return keys, true
		}
	}
	return nil, false
}

func keysBy(fields []string, n *node) ([]string, bool) {
	keys := make([]string, 0, len(n.items))
	seen := make(map[string]bool, len(n.items))
	for _, item := range n.items {
		var parts []string
		for _, f := range fields {
			at := item
			for name := range strings.SplitSeq(f, ".") {
				at = at.field(name)
			}
			switch {
			case at != nil && at.scalar() && looksSecret(at.text):
				return nil, false // by position then, which gives nothing away
			case at != nil && at.scalar():
				parts = append(parts, selector(f, at.text))
			case f == "protocol": // TCP where it is left out
				parts = append(parts, selector(f, "TCP"))
			default:
				return nil, false
			}
		}
		k := strings.Join(parts, ",")
		if seen[k] {
			return nil, false
		}
		seen[k] = true
		keys = append(keys, k)
	}
	return keys, true
}

func selector(field, value string) string { return field + "=" + quoteIn(value, "[]=,\"' ") }

// quoteIn quotes s where it contains one of these characters or one that cannot
// be seen.
func quoteIn(s, chars string) string {
	if q := strconv.Quote(s); s == "" || len(q) != len(s)+2 || strings.ContainsAny(s, chars) {
		return q
	}
	return s
}

// gap is a stretch of two sequences in which they have nothing in common:
// a[a:aEnd] was replaced by b[b:bEnd].
type gap struct{ a, aEnd, b, bEnd int }

// maxTable bounds the work of an alignment; where more differs (two thousand
// elements on each side, without what is equal at both ends), all of that counts
// as replaced.
const maxTable = 4 << 20

// gaps finds where two sequences differ, leaving a longest common subsequence.
func gaps[T any](a, b []T, key func(T) string) []gap {
	x, y := numbers(a, b, key)
	start := 0
	for start < len(x) && start < len(y) && x[start] == y[start] {
		start++
	}
	aEnd, bEnd := len(x), len(y)
	for aEnd > start && bEnd > start && x[aEnd-1] == y[bEnd-1] {
		aEnd, bEnd = aEnd-1, bEnd-1
	}
	x, y = x[start:aEnd], y[start:bEnd]
	switch {
	case len(x) == 0 && len(y) == 0:
		return nil
	case len(x) == 0 || len(y) == 0 || len(x)*len(y) > maxTable:
		return []gap{{start, aEnd, start, bEnd}}
	}
	table := common(x, y)
	var found []gap
	for i, j := 0, 0; i < len(x) || j < len(y); {
		from := gap{a: start + i, b: start + j}
		for (i < len(x) || j < len(y)) && !(i < len(x) && j < len(y) && x[i] == y[j]) {
			if j == len(y) || i < len(x) && table[i+1][j] >= table[i][j+1] {
				i++
			} else {
				j++
			}
		}
		if from.aEnd, from.bEnd = start+i, start+j; from.aEnd > from.a || from.bEnd > from.b {
			found = append(found, from)
		}
		for i < len(x) && j < len(y) && x[i] == y[j] {
			i, j = i+1, j+1
		}
	}
	return found
}

// common is the table of the lengths of the longest common subsequences: of
// x[i:] and y[j:] at [i][j].
func common(x, y []int) [][]int32 {
	table := make([][]int32, len(x)+1)
	for i := range table {
		table[i] = make([]int32, len(y)+1)
	}
	for i := len(x) - 1; i >= 0; i-- {
		for j := len(y) - 1; j >= 0; j-- {
			if x[i] == y[j] {
				table[i][j] = table[i+1][j+1] + 1
			} else {
				table[i][j] = max(table[i+1][j], table[i][j+1])
			}
		}
	}
	return table
}

// numbers gives elements of the same key the same number.
func numbers[T any](a, b []T, key func(T) string) (x, y []int) {
	seen := map[string]int{}
	number := func(items []T) []int {
		out := make([]int, len(items))
		for i, item := range items {
			k := key(item)
			if _, ok := seen[k]; !ok {
				seen[k] = len(seen)
			}
			out[i] = seen[k]
		}
		return out
	}
	return number(a), number(b)
}
