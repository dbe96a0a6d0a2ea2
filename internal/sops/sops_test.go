package sops_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	getsops "github.com/getsops/sops/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/sops"
)

func TestASecretIsDecryptedByEitherKey(t *testing.T) {
	first, second, person := ageKey(t), ageKey(t), pgpKey(t)
	o := object(t, encrypted(t, "yaml", secretFile, dataOnly, forAge(first), pgpMaster(t, person)))
	want := map[string]any{"user": "payments", "password": hunter}
	for name, c := range map[string]sops.Config{
		"the age key":         {Age: []sops.File{ageFile(first)}},
		"one of two age keys": {Age: []sops.File{ageFile(second), ageFile(first)}},
		"the PGP key":         {PGP: []sops.File{pgpFile(t, person)}},
		"the PGP key, where the age key is another": {Age: []sops.File{ageFile(second)}, PGP: []sops.File{pgpFile(t, person)}},
	} {
		t.Run(name, func(t *testing.T) {
			plain := decrypt(t, open(t, c), o)
			if diff := cmp.Diff(want, plain.Object["stringData"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, there := plain.Object["sops"]; there || plain.GetName() != "db" || plain.GetNamespace() != "payments" {
				t.Errorf("it came to %v", plain.Object)
			}
		})
	}
}

// Kustomize gives it another namespace, name and labels, and sorts its fields: what SOPS
// signed as a whole is not what is there any more.
func TestWhatKustomizeHasReshapedIsDecrypted(t *testing.T) {
	key := ageKey(t)
	o := object(t, encrypted(t, "yaml", secretFile, dataOnly, forAge(key)))
	o.SetNamespace("elsewhere")
	o.SetName("blue-db")
	o.SetLabels(map[string]string{"app": "payments"})
	o.Object["metadata"].(map[string]any)["annotations"] = map[string]any{}
	o.Object["metadata"].(map[string]any)["creationTimestamp"] = nil
	o.Object["immutable"] = true
	plain := decrypt(t, open(t, sops.Config{Age: []sops.File{ageFile(key)}}), o)
	if plain.GetNamespace() != "elsewhere" || plain.GetLabels()["app"] != "payments" || plain.Object["stringData"].(map[string]any)["password"] != hunter {
		t.Errorf("it came to %v", plain.Object)
	}
}

// What people and policies have read as an encrypted text, nobody has read.
func TestNothingButValuesOfSecretsMayBeEncrypted(t *testing.T) {
	key := ageKey(t)
	k := open(t, sops.Config{Age: []sops.File{ageFile(key)}})
	const readable = "^(apiVersion|kind|metadata)$"
	for name, c := range map[string]struct{ text, plain, word string }{
		"a Deployment":                {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\nspec: {paused: true, command: " + hunter + "}\n", readable, "Deployment api is encrypted by SOPS, and Tagboat decrypts nothing but Secrets"},
		"who may do what":             {"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: api}\nroleRef: {name: " + hunter + "}\n", readable, "put its secret values into a Secret"},
		"a ConfigMap":                 {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: api}\ndata: {a: " + hunter + "}\n", readable, "tagboat.dev/decrypt: disabled"},
		"a Secret of another group":   {"apiVersion: example.com/v1\nkind: Secret\nmetadata: {name: api}\ndata: {a: " + hunter + "}\n", readable, "Secret api is encrypted by SOPS, and Tagboat decrypts nothing but Secrets"},
		"the type of a Secret":        {strings.Replace(secretFile, "stringData", "type: Opaque\nstringData", 1), readable, "more of Secret payments/db is encrypted than its data"},
		"the annotations of a Secret": {strings.Replace(secretFile, "metadata:", "metadata:\n  annotations: {owner: "+hunter+"}", 1), "^(apiVersion|kind|name|namespace)$", "encrypted_regex: ^(data|stringData)$"},
		// Kustomize takes any text for a namespace.
		"the namespace of a Secret": {secretFile, "^(apiVersion|kind|name)$", "is encrypted than its data"},
		"the name of a Secret":      {secretFile, "^(apiVersion|kind|namespace)$", "is encrypted than its data"},
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, encrypted(t, "yaml", c.text, func(m *getsops.Metadata) { m.UnencryptedRegex = c.plain }, forAge(key)))
			_, _, err := k.Decrypt(t.Context(), []sops.Object{o})
			if said := fault.HintOf(err); !fault.Is(err, fault.Invalid) || !strings.Contains(said, c.word) || strings.Contains(said, hunter) {
				t.Errorf("got %v", err)
			}
			o.SetAnnotations(map[string]string{sops.Annotation: "disabled"})
			if all, secret, err := k.Decrypt(t.Context(), []sops.Object{o}); err != nil || len(secret) != 0 || all[0] != o {
				t.Errorf("to be decrypted in the cluster: %v, %v", all, err)
			}
		})
	}
}

