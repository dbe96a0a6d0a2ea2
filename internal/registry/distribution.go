package registry

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Push is a registry's word that an image was pushed under a tag: a hint, to be
// checked with Resolve.
type Push struct {
	ID        string    // the registry's id of the event
	Image     image.Ref // name, tag and digest
	MediaType string    // "" where the registry does not say
	At        time.Time
}

// envelope is what CNCF Distribution and GitLab's registry send. Field names and
// meanings: https://github.com/distribution/distribution, notifications/event.go.
type envelope struct {
	Events []event `json:"events"`
}

type event struct {
	ID        string    `json:"id"`
	Timestamp time.Time `json:"timestamp"`
	Action    string    `json:"action"`
	Target    struct {
		MediaType  types.MediaType `json:"mediaType"`
		Digest     string          `json:"digest"`
		Repository string          `json:"repository"`
		Tag        string          `json:"tag"`
	} `json:"target"`
	Request struct {
		Host string `json:"host"`
	} `json:"request"`
}

// ignored are the events that name no image somebody tagged, in the order in
// which they are checked. Pushing one image and signing it sends about ten events.
var ignored = []func(event) bool{
	func(e event) bool { return e.Action != "push" },                                    // pulls, deletes, mounts
	func(e event) bool { return e.Target.Tag == "" || e.Target.Tag == e.Target.Digest }, // blobs, one platform of an index
	func(e event) bool { return image.AttachedTag(e.Target.Tag) },                       // signatures and the like
	func(e event) bool {
		m := e.Target.MediaType
		return m != "" && !m.IsImage() && !m.IsIndex()
	},
}

// DecodeDistribution reads a notification of CNCF Distribution
// (application/vnd.docker.distribution.events.v2+json) and leaves out what is no
// image. The result may be empty. hosts tells, for the host that the registry was
// asked under, the host that image names have, or "" for one that is not known,
// whose events are left out.
//
// Events whose repository, tag or digest cannot be are left out as well: one such
// event must not hold up the others. A body that is no envelope is Invalid.
func DecodeDistribution(body []byte, hosts func(requestHost string) (imageHost string)) (_ []Push, err error) {
	defer fault.Wrap(&err, "decode a registry notification")
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fault.Errorf(fault.Invalid, "the body is not an envelope of registry events: %w", err)
	}
	var pushes []Push
	for _, e := range e.Events {
		if p, ok := e.push(hosts); ok {
			pushes = append(pushes, p)
		}
	}
	return pushes, nil
}

// DecodeAttached reads to which images, by digest, a notification says that something
// was attached: a signature, perhaps. Errors and hosts are those of DecodeDistribution.
func DecodeAttached(body []byte, hosts func(requestHost string) (imageHost string)) (_ []image.Ref, err error) {
	defer fault.Wrap(&err, "decode a registry notification")
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fault.Errorf(fault.Invalid, "the body is not an envelope of registry events: %w", err)
	}
	var refs []image.Ref
	for _, e := range e.Events {
		digest, attached := image.AttachedTo(e.Target.Tag)
		host := hosts(e.Request.Host)
		if e.Action != "push" || !attached || host == "" {
			continue
		}
		ref := image.Ref{Name: host + "/" + e.Target.Repository, Digest: digest}
		if parsed, err := image.Parse(ref.String()); err == nil && parsed == ref && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

func (e event) push(hosts func(string) string) (Push, bool) {
	for _, ignore := range ignored {
		if ignore(e) {
			return Push{}, false
		}
	}
	host := hosts(e.Request.Host)
	if host == "" {
		return Push{}, false
	}
	ref := image.Ref{Name: host + "/" + e.Target.Repository, Tag: e.Target.Tag, Digest: e.Target.Digest}
	if parsed, err := image.Parse(ref.String()); err != nil || parsed != ref || !image.ValidDigest(ref.Digest) {
		return Push{}, false
	}
	return Push{ID: e.ID, Image: ref, MediaType: string(e.Target.MediaType), At: e.Timestamp}, true
}
