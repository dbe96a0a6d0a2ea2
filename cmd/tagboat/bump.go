package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
)

type bumpCommand struct {
	Dir    string       `default:"." help:"Root of the checkout; the current directory." type:"existingdir"`
	Path   []string     `sep:"none" help:"An overlay's directory, or a file, below the root. Repeatable." placeholder:"OVERLAY"`
	Image  []imageFlag  `sep:"none" help:"NAME=TAG, NAME=TAG@DIGEST or NAME@DIGEST. Repeatable." placeholder:"NAME=TAG"`
	Chart  []chartFlag  `sep:"none" help:"NAME=VERSION or NAME=VERSION@DIGEST, of a Helm chart. Repeatable." placeholder:"NAME=VERSION"`
	Ref    []refFlag    `sep:"none" help:"URL=REVISION, of a remote base or an Argo CD source. Repeatable." placeholder:"URL=REVISION"`
	Refs   bool         `help:"Remote bases whose ?ref= is an image's old tag follow to its new one."`
	Pin    *overlay.Pin `enum:"tag,digest,tag+digest" help:"What an image is pinned by: tag, digest or tag+digest." placeholder:"WHAT"`
	Write  bool         `help:"Edit the files."`
	Output string       `enum:"text,json" default:"text" help:"text (a unified diff) or json."`
}

// Help is the command's documentation.
func (bumpCommand) Help() string {
	return `Prints a unified diff of what would change; with --write it also changes it. Only the bytes of the versions
themselves are replaced: comments, quotes, indentation and line ends stay. What cannot be edited for certain (a
template, a shared anchor, a key that stands twice) is refused with its file and line, and then no file is written.

NAME is what runs (newName) or what the base calls it (name). It is found in images: of kustomizations, image: of
manifests and patches, Helm values, Chart.yaml, helmCharts:, and the objects of Flux and Argo CD. A digest that stands
beside a tag moves with it, so it has to be given then.

Without --path, an image moves wherever it stands: in the apps of tagboat.yaml, each with the pin of its environment,
or, without a tagboat.yaml, in every YAML file of the checkout. A directory given with --path means its kustomization,
and for what that does not carry the other YAML files directly in it. With --path, --refs looks at all the paths
together; without, only at the directories in which the image stands.

Exit codes: 0 something changes, 3 everything is at that version already, 1 error, 2 usage.

Examples:
  tagboat bump --path apps/payments/overlays/dev --image registry.example.com/payments=1.7.0 --write
  tagboat bump --image registry.example.com/payments=1.7.0@sha256:0d3f... | git apply
  tagboat bump --path infra/prod --chart ingress-nginx=4.11.3 --ref https://github.com/acme/base=v2.1.0`
}

// Validate implements kong.Validatable.
func (c bumpCommand) Validate() error {
	if len(c.Image)+len(c.Chart)+len(c.Ref) == 0 {
		return errors.New("nothing to bump; say what with --image, --chart or --ref")
	}
	return nil
}

// Run plans, writes where asked to, and prints the diff.
func (c bumpCommand) Run(s streams) error {
	o := app.BumpOptions{Paths: c.Path, Refs: c.Refs, Write: c.Write}
	if c.Pin != nil {
		o.Pin = *c.Pin
	}
	for _, f := range c.Image {
		o.Changes = append(o.Changes, overlay.Change(f))
	}
	for _, f := range c.Chart {
		o.Changes = append(o.Changes, overlay.Change(f))
	}
	for _, f := range c.Ref {
		o.Changes = append(o.Changes, overlay.Change(f))
	}
	b, err := app.Bump(c.Dir, o)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = printJSON(s.out, b)
	} else {
		warn(s.err, b.Warnings)
		_, err = fmt.Fprint(s.out, b.Diff())
	}
	if err == nil && len(b.Files) == 0 {
		fmt.Fprintln(s.err, "Nothing to change: everything is at that version already.")
		return exitCode(otherwise)
	}
	return err
}

// imageFlag is an image and the version that it shall have.
type imageFlag overlay.Change

// UnmarshalText reads NAME=TAG, NAME=TAG@DIGEST, NAME=@DIGEST and NAME@DIGEST.
func (f *imageFlag) UnmarshalText(text []byte) error {
	name, version, ok := strings.Cut(string(text), "=")
	if !ok { // NAME@DIGEST
		if at := strings.IndexByte(name, '@'); at >= 0 {
			name, version = name[:at], name[at:]
		}
	}
	tag, digest, pinned := strings.Cut(version, "@")
	ref, err := image.Parse(name)
	switch {
	case err != nil || ref.Tag != "" || ref.Digest != "":
		return fmt.Errorf("%q is not the name of an image; write NAME=TAG, such as registry.example.com/payments=1.7.0", name)
	case tag == "" && !pinned || tag != "" && !image.ValidTag(tag):
		return fmt.Errorf("%q is not a tag; write NAME=TAG, such as %s=1.7.0", tag, name)
	case pinned && !image.ValidDigest(digest):
		return fmt.Errorf("%q is not a digest; it is sha256: and 64 hex digits", digest)
	}
	*f = imageFlag{Kind: overlay.KindImage, Name: name, Version: tag, Digest: digest}
	return nil
}

// chartFlag is a Helm chart and the version that it shall have.
type chartFlag overlay.Change

// UnmarshalText reads NAME=VERSION and NAME=VERSION@DIGEST.
func (f *chartFlag) UnmarshalText(text []byte) error {
	name, version, _ := strings.Cut(string(text), "=")
	version, digest, pinned := strings.Cut(version, "@")
	switch {
	case name == "" || version == "":
		return fmt.Errorf("%q is not NAME=VERSION, such as ingress-nginx=4.11.3", text)
	case pinned && !image.ValidDigest(digest):
		return fmt.Errorf("%q is not a digest; it is sha256: and 64 hex digits", digest)
	}
	*f = chartFlag{Kind: overlay.KindChart, Name: name, Version: version, Digest: digest}
	return nil
}

// refFlag is a git repository and the revision that is wanted of it.
type refFlag overlay.Change

// UnmarshalText reads URL=REVISION. An address may have = in it, a revision hardly.
func (f *refFlag) UnmarshalText(text []byte) error {
	cut := strings.LastIndexByte(string(text), '=')
	if cut <= 0 || cut == len(text)-1 {
		return fmt.Errorf("%q is not URL=REVISION, such as https://github.com/acme/base=v2.1.0", text)
	}
	*f = refFlag{Kind: overlay.KindRevision, Name: string(text[:cut]), Version: string(text[cut+1:])}
	return nil
}
