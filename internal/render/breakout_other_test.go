//go:build !linux

package render

import "errors"

func breakOut(_, _ string) error { return errors.ErrUnsupported }