func TestWhatIsNotEncryptedStaysAsItIs(t *testing.T) {
	key := ageKey(t)
	k := open(t, sops.Config{Age: []sops.File{ageFile(key)}})
	disabled := object(t, encrypted(t, "yaml", secretFile, dataOnly, forAge(key)))
	disabled.SetAnnotations(map[string]string{sops.Annotation: "disabled"})
	operator := object(t, encrypted(t, "yaml", strings.Replace(secretFile, "v1\nkind: Secret", "isindir.github.com/v1alpha3\nkind: SopsSecret", 1), dataOnly, forAge(key)))
	for _, o := range []sops.Object{
		object(t, secretFile), disabled, operator,
		object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: aHVudGVyMg==, b: null}\n"),
		object(t, "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\nspec: {encryptedData: {a: AgBy}}\n"),
		object(t, "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a}\nspec: {refreshInterval: 1h}\n"),
		object(t, "apiVersion: example.com/v1\nkind: Tool\nmetadata: {name: a}\nsops: {version: 3}\n"),
	} {
		for _, k := range []*sops.Keyring{k, nil} {
			all, secret, err := k.Decrypt(t.Context(), []sops.Object{o})
			if err != nil || len(secret) != 0 || len(all) != 1 || all[0] != o {
				t.Errorf("%v came to %v, %v", o.Object, all, err)
			}
		}
	}
}

// generated is a Secret as a secretGenerator makes it of files.
func generated(t *testing.T, files map[string]string) sops.Object {
	t.Helper()
	data := map[string]any{}
	for name, content := range files {
		data[name] = base64.StdEncoding.EncodeToString([]byte(content))
	}
	o := object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: db-7d9k2m}\n")
	o.Object["data"] = data
	return o
}

func values(t *testing.T, o sops.Object) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, v := range o.Object["data"].(map[string]any) {
		value, err := base64.StdEncoding.DecodeString(v.(string))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(value)
	}
	return out
}

