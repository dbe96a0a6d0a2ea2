package overlay

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// splice replaces a span of bytes of a file; an empty span inserts.
type splice struct {
	span
	text string
}

// splices are what fulfils the wishes for a site.
func (s *site) splices(wishes []wish) ([]splice, error) {
	var splices []splice
	var missing []wish
	for _, w := range wishes {
		switch {
		case w.at == nil:
			missing = append(missing, w)
		case w.holds == holdsComment:
			if at, ok := w.at.doc.digestComment(w.at.node); ok {
				splices = append(splices, splice{w.at.doc.outward(at), w.value})
			}
		default:
			d, n := w.at.doc, w.at.node
			at, err := d.scalar(n)
			if err != nil {
				return nil, err
			}
			text := quoted(w.text(), n.Style)
			if n.Value == w.text() && n.Tag == "!!str" && text[0] == d.data[at.start] {
				continue
			}
			splices = append(splices, splice{d.outward(at), text})
		}
	}
	if len(missing) == 0 {
		return splices, nil
	}
	insert, err := s.insertion(missing)
	return append(splices, insert), err
}

// insertion writes missing keys behind the key that they belong to: on their own
// lines with its indentation, or inside its braces.
func (s *site) insertion(missing []wish) (splice, error) {
	d := s.in.doc
	var after *place
	for _, key := range s.after {
		if p := s.in.at(key); p != nil {
			after = p
		}
	}
	if after == nil {
		return splice{}, s.refuse("this element of images: has no name")
	}
	if after.node.Kind == yaml.AliasNode || after.node.Anchor != "" {
		return splice{}, d.refuse(after.node, "%s is an alias or an anchor; write it out", after.key.Value)
	}
	at, err := d.scalar(after.node)
	if err != nil {
		return splice{}, err
	}
	flow := s.in.node.Style&yaml.FlowStyle != 0
	var b strings.Builder
	for _, w := range missing {
		key, text := w.key, quoted(w.text(), 0)
		if after.key.Style&yaml.DoubleQuotedStyle != 0 {
			key, text = `"`+w.key+`"`, `"`+w.text()+`"`
		}
		if flow {
			fmt.Fprintf(&b, ", %s: %s", key, text)
			continue
		}
		fmt.Fprintf(&b, "%s%s%s: %s", d.eol(), strings.Repeat(" ", after.key.Column-1), key, text)
	}
	end := at.end
	if !flow {
		end = d.lineEnd(end)
	}
	return splice{span{end, end}, b.String()}, nil
}

// lineEnd is the offset of the line break (or of the end) after at.
func (d *document) lineEnd(at int) int {
	end := len(d.data)
	if i := bytes.IndexByte(d.data[at:], '\n'); i >= 0 {
		end = at + i
		if end > at && d.data[end-1] == '\r' {
			end--
		}
	}
	return end
}

// apply writes the splices into a copy. Of two that overlap the first counts; what
// is proved afterwards then shows that the other one is missing.
func apply(data []byte, splices []splice) []byte {
	slices.SortFunc(splices, func(a, b splice) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	out.Grow(len(data) + 128*len(splices))
	from := 0
	for _, s := range splices {
		if s.start < from {
			continue
		}
		out.Write(data[from:s.start])
		out.WriteString(s.text)
		from = s.end
	}
	out.Write(data[from:])
	return out.Bytes()
}
