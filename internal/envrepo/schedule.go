package envrepo

import (
	"fmt"

	"github.com/tagboat/tagboat/internal/window"
)

// Schedule is when an environment may change, as its windows say.
func (e Environment) Schedule() window.Schedule {
	var s window.Schedule
	for _, w := range e.Windows {
		allowed, denied, _ := w.parse(func(string, error) {}) // of a valid Config there is no error
		switch {
		case w.Allow != "":
			s.Allow = append(s.Allow, allowed)
		default:
			s.Deny = append(s.Deny, denied)
		}
	}
	return s
}

// windows checks an environment's windows.
func (r *reader) windows(e *Environment, at string) {
	for i, w := range e.Windows {
		at := fmt.Sprintf("%s.windows[%d]", at, i)
		if (w.Allow == "") == (w.Deny == "") {
			r.at(at, "a window needs exactly one of allow and deny")
			continue
		}
		if w.Deny != "" && len(w.Except) > 0 {
			r.at(at+".except", "except belongs to allow; write the dates that deny does not mean by ending and beginning it")
		}
		w.parse(func(field string, err error) { r.at(at+"."+field, "%s", err) })
	}
}

// parse reads a window, and tells of each field that cannot be read.
func (w Window) parse(wrong func(field string, err error)) (allowed window.Allowed, denied window.Window, ok bool) {
	ok = true
	read := func(field, text string) window.Window {
		got, err := window.Parse(text, w.Timezone)
		if err != nil {
			ok = false
			wrong(field, err)
		}
		return got
	}
	if w.Deny != "" {
		return allowed, read("deny", w.Deny), ok
	}
	allowed.Window = read("allow", w.Allow)
	for i, text := range w.Except {
		allowed.Except = append(allowed.Except, read(fmt.Sprintf("except[%d]", i), text))
	}
	return allowed, denied, ok
}
