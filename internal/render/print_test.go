package render_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/render"
)

// Objects are printed without Kustomize's detour over JSON. Whatever stands in
// them, in whatever style and under whatever tag, must come out as by the detour.
func TestAnObjectIsPrintedAsKustomizePrintsIt(t *testing.T) {
	var values = []string{
		"", "a", "web", "true", "false", "True", "yes", "on", "off", "n", "y", "null", "~", "Null", "0", "-0", "+1", "1", "-1", "42", "007", "0123", "0x1F", "0o17", "1_000",
		"1.0", "1.20", "1e10", ".5", ".inf", "-.Inf", ".nan", "2026-11-25", "2026-11-25T10:00:00Z", "12:30", "12:30:45", "<<", "=", "- a", "a: b", "a #b", "#b", "{{ x }}", "[a]", "*a", "&a",
		"!x", "%x", "@x", "`x", "|", ">", "?", ":", "-", "---", "...", " a", "a ", "a  b", "\ta", "a\tb", "a\nb", "a\n", "\na", "a\n\n", "  a\n b\n", "ü", "\u2028", "\u00a0", "\ufeff", "a\u0000b", "\\", `"`, "'", "<b>&", "a/b",
		"sha256:0d3f", "registry.example.com/a:1.7.0", "9223372036854775807", "9223372036854775808", "123456789012345678", "1234567890123456789", "18446744073709551616", "0.1", "1E3", "1e400",
		strings.Repeat("long ", 60), strings.Repeat("x", 600), strings.Repeat("x", 1100),
	}
	value := rapid.OneOf(rapid.SampledFrom(values), rapid.StringOfN(rapid.SampledFrom([]rune("ab  \n\n\t:#-'\"")), 1, 12, -1))
	tags := []string{"", yaml.NodeTagString, yaml.NodeTagInt, yaml.NodeTagBool, yaml.NodeTagNull, yaml.NodeTagFloat, "!!binary", "!!timestamp", "!own"}
	styles := []yaml.Style{0, yaml.DoubleQuotedStyle, yaml.SingleQuotedStyle, yaml.LiteralStyle, yaml.FoldedStyle, yaml.TaggedStyle}
	commented := func(t *rapid.T, n *yaml.Node) {
		switch rapid.IntRange(0, 19).Draw(t, "commented") {
		case 0:
			n.LineComment = "# why"
		case 1:
			n.HeadComment = "# why\n# indeed"
		case 2:
			n.FootComment = "# so"
		}
	}
	scalar := func(t *rapid.T) *yaml.Node {
		n := &yaml.Node{Kind: yaml.ScalarNode, Value: value.Draw(t, "value"), Style: rapid.SampledFrom(styles).Draw(t, "style")}
		if rapid.IntRange(0, 2).Draw(t, "tagged") == 0 {
			n.Tag = rapid.SampledFrom(tags).Draw(t, "tag")
		}
		commented(t, n)
		return n
	}
	var node func(t *rapid.T, depth int) *yaml.Node
	node = func(t *rapid.T, depth int) *yaml.Node {
		n := &yaml.Node{Style: rapid.SampledFrom([]yaml.Style{0, yaml.FlowStyle}).Draw(t, "flow")}
		switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case kind < 2 && depth > 0:
			n.Kind, n.Tag = yaml.MappingNode, rapid.SampledFrom([]string{"", yaml.NodeTagMap}).Draw(t, "tag")
			for range rapid.IntRange(0, 3).Draw(t, "pairs") {
				n.Content = append(n.Content, scalar(t), node(t, depth-1))
			}
		case kind < 4 && depth > 0:
			n.Kind, n.Tag = yaml.SequenceNode, rapid.SampledFrom([]string{"", yaml.NodeTagSeq}).Draw(t, "tag")
			for range rapid.IntRange(0, 3).Draw(t, "elements") {
				n.Content = append(n.Content, node(t, depth-1))
			}
		default:
			return scalar(t)
		}
		commented(t, n)
		return n
	}
	rapid.Check(t, func(t *rapid.T) {
		object := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range []string{"data", "spec", "metadata", "b10", "b9"} {
			object.Content = append(object.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, node(t, 3))
		}
		r := &resource.Resource{RNode: *yaml.NewRNode(object)}
		want, wrong := asKustomize(r)
		got, err := render.Document(r)
		if (err != nil) != (wrong != nil) || string(got) != string(want) {
			t.Fatalf("printed\n%s(%v), Kustomize prints\n%s(%v)", got, err, want, wrong)
		}
	})
}

// asKustomize is what Kustomize prints; nodes that no parser makes can have it
// panic.
func asKustomize(r *resource.Resource) (out []byte, err error) { return r.AsYAML() }
