package command

import (
	"fmt"
	"slices"
	"strings"
)

// Pair is an app in an environment.
type Pair struct{ Env, App string }

// Names are the environments of an env repo, in its order, each with its apps.
type Names []EnvNames

// EnvNames is an environment and its apps.
type EnvNames struct {
	Env  string
	Apps []string
}

func (n Names) envs() (envs []string) {
	for _, e := range n {
		envs = append(envs, e.Env)
	}
	return envs
}

func (n Names) apps(env string) []string {
	for _, e := range n {
		if e.Env == env {
			return e.Apps
		}
	}
	return nil
}

// Worded is a command whose words are names only where such names exist: "/hold prod
// payments" may be about an app of prod, or end in a reason.
type Worded interface {
	Command

	// Resolve says which pair is meant, on a pull request that carries here (which is
	// empty elsewhere), or else what is wrong.
	Resolve(here Pair, names Names) (meant Command, wrong string)
}

// split takes the names off the front of words. Words are names where they name
// something that exists; on a pull request everything else is a reason, anywhere else
// nobody would know what is meant.
func split(verb string, words []string, here Pair, names Names) (pair Pair, rest []string, wrong string) {
	onPull := here != Pair{}
	if len(words) == 0 || !slices.Contains(names.envs(), words[0]) {
		if onPull {
			return here, words, ""
		}
		return pair, nil, whichPair(verb, words, names)
	}
	env, rest := words[0], words[1:]
	apps := names.apps(env)
	switch {
	case len(rest) > 0 && slices.Contains(apps, rest[0]):
		return Pair{env, rest[0]}, rest[1:], ""
	case onPull && len(rest) == 0 && slices.Contains(apps, here.App):
		return Pair{env, here.App}, nil, ""
	case onPull: // "/hold prod is down": a sentence that begins so
		return here, words, ""
	case len(apps) == 1:
		return Pair{env, apps[0]}, rest, ""
	}
	return pair, nil, whichApp(verb, env, rest, apps)
}

func whichPair(verb string, words []string, names Names) string {
	text := "Which app, in which environment?"
	if len(words) > 0 {
		text = fmt.Sprintf("%q is no environment.", words[0])
		if meant := Meant(words[0], names.envs()); meant != "" {
			text += fmt.Sprintf(" Did you mean %s?", meant)
		}
	}
	return fmt.Sprintf("%s Write /%s <env> <app>, or comment on a pull request of Tagboat's; environments are: %s.", text, verb, strings.Join(names.envs(), ", "))
}

func whichApp(verb, env string, rest, apps []string) string {
	if len(apps) == 0 {
		return fmt.Sprintf("No app has an overlay for %s.", env)
	}
	text := "Which app?"
	if len(rest) > 0 {
		text = fmt.Sprintf("%q is no app of %s.", rest[0], env)
		if meant := Meant(rest[0], apps); meant != "" {
			text += fmt.Sprintf(" Did you mean %s?", meant)
		}
	}
	return fmt.Sprintf("%s Write /%s %s <app>; the apps of %s are: %s.", text, verb, env, env, strings.Join(apps, ", "))
}
