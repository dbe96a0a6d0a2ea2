package query

import "time"

// Violations are metrics that are out of their bounds, and since when.
type Violations map[string]time.Time
