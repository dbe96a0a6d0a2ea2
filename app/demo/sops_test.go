package demo

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	getsops "github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/stores/dotenv"
	yamlstore "github.com/getsops/sops/v3/stores/yaml"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// TestSecretsInGit tells of secrets that SOPS encrypted: they reach the cluster, and
// nobody else.
func TestSecretsInGit(t *testing.T) {
	s := newScene(t)
	key, err := age.GenerateX25519Identity()
	s.must(err)
	s.w.secrets.more = []string{hunter, base64.StdEncoding.EncodeToString([]byte(hunter)), otherHunter, base64.StdEncoding.EncodeToString([]byte(otherHunter))}
	s.pushMain("Bring the database's password", map[string]string{
		sopsOverlay + "db.yaml": s.encryptedSecret(key, hunter),
		sopsOverlay + "db.env":  s.encryptedFile(key, "PASSWORD="+hunter+"\n", ""),
	})
	s.edit("Use the database's password", map[string]func(string) string{sopsOverlay + "kustomization.yaml": func(text string) string {
		return strings.Replace(text, "../../base", "../../base\n  - db.yaml", 1) + "\nsecretGenerator:\n  - {name: file, files: [db.env]}\n  - {name: lines, envs: [db.env]}\n"
	}})
	s.story("without the key nothing is applied, and it says who can do what", func(s *scene) { withoutTheKey(s, key) })
	s.story("with the key the cluster gets what was encrypted", withTheKey)
	s.story("another value is another commit, and rolls out", func(s *scene) { anotherValue(s, key) })
	s.story("a value that somebody changed by hand is refused", changedByHand)
	s.story("nobody else ever sees a value", func(s *scene) {
		s.must(s.w.noSecrets(s.ctx))
		s.must(s.w.soundAudit(s.ctx))
	})
}

// What nobody may read.
const (
	hunter      = "hunter2-of-payments"
	otherHunter = "hunter3-of-payments"
	sopsOverlay = "apps/payments/overlays/dev/"
)

// encryptedFile is a file as the sops program encrypts it.
func (s *scene) encryptedFile(key *age.X25519Identity, plain string, regex string) string {
	s.Helper()
	stores := config.NewStoresConfig()
	var store interface {
		LoadPlainFile([]byte) (getsops.TreeBranches, error)
		EmitEncryptedFile(getsops.Tree) ([]byte, error)
	} = yamlstore.NewStore(&stores.YAML)
	if regex == "" {
		store = dotenv.NewStore(&stores.Dotenv)
	}
	branches, err := store.LoadPlainFile([]byte(plain))
	s.must(err)
	data := bytes.Repeat([]byte{4, 2}, 16)
	master := &sopsage.MasterKey{Recipient: key.Recipient().String()}
	s.must(master.Encrypt(data))
	tree := getsops.Tree{Branches: branches, Metadata: getsops.Metadata{
		Version: "3.13.3", LastModified: time.Now(), EncryptedRegex: regex, KeyGroups: []getsops.KeyGroup{{master}},
	}}
	cipher := aes.NewCipher()
	mac, err := tree.Encrypt(data, cipher)
	s.must(err)
	tree.Metadata.MessageAuthenticationCode, err = cipher.Encrypt(mac, data, tree.Metadata.LastModified.Format(time.RFC3339))
	s.must(err)
	out, err := store.EmitEncryptedFile(tree)
	s.must(err)
	return string(out)
}

// encryptedSecret is the Secret that the overlay has in a file.
func (s *scene) encryptedSecret(key *age.X25519Identity, password string) string {
	s.Helper()
	return s.encryptedFile(key, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: "+password+"\n", "^(data|stringData)$")
}

// inCluster wants a value of a Secret in dev's cluster; name is what its name begins with.
func (s *scene) inCluster(name, field, want string) error {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(s.w.dir, "dev.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	secrets, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(s.w.Namespaces["dev"]).List(s.ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	found := errors.New("there is no such Secret")
	for _, o := range secrets.Items {
		if !strings.HasPrefix(o.GetName(), name) {
			continue
		}
		data, _ := o.Object["data"].(map[string]any)
		value, _ := base64.StdEncoding.DecodeString(fmt.Sprint(data[field]))
		if string(value) == want {
			return nil
		}
		found = fmt.Errorf("%s has another value", o.GetName())
	}
	return found
}

func withoutTheKey(s *scene, key *age.X25519Identity) {
	words := []string{"is encrypted by SOPS for " + key.Recipient().String(), "this Tagboat has no keys at all", "--sops-age-key"}
	s.boardSays(words[0])
	digest := s.release("payments", "1.7.0")
	pull := s.opened("dev", "payments", "1.7.0").Number
	s.checkSays(pull, append(words, "Blocked by dry run", "whoever runs Tagboat")...)
	s.idle()
	s.must(s.w.checkSays(pull, "Blocked by dry run"))
	if err := s.inCluster("db", "password", hunter); err == nil {
		s.Error("the Secret is in the cluster")
	}

	file := filepath.Join(s.w.dir, "age.txt")
	s.must(os.WriteFile(file, []byte(key.String()+"\n"), 0o600))
	s.w.Tagboat.Kill()
	s.w.Tagboat.env = append(s.w.Tagboat.env, "TAGBOAT_SOPS_AGE_KEYS="+file)
	s.must(s.w.Tagboat.Start(s.ctx))
	s.until("it is merged", func() error {
		_, err := s.w.isMerged("dev", "payments", "1.7.0")
		return err
	})
	s.done("dev", "payments", "1.7.0", digest)
}

func withTheKey(s *scene) {
	s.until("the cluster has the values", func() error {
		return errors.Join(s.inCluster("db", "password", hunter), s.inCluster("file-", "db.env", "PASSWORD="+hunter+"\n"), s.inCluster("lines-", "PASSWORD", hunter))
	})
}

func anotherValue(s *scene, key *age.X25519Identity) {
	s.pushMain("Another password", map[string]string{sopsOverlay + "db.yaml": s.encryptedSecret(key, otherHunter)})
	s.until("the cluster has the new value", func() error { return s.inCluster("db", "password", otherHunter) })
	// What people and programs are shown of it is what stands in Git.
	_, err := s.as("alice").Push(envRepo, "password-again", "Once more", map[string]string{sopsOverlay + "db.yaml": s.encryptedSecret(key, hunter)})
	s.must(err)
	number, err := s.as("alice").OpenPull(envRepo, "password-again", "main", "Once more", "The password that it was.")
	s.must(err)
	s.idle()
	p, err := s.w.GitHub.Pull(envRepo, number)
	s.must(err)
	if shown := fmt.Sprintf("%+v", p); strings.Contains(shown, hunter) || strings.Contains(shown, otherHunter) {
		s.Errorf("the pull request shows a value:\n%s", shown)
	}
}

func changedByHand(s *scene) {
	mend := s.edit("A value, by hand", map[string]func(string) string{sopsOverlay + "db.yaml": func(text string) string {
		return strings.Replace(text, "password: ENC[AES256_GCM,data:", "password: ENC[AES256_GCM,data:AAAA", 1)
	}})
	s.boardSays("stringData.password of Secret dev/db cannot be decrypted")
	mend()
	s.until("all is well again", func() error { return s.w.allHealthy(s.ctx) })
}
