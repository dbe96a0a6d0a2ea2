package envrepo

import (
	"fmt"
	"strings"
)

// suggest names what was meant, as far as one can tell, or all that is known.
func suggest(unknown string, known []string) string {
	if k := nearest(unknown, known); k != "" {
		return fmt.Sprintf("write %q", k)
	}
	return "known here are " + strings.Join(known, ", ")
}

// nearest is the known word that a misspelt one is closest to, or "" when none
// is close: up to a third of its letters, and at least one, may be wrong.
func nearest(unknown string, known []string) string {
	best, distance := "", len(unknown)
	for _, k := range known {
		if d := typos(plain(unknown), plain(k)); d < distance && d <= max(1, len(k)/3) {
			best, distance = k, d
		}
	}
	return best
}

// plain is a word without what people write one way or the other.
func plain(s string) string {
	return strings.TrimSuffix(strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s)), "s")
}

// typos counts the letters to insert, delete, replace or swap with the next one
// that make b of a (the optimal string alignment distance,
// https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance).
func typos(a, b string) int {
	const longest = 64 // no known word is longer
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var before, previous []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, previous, row = previous, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := previous[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, previous[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