func TestFilesOfASecretGeneratorAreDecrypted(t *testing.T) {
	key := ageKey(t)
	k := open(t, sops.Config{Age: []sops.File{ageFile(key)}})
	for name, f := range map[string]struct{ format, key, plain string }{
		"binary":       {"binary", "id_ed25519", "-----BEGIN KEY-----\n" + hunter + "\n"},
		"YAML":         {"yaml", "app.yaml", "db:\n    password: " + hunter + "\n    port: 5432\n"},
		"YAML streams": {"yaml", "app.yaml", "a: " + hunter + "\n---\nb: " + hunter + "\n"},
		"dotenv":       {"dotenv", "secret.env", "USER=payments\nPASSWORD=" + hunter + "\n"},
		"INI":          {"ini", "app.ini", "[db]\npassword = " + hunter + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			o := generated(t, map[string]string{f.key: encrypted(t, f.format, f.plain, nil, forAge(key)), "plain": "as it is"})
			got := values(t, decrypt(t, k, o))
			if strings.TrimSpace(got[f.key]) != strings.TrimSpace(f.plain) || got["plain"] != "as it is" || len(got) != 2 {
				t.Errorf("it came to %q", got)
			}
		})
	}
	t.Run("JSON", func(t *testing.T) {
		plain := `{"data": "` + hunter + `", "n": 1}`
		for name, text := range map[string]string{"app.json": plain, "only.json": `{"data": "` + hunter + `"}`} {
			got := values(t, decrypt(t, k, generated(t, map[string]string{name: encrypted(t, "json", text, nil, forAge(key))})))
			var is, want any
			if err := json.Unmarshal([]byte(got[name]), &is); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(text), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, is); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

// envs: takes the lines of a file apart before anybody can decrypt it.
func TestTheLinesOfAnEncryptedEnvironmentAreDecrypted(t *testing.T) {
	key := ageKey(t)
	lines := map[string]string{"MODE": "fast, and not from that file"}
	for line := range strings.Lines(encrypted(t, "dotenv", "USER=payments\nZONE=\nPASSWORD="+hunter+"\nHOST_unencrypted=db.example.com\n", nil, forAge(key))) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		lines[name] = value
	}
	o := generated(t, lines)
	got := values(t, decrypt(t, open(t, sops.Config{Age: []sops.File{ageFile(key)}}), o))
	want := map[string]string{"USER": "payments", "ZONE": "", "PASSWORD": hunter, "HOST_unencrypted": "db.example.com", "MODE": "fast, and not from that file"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	refused(t, open(t, sops.Config{Age: []sops.File{ageFile(ageKey(t))}}), o, fault.Denied, "Secret db-7d9k2m is encrypted by SOPS for "+key.Recipient().String())
	lines["PASSWORD"] = lines["USER"]
	refused(t, open(t, sops.Config{Age: []sops.File{ageFile(key)}}), generated(t, lines), fault.Invalid, "PASSWORD of Secret db-7d9k2m cannot be decrypted")
}

func TestWithoutTheKeyItSaysWhoCanDoWhat(t *testing.T) {
	theirs, ours, person, other := ageKey(t), ageKey(t), pgpKey(t), pgpKey(t)
	o := object(t, encrypted(t, "yaml", secretFile, dataOnly, forAge(theirs), pgpMaster(t, person)))
	words := []string{"Secret payments/db is encrypted by SOPS for " + theirs.Recipient().String(), fmt.Sprintf("PGP key %X", person.PrimaryKey.Fingerprint), "sops updatekeys", "--sops-age-key"}
	refused(t, nil, o, fault.Denied, append(words, "has no keys at all")...)
	refused(t, open(t, sops.Config{Age: []sops.File{ageFile(ours)}}), o, fault.Denied, append(words, "this Tagboat has "+ours.Recipient().String())...)
	refused(t, open(t, sops.Config{PGP: []sops.File{pgpFile(t, other)}}), o, fault.Denied, append(words, fmt.Sprintf("this Tagboat has PGP key %X", other.PrimaryKey.Fingerprint))...)
	for name, file := range map[string]string{"a file": encrypted(t, "binary", hunter, nil, forAge(theirs))} {
		refused(t, open(t, sops.Config{Age: []sops.File{ageFile(ours)}}), generated(t, map[string]string{name: file}), fault.Denied, "a file of Secret db-7d9k2m is encrypted by SOPS for")
	}
}

func TestWhatWasChangedByHandIsRefused(t *testing.T) {
	key := ageKey(t)
	k := open(t, sops.Config{Age: []sops.File{ageFile(key)}})
	whole := func(change func(data map[string]any, o sops.Object)) sops.Object {
		o := object(t, encrypted(t, "yaml", secretFile, dataOnly, forAge(key)))
		change(o.Object["stringData"].(map[string]any), o)
		return o
	}
	for name, o := range map[string]sops.Object{
		"a value": whole(func(data map[string]any, _ sops.Object) {
			data["password"] = strings.Replace(data["password"].(string), "data:", "data:AAAA", 1)
		}),
		"values that changed places": whole(func(data map[string]any, _ sops.Object) { data["password"] = data["user"] }),
		"a value in plain text":      whole(func(data map[string]any, _ sops.Object) { data["password"] = "typed-by-hand " + hunter }),
		"a number":                   whole(func(data map[string]any, _ sops.Object) { data["password"] = int64(31415926) }),
		"metadata of another shape": whole(func(_ map[string]any, o sops.Object) {
			o.Object["sops"].(map[string]any)["age"] = "typed-by-hand"
		}),
		"hardly any metadata": whole(func(_ map[string]any, o sops.Object) { o.Object["sops"] = map[string]any{"version": "3.13.3"} }),
		"no time":             whole(func(_ map[string]any, o sops.Object) { delete(o.Object["sops"].(map[string]any), "lastmodified") }),
	} {
		t.Run(name, func(t *testing.T) { refused(t, k, o, fault.Invalid, "Secret payments/db") })
	}
	t.Run("the path of the value is told", func(t *testing.T) {
		refused(t, k, whole(func(data map[string]any, _ sops.Object) { data["password"] = data["user"] }), fault.Invalid, "stringData.password of Secret payments/db cannot be decrypted", "Edit it with sops")
	})
	t.Run("a document that has lost a line", func(t *testing.T) {
		file := encrypted(t, "dotenv", "FIRST=a\nPASSWORD="+hunter+"\n", nil, forAge(key))
		_, rest, _ := strings.Cut(file, "\n")
		refused(t, k, generated(t, map[string]string{"secret.env": rest}), fault.Invalid, "secret.env of Secret db-7d9k2m", "MAC")
	})
	t.Run("a document whose plain part was changed", func(t *testing.T) {
		file := encrypted(t, "yaml", "host_unencrypted: db.example.com\npassword: "+hunter+"\n", nil, forAge(key))
		refused(t, k, generated(t, map[string]string{"app.yaml": strings.Replace(file, "db.example.com", "db.evil.example", 1)}), fault.Invalid, "app.yaml of Secret db-7d9k2m", "MAC")
	})
	t.Run("data that is not base64", func(t *testing.T) {
		o := object(t, encrypted(t, "yaml", strings.Replace(secretFile, "stringData", "data", 1), dataOnly, forAge(key)))
		refused(t, k, o, fault.Invalid, "data.password of Secret payments/db is not base64", "stringData")
	})
}

// Anybody may have written what SOPS did not.
func TestHostileDocuments(t *testing.T) {
	key := ageKey(t)
	k := open(t, sops.Config{Age: []sops.File{ageFile(key)}})
	good := encrypted(t, "yaml", "a: b\n", nil, forAge(key))
	bomb := "b0: &b0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("b%d: &b%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*b%d, ", i-1), 10), ", "))
	}
	deep := `{"mac": "ENC[AES256_GCM,", "a": ` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + "}"
	for name, file := range map[string]string{
		"aliases that multiply":        good + "---\n" + bomb,
		"arrays within arrays":         deep,
		"a document that is too large": good + strings.Repeat("# x\n", 1<<20),
	} {
		t.Run(name, func(t *testing.T) { // it is not taken for a document, and stays as it is
			o := generated(t, map[string]string{"a": file})
			all, secret, err := k.Decrypt(t.Context(), []sops.Object{o})
			if err != nil || len(secret) != 0 || all[0] != o {
				t.Errorf("got %d objects, %v", len(all), err)
			}
		})
	}
	for name, file := range map[string]string{
		"no keys":         "a: ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]\nsops:\n  mac: ENC[AES256_GCM,x]\n  lastmodified: \"2026-03-05T12:00:00Z\"\n",
		"a list as a key": "sops:\n  mac: ENC[AES256_GCM,x]\n  lastmodified: \"2026-03-05T12:00:00Z\"\n  age: [[1]]\n",
		"no mapping":      "sops: [\"mac: ENC[AES256_GCM,\"]\n",
		"an empty key":    "sops_mac=ENC[AES256_GCM,x]\nsops_=\nsops___list_-1__map_=x\n",
		"INI":             "[sops]\nage__list_0__map_enc = x\nmac = y\n",
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, k, generated(t, map[string]string{"a": file}), fault.Invalid, "a of Secret db-7d9k2m")
		})
	}
}

