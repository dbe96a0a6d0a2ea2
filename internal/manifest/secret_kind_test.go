package manifest_test

import (
	"strings"
	"testing"
)

// custom is an object of another group that has these fields.
func custom(kind, fields string) string {
	return "apiVersion: example.com/v1\nkind: " + kind + "\nmetadata: {name: x}\n" + fields + "\n"
}

func TestNobodyReadsTheDataOfAKindOfSecret(t *testing.T) {
	for name, stream := range map[string]string{
		"data at the top":             custom("ClusterSecret", "data: {a: HUNTER}"),
		"stringData at the top":       custom("BitnamiSecret", "stringData: {a: HUNTER}"),
		"data in spec":                custom("VaultStaticSecret", "spec: {data: {a: HUNTER}}"),
		"numbers and truths":          custom("VaultStaticSecret", "spec: {data: {a: 73412, b: HUNTER, c: [HUNTER]}}"),
		"stringData of templates":     custom("SopsSecret", "spec: {secretTemplates: [{name: a, stringData: {b: HUNTER}}]}"),
		"data of templates":           custom("SopsSecret", "spec: {secretTemplates: [{name: a, data: {b: HUNTER}}]}"),
		"data that is a list":         custom("InfisicalSecret", "spec: {data: [{key: a, is: HUNTER}]}"),
		"data that is a text":         custom("InfisicalSecret", "spec: {data: HUNTER}"),
		"data of another name":        custom("AcmeSecret", "spec: {secretData: {a: HUNTER}, literals: [HUNTER]}"),
		"a template's data":           custom("ExternalSecret", "spec: {target: {template: {data: {a: 'x HUNTER'}}}}"),
		"references that are none":    custom("ExternalSecret", "spec: {data: {a: HUNTER}}"),
		"a sealed template's data":    custom("SealedSecret", "spec: {template: {data: {a: HUNTER}}}"),
		"ciphertext":                  custom("SealedSecret", "spec: {encryptedData: {a: HUNTER}}"),
		"a Secret within":             custom("Object", "spec: {forProvider: {manifest: {apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: HUNTER}}}}"),
		"a Secret in a list within":   custom("Release", "spec: {extra: [{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {b: HUNTER}}]}"),
		"a policy's Secret":           custom("ClusterPolicy", "spec: {rules: [{generate: {apiVersion: v1, kind: Secret, name: a, data: {stringData: {b: HUNTER}}}}]}"),
		"a ConfigMap's key within":    custom("Object", "spec: {manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {tls.key: HUNTER}}}"),
		"what kapp applied last":      "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  annotations:\n    kapp.k14s.io/original: '{\"data\":{\"a\":\"HUNTER\"}}'\n",
		"what some tool applied last": "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  annotations:\n    example.com/was: '{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"data\":{\"a\":\"HUNTER\"}}'\n",
		"a patch of a Secret":         custom("Kustomization", "spec: {patches: [{patch: [{op: add, path: /stringData/a, value: HUNTER}]}]}"),
	} {
		t.Run(name, func(t *testing.T) { keptQuiet(t, stream, "HUNTER") })
	}
}

func TestReferencesToSecretsCanBeRead(t *testing.T) {
	for _, stream := range []string{
		custom("ExternalSecret", "spec: {data: [{secretKey: VALUE, remoteRef: {key: prod/db}}]}"),
		custom("ExternalSecret", "spec: {data: [{secretKey: password, remoteRef: {key: VALUE, property: password}}]}"),
		custom("ExternalSecret", "spec: {data: [{secretKey: password, remoteRef: {key: db, property: VALUE, version: v1}}]}"),
		custom("ExternalSecret", "spec: {dataFrom: [{extract: {key: VALUE}}]}"),
		custom("ExternalSecret", "spec: {secretStoreRef: {name: VALUE}, target: {name: db}}"),
		custom("ClusterExternalSecret", "spec: {externalSecretSpec: {data: [{secretKey: a, remoteRef: {key: VALUE}}]}}"),
		custom("PushSecret", "spec: {data: [{match: {secretKey: a, remoteRef: {remoteKey: VALUE}}}]}"),
		custom("SealedSecret", "spec: {template: {type: VALUE}}"),
		custom("VaultStaticSecret", "spec: {vaultAuthRef: VALUE, mount: kv, path: db}"),
		custom("VaultStaticSecret", "spec: {path: VALUE, destination: {name: db, create: true}}"),
		custom("InfisicalSecret", "spec: {hostAPI: VALUE, managedSecretReference: {secretName: a}}"),
		custom("InfisicalSecret", "spec: {managedSecretReference: {secretName: VALUE, secretNamespace: b}}"),
		custom("SopsSecret", "spec: {secretTemplates: [{name: VALUE, labels: {a: b}}]}"),
		custom("Release", "spec: {targetRef: {apiVersion: v1, kind: Secret, name: VALUE}}"),
		custom("Kustomization", "spec: {patches: [{patch: [{op: add, path: /spec/replicas, value: VALUE}]}]}"),
		"apiVersion: v1\nkind: Secret\nmetadata: {name: x, labels: {a: VALUE}}\n",
	} {
		got := told(compare(t, strings.ReplaceAll(stream, "VALUE", "first"), strings.ReplaceAll(stream, "VALUE", "second")))
		if !strings.Contains(got, "first") || !strings.Contains(got, "second") {
			t.Errorf("%s is told as:\n%s", stream, got)
		}
	}
}

func TestCiphertextIsOnlyTheSameOrAnother(t *testing.T) {
	sealed := func(value string) string { return custom("SealedSecret", "spec: {encryptedData: {a: "+value+"}}") }
	expect(t, sealed("AgBx"), sealed("AgByyyyyyyyyyyyyyyyy"), `
changed SealedSecret.example.com x
  changed spec.encryptedData.a: (encrypted) => (encrypted, changed) secret
`)
}
