package chart

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

// chance stands for the functions of a template that come to something else every
// time: random values, certificates, the time
// (https://masterminds.github.io/sprig/). Charts call them also where the result is
// thrown away: "default (randAlphaNum 8) .Values.password" does, whatever the
// values say. So a call alone is no reason to refuse a chart. It is rendered with
// two different outcomes of chance; where both come to the same, chance has no part
// in it.
type chance struct {
	second  bool // which outcome
	refused bool // calls are errors
	calls   int  // so far; no two come to the same, as in life
}

var (
	errRandom = errors.New("it gives something else every time, so that nobody could say what is deployed; set in the values what it is to be")
	errClock  = errors.New("it depends on the time of rendering, so that nobody could say what is deployed; set in the values what it is to be")
)

// one of two outcomes.
func one[T any](c *chance, reason error, first, second T) (T, error) {
	c.calls++
	var none T
	switch {
	case c.refused:
		return none, reason
	case c.second:
		return second, nil
	}
	return first, nil
}

// now is a time that differs from the other outcome's in every part.
func (c *chance) now() (time.Time, error) {
	return one(c, errClock, time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC), time.Date(2032, 11, 24, 13, 54, 45, 89, time.UTC))
}

// time is what Sprig takes an argument for: what is no time is the present.
func (c *chance) time(t any) (time.Time, error) {
	switch t := t.(type) {
	case time.Time:
		return t, nil
	case *time.Time:
		return *t, nil
	case int64:
		return time.Unix(t, 0), nil
	case int:
		return time.Unix(int64(t), 0), nil
	case int32:
		return time.Unix(int64(t), 0), nil
	}
	return c.now()
}

// text is n random characters.
func (c *chance) text(n int) (string, error) {
	at := c.calls % 13
	return one(c, errRandom, strings.Repeat("abcdefghijklm"[at:at+1], max(n, 0)), strings.Repeat("nopqrstuvwxyz"[at:at+1], max(n, 0)))
}

func (c *chance) digits(n int) (string, error) {
	at := c.calls % 5
	return one(c, errRandom, strings.Repeat("01234"[at:at+1], max(n, 0)), strings.Repeat("56789"[at:at+1], max(n, 0)))
}

func (c *chance) bytes(n int) (string, error) {
	text, err := c.text(n)
	return base64.StdEncoding.EncodeToString([]byte(text)), err
}

func (c *chance) between(low, high int) (int, error) {
	if high <= low {
		return 0, errors.New("there is no number between these")
	}
	return one(c, errRandom, low, high-1)
}

func (c *chance) shuffle(s string) (string, error) {
	reversed := []rune(s)
	slices.Reverse(reversed)
	return one(c, errRandom, s, string(reversed))
}

// certificate has the fields that a template knows of one.
type certificate struct{ Cert, Key string }

func (c *chance) certificate(...any) (certificate, error) {
	secret, err := c.secret()
	return certificate{"certificate of " + secret, secret}, err
}

func (c *chance) secret(...any) (string, error) {
	return one(c, errRandom, fmt.Sprintf("secret a%d", c.calls), fmt.Sprintf("secret b%d", c.calls))
}

// uuid is one of version 4 (RFC 9562).
func (c *chance) uuid() (string, error) {
	return one(c, errRandom, fmt.Sprintf("aaaaaaaa-aaaa-4aaa-8aaa-%012x", c.calls), fmt.Sprintf("bbbbbbbb-bbbb-4bbb-9bbb-%012x", c.calls))
}

func (c *chance) ago(t any) (string, error) {
	at, err := c.time(t)
	if err != nil {
		return "", err
	}
	now, err := c.now()
	return now.Sub(at).Round(time.Second).String(), err
}

var durationRound = sprig.TxtFuncMap()["durationRound"].(func(any) string)

func (c *chance) durationRound(d any) (string, error) {
	if t, ok := d.(time.Time); ok {
		now, err := c.now()
		return durationRound(int64(now.Sub(t))), err
	}
	return durationRound(d), nil
}

func (c *chance) functions() template.FuncMap {
	return template.FuncMap{
		"now": c.now, "ago": c.ago, "durationRound": c.durationRound,
		"randAlphaNum": c.text, "randAlpha": c.text, "randAscii": c.text, "randNumeric": c.digits,
		"randBytes": c.bytes, "randInt": c.between, "shuffle": c.shuffle,
		"uuidv4": c.uuid,
		"genCA":  c.certificate, "genCAWithKey": c.certificate,
		"genSelfSignedCert": c.certificate, "genSelfSignedCertWithKey": c.certificate,
		"genSignedCert": c.certificate, "genSignedCertWithKey": c.certificate,
		"genPrivateKey": c.secret, "encryptAES": c.secret, "bcrypt": c.secret, "htpasswd": c.secret,
	}
}

// differing is the file of the first document that two renderings of a chart do not
// have in common, or "".
func differing(a, b []byte) (file string) {
	before, after := strings.Split(string(a), "\n"), strings.Split(string(b), "\n")
	for i, line := range before {
		if i == len(after) || line != after[i] {
			return file
		}
		if name, ok := strings.CutPrefix(line, "# Source: "); ok {
			file = name
		}
	}
	return file
}
