package demo

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestWhatMovesGoesOnRunning tells of objects that are in another overlay from one commit to
// the next, because people have moved them, or have called an environment or a cluster
// otherwise. They stay the very same objects; nothing is deleted, and nobody is asked.
func TestWhatMovesGoesOnRunning(t *testing.T) {
	s := newScene(t)
	s.story("to another app's overlay, and to another environment's", moved)
	s.story("to where nobody can read: nothing is deleted until it can be", movedNobodyKnowsWhere)
	s.story("with an environment that is renamed", environmentRenamed)
	s.story("with a cluster that is renamed", clusterRenamed)
	s.story("what has left tagboat.yaml is told, until it is back", leftBehind)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

var (
	volumeClaims = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	clusterRoles = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	workloads    = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

// identity is what an object is, and whose.
type identity struct{ uid, template, target string }

func (s *scene) identity(resource schema.GroupVersionResource, namespace, name string) identity {
	s.Helper()
	o, err := s.byHand(resource, namespace).Get(s.ctx, name, metav1.GetOptions{})
	s.must(err)
	return identityOf(o)
}

func identityOf(o *unstructured.Unstructured) identity {
	template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	return identity{string(o.GetUID()), fmt.Sprint(template), o.GetAnnotations()["tagboat.dev/target"]}
}

// movedTo waits until an object is another target's, and wants it to be the same one still.
func (s *scene) movedTo(target string, resource schema.GroupVersionResource, namespace, name string, was identity) {
	s.Helper()
	s.until(name+" belongs to "+target, func() error {
		o, err := s.byHand(resource, namespace).Get(s.ctx, name, metav1.GetOptions{})
		if err != nil {
			s.Fatalf("%s: %v", name, err) // it may never be away
		}
		is := identityOf(o)
		if is.uid != was.uid || is.template != was.template {
			s.Fatalf("%s was %+v, and is %+v", name, was, is)
		}
		if !strings.HasSuffix(is.target, target) {
			return fmt.Errorf("it belongs to %q", is.target)
		}
		return nil
	})
}

// settled waits until every target is healthy with what is in Git, has an inventory of its
// own objects alone, and asks nobody anything.
func (s *scene) settled() {
	s.Helper()
	s.until("all that is in tagboat.yaml is healthy, and nothing waits", func() error {
		if err := s.w.none(s.ctx, `SELECT count(*) FROM target WHERE NOT gone AND NOT (state = 'healthy' AND got = want AND surplus_code = '' AND notes = '{}')`); err != nil {
			return err
		}
		if err := s.w.none(s.ctx, `SELECT count(*) FROM inventory i JOIN target t ON t.id = i.target_id WHERE t.gone`); err != nil {
			return fmt.Errorf("what is gone has objects still: %w", err)
		}
		return s.w.none(s.ctx, `SELECT count(*) FROM (SELECT uid FROM inventory WHERE uid <> '' GROUP BY uid HAVING count(*) > 1) twice`)
	})
}

func moved(s *scene) {
	const from, to, beyond = "apps/payments/overlays/dev/", "apps/shop/overlays/dev/", "apps/payments/overlays/staging/"
	const claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: orders}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"
	const role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: orders-reader}\nrules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]\n"
	const config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: orders}\ndata: {mode: fast}\n"
	with := func(dir, file string) string {
		return strings.Replace(s.on("main", dir+"kustomization.yaml"), "  - ../../base\n", "  - ../../base\n  - "+file+"\n", 1)
	}
	before := s.on("main", from+"kustomization.yaml")
	s.pushMain("Orders", map[string]string{from + "orders.yaml": claim + "---\n" + role + "---\n" + config, from + "kustomization.yaml": with(from, "orders.yaml")})
	dev := s.w.Namespaces["dev"]
	s.until("dev has them", func() error {
		_, err := s.byHand(volumeClaims, dev).Get(s.ctx, "orders", metav1.GetOptions{})
		return err
	})
	s.settled()
	data, settings, reader := s.identity(volumeClaims, dev, "orders"), s.identity(configMaps, dev, "orders"), s.identity(clusterRoles, "", "orders-reader")

	s.pushMain("Orders are the shop's", map[string]string{
		from + "orders.yaml": "", from + "kustomization.yaml": before,
		to + "orders.yaml": claim + "---\n" + config, to + "kustomization.yaml": with(to, "orders.yaml"),
		beyond + "orders.yaml": role, beyond + "kustomization.yaml": with(beyond, "orders.yaml"),
	})
	s.movedTo("shop dev dev", volumeClaims, dev, "orders", data)
	s.movedTo("shop dev dev", configMaps, dev, "orders", settings)
	s.movedTo("payments staging staging", clusterRoles, "", "orders-reader", reader)
	s.wantLooks()
	s.settled()
	s.movedTo("shop dev dev", volumeClaims, dev, "orders", data)
	s.movedTo("payments staging staging", clusterRoles, "", "orders-reader", reader)
}

