package sops

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/stores"
	"github.com/getsops/sops/v3/stores/dotenv"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tagboat/tagboat/internal/fault"
)

// Object is one rendered object of any kind.
type Object = *unstructured.Unstructured

// Annotation on an object says "disabled" where an object is to go into the cluster as
// it stands in Git, because something there decrypts it.
const Annotation = "tagboat.dev/decrypt"

// metadata is the key under which SOPS writes what it needs to decrypt.
const metadata = "sops"

// envPrefix begins the variables that SOPS adds to a dotenv file.
const envPrefix = "sops_"

// Decrypt is the objects with those decrypted that SOPS has encrypted: Secrets, and
// values of Secrets that a secretGenerator made of encrypted files. The others are
// the same objects, and none is changed. secret are those of the result that were
// encrypted: nobody may read their values.
//
// Only data and stringData of a Secret may be encrypted. Whatever else is applied has
// been read before, by people and by policies: a Deployment whose spec nobody could read
// is refused.
//
// The suffix that a generator gives to a name stays that of the encrypted content.
//
// Errors: Denied for a key that Tagboat does not have, with the keys that would do;
// Invalid for what is damaged, or may not be encrypted; Transient while a key service does not answer. They name
// objects and fields, and quote no value.
func (k *Keyring) Decrypt(ctx context.Context, objects []Object) (all, secret []Object, err error) {
	if k == nil {
		k = &Keyring{}
	}
	for _, o := range objects {
		plain, err := k.object(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		if plain != o {
			secret = append(secret, plain)
		}
		all = append(all, plain)
	}
	return all, secret, nil
}

// object is o itself where nothing of it is encrypted.
func (k *Keyring) object(ctx context.Context, o Object) (_ Object, err error) {
	defer noPanic(called(o), &err)
	switch {
	case o.GetAnnotations()[Annotation] == "disabled", o.GetKind() == "SopsSecret": // of an operator that decrypts in the cluster
		return o, nil
	case Encrypted(o) && !isSecret(o):
		return nil, fault.Errorf(fault.Invalid, "%s is encrypted by SOPS, and Tagboat decrypts nothing but Secrets: what else is applied has to be read by people and policies first. Decrypt it, put its secret values into a Secret that is encrypted, and refer to that; or, if something in the cluster decrypts it, annotate it with %s: disabled", called(o), Annotation)
	case Encrypted(o):
		return k.whole(ctx, o)
	case isSecret(o):
		return k.generated(ctx, o)
	}
	return o, nil
}

// Encrypted reports whether SOPS has encrypted an object as a whole.
func Encrypted(o Object) bool {
	m, ok := o.Object[metadata].(map[string]any)
	if !ok {
		return false
	}
	mac, _ := m["mac"].(string)
	return strings.HasPrefix(mac, "ENC[") || isSecret(o) // which has no such field of its own
}

func isSecret(o Object) bool { return o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" }

// called is an object's name in messages.
func called(o Object) string {
	name := o.GetName()
	if ns := o.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	return o.GetKind() + " " + name
}

// whole decrypts a Secret that stood in a file which SOPS encrypted.
func (k *Keyring) whole(ctx context.Context, o Object) (Object, error) {
	what := called(o)
	tree, err := treeOf(o.Object)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "what SOPS wrote into %s cannot be read; encrypt it anew", what)
	}
	if err := k.decrypt(ctx, what, &tree, reshaped); err != nil {
		return nil, err
	}
	plain := &unstructured.Unstructured{}
	data, err := objectOf(tree)
	if err == nil {
		err = plain.UnmarshalJSON(data)
	}
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%s is no Kubernetes object any more when it is decrypted; encrypt its data alone (encrypted_regex: ^(data|stringData)$)", what)
	}
	if !reflect.DeepEqual(around(plain), around(o)) {
		return nil, fault.Errorf(fault.Invalid, "more of %s is encrypted than its data: nobody could say what it is before it is applied. Encrypt its values alone (encrypted_regex: ^(data|stringData)$)", what)
	}
	return plain, textsOf(plain)
}

