package render

import (
	"os"
)

// RunIfMischievous is RunIfChild for a child that does what a build never should:
// what the name of its source's directory says.
func RunIfMischievous() {
	if limit, ok := os.LookupEnv(childVariable); ok && len(os.Args) > 1 && os.Args[1] == "mischief" {
		runChild(limit, mischief)
	}
}

// Document prints one object.
var Document = document