func movedNobodyKnowsWhere(s *scene) {
	const from, to = "apps/payments/overlays/dev/", "apps/catalog/overlays/dev/"
	const extra = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {mode: fast}\n"
	dev := s.w.Namespaces["dev"]
	payments, catalog := s.on("main", from+"kustomization.yaml"), s.on("main", to+"kustomization.yaml")
	s.pushMain("Something extra", map[string]string{
		from + "extra.yaml": extra, from + "kustomization.yaml": strings.Replace(payments, "  - ../../base\n", "  - ../../base\n  - extra.yaml\n", 1),
	})
	s.until("dev has it", func() error {
		_, err := s.byHand(configMaps, dev).Get(s.ctx, "extra", metav1.GetOptions{})
		return err
	})
	s.settled()
	was := s.identity(configMaps, dev, "extra")

	withExtra := strings.Replace(catalog, "[../../base]", "[../../base, extra.yaml]", 1)
	s.pushMain("It is the catalog's, in a file that is forgotten", map[string]string{
		from + "extra.yaml": "", from + "kustomization.yaml": payments, to + "kustomization.yaml": withExtra,
	})
	s.boardSays("stays, because it may have moved: catalog in dev does not render")
	s.movedTo("payments dev dev", configMaps, dev, "extra", was)
	s.pushMain("Here is the file", map[string]string{to + "extra.yaml": extra})
	s.movedTo("catalog dev dev", configMaps, dev, "extra", was)
	s.wantLooks()
	s.settled()
}

// wantLooks has every target looked at now, as the sweep does once a minute.
func (s *scene) wantLooks() {
	s.Helper()
	s.must(s.w.asOwner(s.ctx, `UPDATE target SET updated_at = updated_at - interval '2 minutes' WHERE NOT gone`))
}

func environmentRenamed(s *scene) {
	staging := s.w.Namespaces["staging"]
	was := map[string]identity{}
	files := map[string]string{}
	for _, app := range apps {
		was[app] = s.identity(workloads, staging, app)
		for _, file := range []string{"kustomization.yaml", "orders.yaml"} {
			old := "apps/" + app + "/overlays/staging/" + file
			if data, err := s.w.GitHub.File(envRepo, "main", old); err == nil {
				files[old], files["apps/"+app+"/overlays/stage/"+file] = "", string(data)
			}
		}
	}
	files["tagboat.yaml"] = strings.NewReplacer("name: staging", "name: stage", "env: staging", "env: stage").Replace(s.on("main", "tagboat.yaml"))
	s.pushMain("Staging is called stage", files)
	for _, app := range apps {
		s.movedTo(app+" stage staging", workloads, staging, app, was[app])
	}
	s.settled()
	s.must(s.w.boardSilent(s.ctx, "not in tagboat.yaml any more"))
}

func clusterRenamed(s *scene) {
	dev := s.w.Namespaces["dev"]
	was := map[string]identity{}
	for _, app := range apps {
		was[app] = s.identity(workloads, dev, app)
	}
	s.w.Tagboat.reaches("development", filepath.Join(s.w.dir, "dev.kubeconfig"))
	s.must(s.w.Tagboat.Restart(s.ctx))
	s.pushMain("The cluster dev is called development", map[string]string{
		"tagboat.yaml": strings.Replace(s.on("main", "tagboat.yaml"), "clusters: [dev]", "clusters: [development]", 1),
	})
	for _, app := range apps {
		s.movedTo(app+" dev development", workloads, dev, app, was[app])
	}
	s.settled()
}

func leftBehind(s *scene) {
	dev := s.w.Namespaces["dev"]
	const overlay = "apps/catalog/overlays/dev/kustomization.yaml"
	was := s.identity(workloads, dev, "catalog")
	text := s.on("main", overlay)
	s.pushMain("The catalog is not developed any more", map[string]string{overlay: ""})
	s.boardSays("catalog in dev", "is not in tagboat.yaml any more", "Deployment "+dev+"/catalog")
	s.movedTo("catalog dev "+cutTarget(was.target), workloads, dev, "catalog", was)
	s.pushMain("It is", map[string]string{overlay: text})
	s.until("the board says nothing of it any more", func() error { return s.w.boardSilent(s.ctx, "not in tagboat.yaml any more") })
	s.settled()
	s.movedTo("catalog dev "+cutTarget(was.target), workloads, dev, "catalog", was)
}

// cutTarget is the cluster that a target's name ends with.
func cutTarget(target string) string { return target[strings.LastIndex(target, " ")+1:] }
