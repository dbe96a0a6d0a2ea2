package admission

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	celgo "github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Set is the policies of one directory, compiled. It does not change, and may be used
// by several at once.
type Set struct {
	policies []*policy
	params   []*unstructured.Unstructured
	problems []Problem
}

// Compile reads and compiles files. Release is the oldest API server that they are
// for, such as "1.31": what it does not know yet is a problem. Without one, everything
// is known that this library knows.
func Compile(files []File, release string) *Set {
	l := loading{broken: map[string]bool{}}
	for _, f := range files {
		l.read(f)
	}
	compatible := environment.DefaultCompatibilityVersion()
	if release != "" {
		parsed, err := version.ParseMajorMinor(release)
		if err != nil {
			l.problems = append(l.problems, Problem{Message: fmt.Sprintf("the Kubernetes version %q is not understood: %v", release, err)})
		} else {
			compatible = parsed
		}
	}
	s := &Set{params: l.params}
	for i, p := range l.policies {
		if slices.ContainsFunc(l.policies[:i], func(o *policy) bool { return o.Name == p.Name }) {
			l.problem(p.Name, p.document, p.line("metadata", "name"), "there are two policies %s; give one another name", p.Name)
			continue
		}
		for _, b := range l.bindings {
			if b.Spec.PolicyName == p.Name {
				p.bindings = append(p.bindings, b)
			}
		}
		if len(p.bindings) == 0 {
			l.problems = append(l.problems, Problem{p.Name, p.file, p.line("metadata", "name"), "no ValidatingAdmissionPolicyBinding here names the policy " + p.Name + ", so it is never asked; add one with its policyName", true})
		}
		if l.compile(p, compatible, release != "") {
			s.policies = append(s.policies, p)
		}
	}
	for _, b := range l.bindings {
		if !l.broken[b.Spec.PolicyName] && !slices.ContainsFunc(l.policies, func(p *policy) bool { return p.Name == b.Spec.PolicyName }) {
			l.problem(b.Spec.PolicyName, b.document, b.line("spec", "policyName"), "there is no policy %s here, so the binding %s does nothing; correct policyName, or put the policy beside it", b.Spec.PolicyName, b.Name)
		}
	}
	s.problems = l.problems
	return s
}

// Problems is what is wrong with the files.
func (s *Set) Problems() []Problem { return s.problems }

// Names lists the policies.
func (s *Set) Names() []string {
	var names []string
	for _, p := range s.policies {
		names = append(names, p.Name)
	}
	return names
}

// program is a policy's expressions, compiled.
type program struct {
	conditions, validations, messages cel.ConditionEvaluator
}

// expression is one CEL expression and what it may be.
type expression struct {
	name, text string
	results    []*celgo.Type
	line       int
}

// GetName, GetExpression and ReturnTypes are what the compiler asks.
func (e *expression) GetName() string            { return e.name }
func (e *expression) GetExpression() string      { return e.text }
func (e *expression) ReturnTypes() []*celgo.Type { return e.results }

var (
	anything = []*celgo.Type{celgo.AnyType, celgo.DynType}
	truth    = []*celgo.Type{celgo.BoolType}
	words    = []*celgo.Type{celgo.StringType}
)

// expressions lists what a policy says, in its parts.
func (p *policy) expressions() (variables, conditions, validations, messages []*expression) {
	for i, v := range p.Spec.Variables {
		variables = append(variables, &expression{v.Name, v.Expression, anything, p.line("spec", "variables", i, "expression")})
	}
	for i, c := range p.Spec.MatchConditions {
		conditions = append(conditions, &expression{c.Name, c.Expression, truth, p.line("spec", "matchConditions", i, "expression")})
	}
	for i, v := range p.Spec.Validations {
		validations = append(validations, &expression{"", v.Expression, truth, p.line("spec", "validations", i, "expression")})
		var message *expression
		if v.MessageExpression != "" {
			message = &expression{"", v.MessageExpression, words, p.line("spec", "validations", i, "messageExpression")}
		}
		messages = append(messages, message)
	}
	return variables, conditions, validations, messages
}

// compile compiles a policy, as an API server of the version would when it is written
// (where strict), and as all of them do when they are asked.
func (l *loading) compile(p *policy, compatible *version.Version, strict bool) bool {
	variables, conditions, validations, messages := p.expressions()
	declared := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil}
	modes := []environment.Type{environment.StoredExpressions}
	if strict {
		modes = []environment.Type{environment.NewExpressions, environment.StoredExpressions}
	}
	for _, mode := range modes {
		compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(compatible))
		if err != nil {
			l.problem(p.Name, p.document, p.line("spec"), "its variables cannot be declared: %v", err)
			return false
		}
		sound := true
		for _, v := range variables {
			sound = l.compiled(p, v, compiler.CompileAndStoreVariable(v, declared, mode).Error) && sound
		}
		for _, e := range slices.Concat(conditions, validations, messages) {
			if e != nil {
				sound = l.compiled(p, e, compiler.CompileCELExpression(e, declared, mode).Error) && sound
			}
		}
		if !sound {
			return false
		}
		p.program = program{
			conditions:  compiler.CompileCondition(accessors(conditions), declared, mode),
			validations: compiler.CompileCondition(accessors(validations), declared, mode),
			messages:    compiler.CompileCondition(accessors(messages), declared, mode),
		}
	}
	return true
}

// accessors are expressions as the library takes them; nil stands for none.
func accessors(all []*expression) []cel.ExpressionAccessor {
	out := make([]cel.ExpressionAccessor, len(all))
	for i, e := range all {
		if e != nil {
			out[i] = e
		}
	}
	return out
}

// compiled reports whether an expression compiled; if not, that is a problem.
func (l *loading) compiled(p *policy, e *expression, err *apiservercel.Error) bool {
	if err == nil {
		return true
	}
	text := err.Detail
	if issues, ok := errors.AsType[*apiservercel.CompilationError](err.Cause); ok && len(issues.Issues.Errors()) > 0 {
		first := issues.Issues.Errors()[0]
		text = first.Message
		if at := first.Location; at.Line() > 0 && at.Line() < math.MaxInt32 {
			text += fmt.Sprintf(" (line %d, column %d of the expression)", at.Line(), at.Column()+1)
		}
	}
	if strings.Contains(text, "undeclared reference to 'authorizer") {
		text = "it asks authorizer, which only a cluster can answer; keep this policy out of the directory that Tagboat reads"
	}
	if strings.Contains(text, "undeclared reference to 'params'") {
		text += "; params need a paramKind"
	}
	l.problem(p.Name, p.document, e.line, "the expression does not compile: %s", text)
	return false
}
