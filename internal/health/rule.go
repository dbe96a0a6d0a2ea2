package health

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Rule is how objects of one kind say how they are. Its expressions are asked in the
// order inProgress, failed, current; where none is true, the object is in progress.
type Rule struct {
	Group      string `yaml:"group"` // "cert-manager.io"; "" is the core group
	Kind       string `yaml:"kind"`
	Current    string `yaml:"current"`    // CEL, true or false: the cluster is as the object says
	Failed     string `yaml:"failed"`     // CEL, true or false: it will not come by itself; "" is never
	InProgress string `yaml:"inProgress"` // CEL, true or false: it is on its way, whatever the others say; "" is never
	Message    string `yaml:"message"`    // CEL, a string: why it is not current; "" takes what its conditions say
}

// Problem is what is wrong with a rule.
type Problem struct {
	Rule    int    // its index
	Field   string // "current"
	Message string // what is wrong, for a person
}

// MaxExpression is how long an expression may be, in bytes.
const MaxExpression = 4096

// Rules are compiled rules. They do not change, and may be used by several at once. A
// nil *Rules has none.
type Rules struct{ of map[kind]program }

type kind struct{ group, kind string }

// program is a rule's expressions, compiled; those that it has not are nil.
type program struct{ current, failed, inProgress, message cel.Program }

// roots are the fields of an object that an expression may name without `object.`: the
// ones that nearly all kinds are made of.
var roots = []string{"apiVersion", "kind", "metadata", "spec", "status", "data"}

// Compile compiles rules, one for each kind. With problems the Rules are nil.
func Compile(rules []Rule) (*Rules, []Problem) {
	if len(rules) == 0 {
		return nil, nil
	}
	env, err := environmentOf()
	if err != nil {
		return nil, []Problem{{0, "current", fmt.Sprintf("no rule can be compiled: %v", err)}}
	}
	out := &Rules{of: map[kind]program{}}
	var problems []Problem
	for i, r := range rules {
		compile := func(field, text string, want *cel.Type) cel.Program {
			compiled, wrong := compiled(env, text, want)
			if wrong != "" {
				problems = append(problems, Problem{i, field, wrong})
			}
			return compiled
		}
		if _, twice := out.of[kind{r.Group, r.Kind}]; twice {
			problems = append(problems, Problem{i, "kind", fmt.Sprintf("there is a rule for %s already; keep one", name(r))})
			continue
		}
		if r.Current == "" {
			problems = append(problems, Problem{i, "current", fmt.Sprintf("the rule for %s does not say when it is current; write an expression, such as status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')", name(r))})
			continue
		}
		out.of[kind{r.Group, r.Kind}] = program{
			current: compile("current", r.Current, cel.BoolType), failed: compile("failed", r.Failed, cel.BoolType),
			inProgress: compile("inProgress", r.InProgress, cel.BoolType), message: compile("message", r.Message, cel.StringType),
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return out, nil
}

func name(r Rule) string {
	if r.Group == "" {
		return r.Kind
	}
	return r.Kind + "." + r.Group
}

// environmentOf is what expressions may use: Kubernetes' own functions, with its limits
// on what one may cost.
func environmentOf() (*cel.Env, error) {
	variables := []cel.EnvOption{cel.Variable("object", cel.DynType)}
	for _, root := range roots {
		variables = append(variables, cel.Variable(root, cel.DynType))
	}
	set, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Extend(
		environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: variables})
	if err != nil {
		return nil, err
	}
	return set.StoredExpressionsEnv(), nil
}

// compiled is nil for no expression.
func compiled(env *cel.Env, text string, want *cel.Type) (_ cel.Program, wrong string) {
	switch {
	case text == "":
		return nil, ""
	case len(text) > MaxExpression:
		return nil, fmt.Sprintf("the expression is longer than %d bytes; write a shorter one", MaxExpression)
	}
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, "the expression does not compile: " + firstLine(issues.Errors()[0].Message)
	}
	if got := ast.OutputType(); !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		return nil, fmt.Sprintf("the expression must give a %s, not a %s", want, got)
	}
	program, err := env.Program(ast)
	if err != nil {
		return nil, "the expression cannot be used: " + firstLine(err.Error())
	}
	return program, ""
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