// around is all of a Secret that stands around its values: what it is, its name, and what
// it says to others.
func around(o Object) map[string]any {
	rest := maps.Clone(o.Object)
	for _, field := range []string{"data", "stringData", metadata} {
		delete(rest, field)
	}
	return rest
}

// textsOf checks what the API server answers with an internal error, which would be
// tried again for ever: data of a Secret that is not base64.
func textsOf(o Object) error {
	data, _ := o.Object["data"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(data)) {
		text, ok := data[key].(string)
		if _, err := base64.StdEncoding.DecodeString(text); err != nil || !ok && data[key] != nil {
			return fault.Errorf(fault.Invalid, "data.%s of %s is not base64 when it is decrypted; plain text belongs into stringData", key, called(o))
		}
	}
	return nil
}

// generated decrypts values of a Secret that are encrypted documents: what a
// secretGenerator makes of encrypted files (files:), or of the lines of one (envs:).
func (k *Keyring) generated(ctx context.Context, o Object) (Object, error) {
	data, _ := o.Object["data"].(map[string]any)
	decoded := map[string][]byte{}
	for key, v := range data {
		text, _ := v.(string)
		if value, err := base64.StdEncoding.DecodeString(text); err == nil {
			decoded[key] = value
		}
	}
	if strings.HasPrefix(string(decoded[envPrefix+"mac"]), "ENC[") {
		plain, err := k.environment(ctx, o, decoded)
		if err != nil {
			return nil, err
		}
		return k.files(ctx, o, plain, decoded)
	}
	return k.files(ctx, o, o, decoded)
}

// files decrypts the values that were encrypted files, in a copy of the object unless
// plain is one already.
func (k *Keyring) files(ctx context.Context, o, plain Object, decoded map[string][]byte) (Object, error) {
	for _, key := range slices.Sorted(maps.Keys(decoded)) {
		f, encrypted := formatOf(decoded[key])
		if !encrypted {
			continue
		}
		content, err := k.document(ctx, fmt.Sprintf("%s of %s", key, called(o)), key, decoded[key], f)
		if err != nil {
			return nil, err
		}
		if plain == o {
			plain = o.DeepCopy()
		}
		plain.Object["data"].(map[string]any)[key] = base64.StdEncoding.EncodeToString(content)
	}
	return plain, nil
}

// environment decrypts the values that were lines of a dotenv file, and takes out those
// that SOPS added. Their order, which the MAC is over, is not known any more. What is not
// encrypted came from elsewhere.
func (k *Keyring) environment(ctx context.Context, o Object, values map[string][]byte) (Object, error) {
	what := called(o)
	plain := o.DeepCopy()
	data := plain.Object["data"].(map[string]any)
	var file strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := string(values[name])
		added := strings.HasPrefix(name, envPrefix)
		if !added && !strings.HasPrefix(value, "ENC[") || strings.ContainsAny(value, "\r\n") {
			continue
		}
		if added {
			delete(data, name)
		}
		fmt.Fprintf(&file, "%s=%s\n", name, value)
	}
	tree, err := dotenv.NewStore(&config.DotenvStoreConfig{}).LoadEncryptedFile([]byte(file.String()))
	if err != nil || len(tree.Branches) != 1 {
		return nil, fault.Errorf(fault.Invalid, "what SOPS wrote into the variables of %s cannot be read; encrypt them anew", what)
	}
	if err := k.decrypt(ctx, what, &tree, reshaped); err != nil {
		return nil, err
	}
	for _, item := range tree.Branches[0] {
		if name, ok := item.Key.(string); ok { // not a comment
			data[name] = base64.StdEncoding.EncodeToString([]byte(stores.ValToString(item.Value)))
		}
	}
	return plain, nil
}
