package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/signature"
	"github.com/tagboat/tagboat/internal/store"
)

// demanded is a signature that an environment asks for, and whoever has to have made
// it; nobody where that cannot be told, which the demand says.
type demanded struct {
	promotion.Demand
	signer signature.Signer
}

// demands are the signatures that tagboat.yaml asks for, without the keys.
func demands(env envrepo.Environment) (all []promotion.Demand) {
	for _, s := range env.Signatures {
		c := s.Cosign
		who := "key " + c.Key
		if c.Key == "" {
			who = fmt.Sprintf("%s (by %s)", cmp.Or(c.Identity, c.IdentityRegexp), c.Issuer)
		}
		all = append(all, promotion.Demand{Who: who})
	}
	return all
}

// signers are the signatures that an environment asks for, with the keys of the
// configuration's commit (I10), whatever the branch of the environment has.
func (w *Worker) signers(b *base, env envrepo.Environment) (all []demanded, err error) {
	for i, d := range demands(env) {
		one := demanded{Demand: d}
		switch one.signer, err = w.signer(b, *env.Signatures[i].Cosign); {
		case err == nil:
			one.ID = one.signer.ID()
		case errors.Is(err, errNoRoots):
			one.Owner = operator
		default:
			one.Owner = "whoever maintains tagboat.yaml"
		}
		if err != nil {
			if err := lasting(err, &one.Err); err != nil {
				return nil, err
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// operator has told Tagboat too little.
const operator = "whoever runs Tagboat"

// errNoRoots: nobody told Tagboat which Sigstore instance to trust.
var errNoRoots = fault.Errorf(fault.Invalid, "tagboat.yaml asks for a signature without a key, and this Tagboat trusts no Sigstore instance that could certify one. Start it with --sigstore-trusted-root.")

func (w *Worker) signer(b *base, c envrepo.Cosign) (signature.Signer, error) {
	if c.Key == "" {
		if w.Sigstore == nil {
			return nil, errNoRoots
		}
		return &signature.Identity{Name: c.Identity, Pattern: c.IdentityRegexp, Issuer: c.Issuer, Roots: w.Sigstore}, nil
	}
	return PublicKey(b.trust, c.Key)
}

// PublicKey reads a key that tagboat.yaml names, beside tagboat.yaml.
func PublicKey(tree fs.FS, file string) (*signature.Key, error) {
	info, err := fs.Stat(tree, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Errorf(fault.NotFound, "tagboat.yaml asks for a signature by %s, and there is no such file on its branch. Add the public key, or name another file.", file)
	case err != nil: // a link that leads out of the repository, or in a circle
		return nil, fault.Errorf(fault.Invalid, "tagboat.yaml asks for a signature by %s, which cannot be read (%v). Name a file of the repository.", file, err)
	case !info.Mode().IsRegular() || info.Size() > signature.MaxKey:
		return nil, fault.Errorf(fault.Invalid, "tagboat.yaml asks for a signature by %s, which is no file that could hold a public key. Name what cosign generate-key-pair writes to cosign.pub.", file)
	}
	data, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil, err
	}
	return signature.ParseKey(file, data)
}

// signed asks the registry which of the signatures that an environment asks for an
// image carries. What could not be asked is an answer, too.
func (w *Worker) signed(ctx context.Context, b *base, env envrepo.Environment, ref image.Ref) ([]promotion.Signature, error) {
	signers, err := w.signers(b, env)
	if err != nil || len(signers) == 0 {
		return nil, err
	}
	attached, err := w.Registry.Attached(ctx, ref.Name, ref.Digest)
	if ctx.Err() != nil {
		return nil, ctx.Err() // stopping, not failing
	}
	now := w.Now()
	var all []promotion.Signature
	for _, s := range signers {
		if s.signer == nil {
			continue
		}
		found := promotion.Signature{Demand: s.ID, Digest: ref.Digest, At: now, Since: now, Answer: promotion.SignedUnread}
		if err != nil {
			found.Reason = explain(err)
		} else {
			j := signature.Judge(s.signer, ref.Digest, attached)
			found.Answer, found.By, found.Reason = promotion.Signed(j.Outcome), j.By, j.Reason
		}
		all = append(all, found)
	}
	return all, nil
}

// askSignatures keeps which of the demanded signatures the artifact carries now.
func (w *Worker) askSignatures(ctx context.Context, l *look) error {
	all, err := w.signed(ctx, l.base, l.env, l.ref())
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := w.Store.RecordSignature(ctx, l.row.ID, l.artifact, store.NewSignature{
			Signer: s.Demand, Outcome: string(s.Answer), SignedBy: s.By, Reason: s.Reason, At: s.At,
		}); err != nil {
			return err
		}
	}
	return nil
}

// signatures reads what was found last of the demanded signatures.
func (l *look) signatures(ctx context.Context) error {
	signers, err := l.w.signers(l.base, l.env)
	if err != nil || len(signers) == 0 {
		return err
	}
	l.facts.Rule.Signatures = nil
	for _, s := range signers {
		l.facts.Rule.Signatures = append(l.facts.Rule.Signatures, s.Demand)
		if s.Owner == operator {
			l.again = earlier(l.again, l.at.Add(standstill)) // nobody tells that Tagboat was told
		}
	}
	known, err := l.w.Store.Signatures(ctx, l.artifact.ID)
	for _, k := range known {
		s := promotion.Signature{
			Demand: k.Signer, Digest: l.artifact.Digest, Answer: promotion.Signed(k.Outcome), By: k.SignedBy, Reason: k.Reason, At: k.AskedAt, Since: k.Since,
		}
		l.facts.Signatures = append(l.facts.Signatures, s)
		for _, d := range l.facts.Rule.Signatures {
			if d.ID == s.Demand && s.Answer == promotion.SignedBy {
				l.model.SignedBy = append(l.model.SignedBy, s.By)
			}
		}
	}
	return err
}

// signatureDetail is what was found of each demanded signature, as evidence.
func (l *look) signatureDetail() (string, error) {
	type found struct {
		Demanded string           `json:"demanded"`
		Found    promotion.Signed `json:"found"`
		SignedBy string           `json:"signedBy,omitempty"`
		Digest   string           `json:"digest,omitempty"`
		Asked    time.Time        `json:"asked,omitzero"`
	}
	all := []found{}
	for _, d := range l.facts.Rule.Signatures {
		one := found{Demanded: d.Who}
		for _, s := range l.facts.Signatures {
			if d.ID != "" && s.Demand == d.ID {
				one = found{Demanded: d.Who, Found: s.Answer, SignedBy: s.By, Digest: s.Digest, Asked: s.At.UTC()}
			}
		}
		all = append(all, one)
	}
	text, err := json.Marshal(map[string]any{"signatures": all})
	return string(text), err
}
