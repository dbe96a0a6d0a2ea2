package pages

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// answered is the end of a Person's error: status and body of the API's answer.
var answered = regexp.MustCompile(`(?s): ([45][0-9]{2}) (\{.*\})$`)

// done ends a deed: the page anew at path, or show with the refusal on it.
func (v *visit) done(err error, path string, show func()) {
	if err == nil {
		http.Redirect(v.w, v.r, path, http.StatusSeeOther)
		return
	}
	v.status, v.refusal = refusal(err)
	show()
}

// unknownDeed answers a form that no page has.
func (v *visit) unknownDeed() error { return fmt.Errorf("no form of this page does %q", v.field("do")) }

// refusal puts an error into words: GitHub's own where it answered.
func refusal(err error) (status int, message string) {
	m := answered.FindStringSubmatch(err.Error())
	if m == nil {
		return http.StatusUnprocessableEntity, strings.TrimPrefix(err.Error(), "githubsim: ")
	}
	status, _ = strconv.Atoi(m[1])
	var body struct {
		Message string
		Errors  []json.RawMessage
	}
	if json.Unmarshal([]byte(m[2]), &body) != nil {
		return status, m[1] + " " + http.StatusText(status)
	}
	message = fmt.Sprintf("%d %s: %s", status, http.StatusText(status), body.Message)
	for _, raw := range body.Errors {
		message += " " + detail(raw)
	}
	return status, message
}

// detail is one of the errors of an answer: a sentence, or an object.
func detail(raw json.RawMessage) string {
	var sentence string
	if json.Unmarshal(raw, &sentence) == nil {
		return sentence
	}
	var d struct{ Resource, Field, Code, Message string }
	if json.Unmarshal(raw, &d) != nil {
		return ""
	}
	if d.Message != "" {
		return d.Message
	}
	return strings.Join(strings.Fields(d.Resource+" "+d.Field+" "+d.Code), " ") + "."
}
