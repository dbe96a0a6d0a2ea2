package query

import "time"

// Violations are metrics that are out of their bounds, by their names.
type Violations map[string]Violation

// Violation is one metric that is out of its bounds.
type Violation struct {
	Since time.Time `json:"since"` // when it was first measured so
	Seen  time.Time `json:"seen"`  // when it was last measured so; what is not known is neither
}
