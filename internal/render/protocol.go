package render

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The pool and a child speak in frames: a length (4 bytes, big endian), a kind (1
// byte) and fields. Numbers are uvarints, strings a length and bytes. It is not
// encoding/gob, whose decoder is not made for a peer that is not trusted: a child
// works on files that anybody may have written.
//
//	child:  ready                     once, when it is warm and locked down
//	parent: build                     the source, and answers it will want first
//	child:  ask    parent: answers    as often as the build needs
//	child:  done                      manifests and reads, or what is wrong
const (
	frameReady   byte = 'r'
	frameBuild   byte = 'b'
	frameAsk     byte = 'q'
	frameAnswers byte = 'a'
	frameDone    byte = 'd'
)

// maxFrame bounds what either side takes into memory for one frame: the output's
// limit, or a chart's files, and something for the fields around them.
const maxFrame = maxOutput + 16<<20

var errProtocol = errors.New("the render child does not speak the protocol")

func writeFrame(w io.Writer, kind byte, payload []byte) error {
	if len(payload) > maxFrame {
		return fmt.Errorf("a frame of %d bytes is larger than %d: %w", len(payload), maxFrame, errProtocol)
	}
	head := binary.BigEndian.AppendUint32(make([]byte, 0, 5+len(payload)), uint32(len(payload)))
	_, err := w.Write(append(append(head, kind), payload...)) // one write: one wake-up on the other side
	return err
}

func readFrame(r io.Reader) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[:4])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes is larger than %d: %w", size, maxFrame, errProtocol)
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(r, payload)
	return head[4], payload, err
}

// encoder appends fields.
type encoder []byte

func (e *encoder) num(n int)      { *e = binary.AppendUvarint(*e, uint64(n)) }
func (e *encoder) str(s string)   { e.num(len(s)); *e = append(*e, s...) }
func (e *encoder) bytes(b []byte) { e.num(len(b)); *e = append(*e, b...) }
func (e *encoder) flag(b bool) {
	if b {
		e.num(1)
	} else {
		e.num(0)
	}
}

func (e *encoder) strs(list []string) {
	e.num(len(list))
	for _, s := range list {
		e.str(s)
	}
}

// decoder takes fields; after the first that is malformed all are empty.
type decoder struct {
	rest []byte
	err  error
}

// fail keeps the first error.
func (d *decoder) fail(err error) int {
	d.rest, d.err = nil, cmp.Or(d.err, err)
	return 0
}

func (d *decoder) num() int {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > maxFrame {
		return d.fail(errProtocol)
	}
	d.rest = d.rest[size:]
	return int(n)
}

// bytes are a part of the frame, not a copy.
func (d *decoder) bytes() []byte {
	n := d.num()
	if n > len(d.rest) {
		d.fail(errProtocol)
		return nil
	}
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) str() string { return string(d.bytes()) }
func (d *decoder) flag() bool  { return d.num() != 0 }

// count is the length of a list, whose elements take at least a byte each.
func (d *decoder) count() int { return d.countTo(len(d.rest)) }

// countTo is the length of a list that may not be longer than most: in memory an
// element takes many times what it takes in the frame.
func (d *decoder) countTo(most int) int {
	n := d.num()
	if n > min(most, len(d.rest)) {
		return d.fail(broken("a list of %d, where %d are the most", n, most))
	}
	return n
}

// small is a number of one byte.
func (d *decoder) small() byte {
	n := d.num()
	if n > math.MaxUint8 {
		d.fail(errProtocol)
		return 0
	}
	return byte(n)
}

func (d *decoder) strs() []string {
	list := make([]string, d.count())
	for i := range list {
		list[i] = d.str()
	}
	return list
}

// end is the first error, or one when something is left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		return errProtocol
	}
	return d.err
}

// want is how much a question wants to know of a path.
type want byte

const (
	wantStat    want = iota // whether it is there, and whether it is a directory
	wantContent             // a file's content; of a directory, its kustomization's
	wantBelow               // everything below a directory: names and contents
	wantRemote              // the files of a remote reference, as a directory
)

// question is what a build asks about one path of the tree.
type question struct {
	want   want
	path   string
	remote Remote // for wantRemote
}

// state is what stands at a path.
type state byte

const (
	absent state = iota
	file
	directory
	refused // the parent knows why: problem is its number
)

// answer is what the parent says about one path.
type answer struct {
	path    string
	state   state
	real    string   // where the path leads, if there are links on the way; of an absence, what is absent
	links   []string // the links on the way
	content *content // of a file, when it was asked for
	names   []string // of a directory, when they were asked for; directories end in "/"
	problem int
}