func TestKeyFilesThatCannotBeUsed(t *testing.T) {
	locked := pgpKey(t)
	if err := locked.EncryptPrivateKeys([]byte("a passphrase"), nil); err != nil {
		t.Fatal(err)
	}
	var kept bytes.Buffer
	if err := locked.SerializePrivateWithoutSigning(&kept, nil); err != nil {
		t.Fatal(err)
	}
	protected := armored(t, openpgp.PrivateKeyType, func(b *bytes.Buffer) error { _, err := b.Write(kept.Bytes()); return err })
	public := armored(t, openpgp.PublicKeyType, func(b *bytes.Buffer) error { return pgpKey(t).Serialize(b) })
	for name, c := range map[string]struct {
		config sops.Config
		says   string
	}{
		"no age key":                            {sops.Config{Age: []sops.File{{Name: "age.txt", Data: []byte("AGE-SECRET-KEY-1" + hunter)}}}, "age.txt is no file of age identities"},
		"an age key by a program":               {sops.Config{Age: []sops.File{{Name: "age.txt", Data: []byte("AGE-PLUGIN-YUBIKEY-1QQPQYQZPQ")}}}, "age.txt is no file of age identities"},
		"no PGP key":                            {sops.Config{PGP: []sops.File{{Name: "key.asc", Data: []byte(hunter)}}}, "key.asc holds no armored PGP key"},
		"a public PGP key":                      {sops.Config{PGP: []sops.File{{Name: "key.asc", Data: public}}}, "has no private part that can be used"},
		"a PGP key with a passphrase":           {sops.Config{PGP: []sops.File{{Name: "key.asc", Data: protected}}}, "without a passphrase"},
		"all keys of AWS":                       {sops.Config{KMS: []string{"arn:aws:kms:"}}, "not the name of a key in a key service"},
		"a region that is a host":               {sops.Config{KMS: []string{"arn:aws:kms:evil.example/:111122223333:"}}, "not the name"},
		"every host":                            {sops.Config{KMS: []string{"https://"}}, "not the name"},
		"a host with a password, which it logs": {sops.Config{KMS: []string{"https://u@vault.example.com/v1/sops"}}, "not the name"},
		"all keys of a host":                    {sops.Config{KMS: []string{"https://acme.vault.azure.net"}}, "not the name"},
		"all keys of a host, with a slash":      {sops.Config{KMS: []string{"https://acme.vault.azure.net/"}}, "not the name"},
		"a query":                               {sops.Config{KMS: []string{"https://vault.example.com/v1/sops?a"}}, "not the name"},
		"all of Google's":                       {sops.Config{KMS: []string{"projects/"}}, "not the name"},
		"the kind alone":                        {sops.Config{KMS: []string{"aws"}}, "not the name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sops.Open(c.config)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), c.says) || strings.Contains(err.Error(), hunter) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What the process happens to have is not what it was given: the library alone would
// find these keys, and start this program.
func TestKeysOfTheEnvironmentAreNotUsed(t *testing.T) {
	key, person := ageKey(t), pgpKey(t)
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	program := filepath.Join(dir, "gpg")
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(name, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(program, "#!/bin/sh\ntouch "+started+"\n", 0o700)
	if err := exec.Command(program).Run(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(started); err != nil { // so it would work
		t.Fatal(err)
	}
	write(filepath.Join(dir, "secring.gpg"), string(armoredRaw(t, person)), 0o600)
	t.Setenv("SOPS_AGE_KEY", key.String())
	t.Setenv("SOPS_AGE_KEY_CMD", program)
	t.Setenv("SOPS_GPG_EXEC", program)
	t.Setenv("GNUPGHOME", dir)
	o := object(t, encrypted(t, "yaml", secretFile, dataOnly, forAge(key), pgpMaster(t, person)))
	refused(t, open(t, sops.Config{}), o, fault.Denied, "has no keys at all")
	refused(t, open(t, sops.Config{Age: []sops.File{ageFile(ageKey(t))}, PGP: []sops.File{pgpFile(t, pgpKey(t))}}), o, fault.Denied)
	if _, err := os.Stat(started); err == nil {
		t.Error("a program was started")
	}
}

func armoredRaw(t *testing.T, key *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := key.SerializePrivate(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
