package cluster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/health"
)

// Whatever is wrong with an object that was encrypted in Git, and whatever its kind is,
// nothing of its values is told.
func TestValuesThatWereEncryptedStayOutOfErrors(t *testing.T) {
	const hunter = "hunter2hunter2"
	for name, text := range map[string]string{
		"a value that is not valid":     "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}], clusterIP: " + hunter + "}\n",
		"a value of another type":       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: {" + hunter + ": 1}}\n",
		"a field that its kind has not": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n" + hunter + ": {a: b}\n",
		"a label that is not valid":     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {a: " + hunter + " " + hunter + "}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			quoted := false
			for _, hushed := range []bool{false, true} {
				objects, target := decode(t, text), s.target()
				if hushed {
					target.Secret = objects
				}
				_, err := s.cluster.Apply(t.Context(), cluster.Run{Target: target, Objects: objects, Ledger: cluster.Unrecorded{}})
				if err == nil || fault.KindOf(err).Retryable() {
					t.Fatalf("hushed %v: it was applied, or is tried again: %v", hushed, err)
				}
				trial, tried := s.cluster.DryRun(t.Context(), cluster.Run{Target: target, Objects: objects}, nil)
				if tried != nil || trial.Count(cluster.Refused) != 1 {
					t.Fatalf("hushed %v: the dry run came to %+v, %v", hushed, trial, tried)
				}
				said := fmt.Sprint(err, fault.HintOf(err), trial)
				if !hushed {
					quoted = strings.Contains(said, hunter)
					continue
				}
				if strings.Contains(said, hunter) || !strings.Contains(said, "details are left out") || !strings.Contains(said, s.namespace+"/a") {
					t.Errorf("it tells a value, or too little: %s", said)
				}
			}
			if !quoted {
				t.Error("nothing would be quoted anyway, so this proves nothing")
			}
		})
	}
}

// Who else manages a field has to be told even so.
func TestAConflictOverWhatWasEncrypted(t *testing.T) {
	s := newSite(t)
	text := configMap("settings", "mode", "hunter2hunter2")
	s.mustApply(text)
	s.patchAs("somebody", configMaps, "settings", `{"data":{"mode":"theirs"}}`)
	objects, target := decode(t, text), s.target()
	target.Secret = objects
	_, err := s.cluster.Apply(t.Context(), cluster.Run{Target: target, Objects: objects, Ledger: cluster.Unrecorded{}})
	expect(t, err, fault.Denied, `"somebody" manages data.mode`)
	if said := err.Error() + fault.HintOf(err); strings.Contains(said, "hunter2") {
		t.Errorf("it tells the value: %s", said)
	}
}

// What an object says of its health is written by whoever wrote a rule, or by a
// controller that has read the values.
func TestValuesThatWereEncryptedStayOutOfHealth(t *testing.T) {
	const hunter = "hunter2hunter2"
	s := newSite(t)
	rules, problems := health.Compile([]health.Rule{
		{Kind: "Secret", Current: "false", Message: "'it holds ' + data.file + ' and ' + data.file.substring(1)"},
		{Kind: "ConfigMap", Current: "false", Message: "data.said"},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {file: \"user: payments\\npassword: '" + hunter + "'\\n\"}\n"
	echo := configMap("echo", "said", strings.Repeat("x", 280)+" refused "+hunter)
	for _, hushed := range []bool{false, true} {
		objects := decode(t, secret, echo)
		o := cluster.WaitOptions{Rules: rules}
		if hushed {
			o.Secret = objects[:1]
		}
		result := s.mustApply(secret, echo)
		h := s.waitInVain(result, o)
		said := fmt.Sprintf("%+v", h)
		if h.Healthy || !strings.Contains(said, "Secret "+s.namespace+"/login: in progress; what it says of that is left out") || strings.Contains(said, "it holds") {
			t.Errorf("hushed %v: of the Secret it says %s", hushed, said)
		}
		// Cut in the middle of a value, it would not be found any more.
		if hushed && (strings.Contains(said, "hunter2") || !strings.Contains(said, "refused ***")) || !hushed && !strings.Contains(said, "hunter2") {
			t.Errorf("hushed %v: of the other one it says %s", hushed, said)
		}
	}
}