// content is the bytes of a file and a name for them: the same id, the same
// bytes. A child keeps contents, so data is left out when it has them.
type content struct {
	id   string
	data []byte
	sent bool // data is in the frame
}

// report is the end of a build.
type report struct {
	manifests []byte
	reads     []Read
	refusal   int    // 1 + the number of a refused answer that ended the build, or 0
	kind      int    // the kind of the error
	hint      string // what is wrong, or ""
}

// order is a build that the parent wants.
type order struct {
	source  Source
	forget  bool     // the contents that the child keeps
	fetches bool     // remote references may be asked for
	first   []answer // what will probably be asked
}

func encodeBuild(o order) []byte {
	var e encoder
	e.flag(o.forget)
	e.flag(o.fetches)
	e.str(o.source.Dir)
	e.str(o.source.Manifest)
	e.flag(o.source.Helm != nil)
	if h := o.source.Helm; h != nil {
		e.str(h.Chart)
		e.str(h.Release)
		e.str(h.Namespace)
		e.strs(h.Values)
	}
	e.answers(o.first)
	return e
}

func decodeBuild(payload []byte) (order, error) {
	d := &decoder{rest: payload}
	o := order{forget: d.flag(), fetches: d.flag(), source: Source{Dir: d.str(), Manifest: d.str()}}
	if d.flag() {
		o.source.Helm = &Helm{Chart: d.str(), Release: d.str(), Namespace: d.str(), Values: d.strs()}
	}
	o.first = d.answers()
	return o, d.end()
}

func encodeQuestions(questions []question) []byte {
	var e encoder
	e.num(len(questions))
	for _, q := range questions {
		e.num(int(q.want))
		e.str(q.path)
		if q.want == wantRemote {
			e.str(q.remote.Git)
			e.str(q.remote.Commit)
			e.str(q.remote.Chart)
			e.str(q.remote.Digest)
		}
	}
	return e
}

func decodeQuestions(payload []byte) ([]question, error) {
	d := &decoder{rest: payload}
	questions := make([]question, d.countTo(maxQuestions))
	for i := range questions {
		q := &questions[i]
		q.want, q.path = want(d.small()), d.str()
		if q.want == wantRemote {
			q.remote = Remote{Git: d.str(), Commit: d.str(), Chart: d.str(), Digest: d.str()}
		}
		if err := cmp.Or(d.err, q.check()); err != nil {
			return nil, err
		}
	}
	return questions, d.end()
}

func (e *encoder) answers(answers []answer) {
	e.num(len(answers))
	for _, a := range answers {
		e.str(a.path)
		e.num(int(a.state))
		e.str(a.real)
		e.strs(a.links)
		e.flag(a.content != nil)
		if c := a.content; c != nil {
			e.str(c.id)
			if e.flag(c.sent); c.sent {
				e.bytes(c.data)
			}
		}
		e.flag(a.names != nil)
		if a.names != nil {
			e.strs(a.names)
		}
		e.num(a.problem)
	}
}

func (d *decoder) answers() []answer {
	answers := make([]answer, d.count())
	for i := range answers {
		a := &answers[i]
		a.path, a.state, a.real, a.links = d.str(), state(d.num()), d.str(), d.strs()
		if d.flag() {
			a.content = &content{id: d.str(), sent: d.flag()}
			if a.content.sent {
				a.content.data = d.bytes()
			}
		}
		if d.flag() {
			a.names = d.strs()
		}
		a.problem = d.num()
	}
	return answers
}

func encodeReport(r report) []byte {
	e := make(encoder, 0, len(r.manifests)+64*len(r.reads)+64)
	e.bytes(r.manifests)
	e.num(len(r.reads))
	for _, read := range r.reads {
		e.num(int(read.Kind))
		e.str(read.Path)
	}
	e.num(r.refusal)
	e.num(r.kind)
	e.str(r.hint)
	return e
}

func decodeReport(payload []byte) (report, error) {
	d := &decoder{rest: payload}
	r := report{manifests: d.bytes()}
	if len(r.manifests) > maxOutput {
		return report{}, broken("%d bytes of manifests", len(r.manifests))
	}
	r.reads = make([]Read, d.countTo(maxReads))
	for i := range r.reads {
		r.reads[i] = Read{Kind: ReadKind(d.small()), Path: d.str()}
		if err := cmp.Or(d.err, r.reads[i].check()); err != nil {
			return report{}, err
		}
	}
	r.refusal, r.kind, r.hint = d.num(), d.num(), d.str()
	return r, d.end()
}
