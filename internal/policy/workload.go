package policy

// pod is a pod template within an object.
type pod struct {
	object Object
	path   Path // of its spec
	spec   map[string]any
	labels map[string]any
	serves bool // it is meant to stay up, and to be reachable while it is replaced
}

// container is one container of a pod.
type container struct {
	pod
	path   Path
	name   string
	fields map[string]any
	role   role
}

// role is when a container runs.
type role int

const (
	ordinary  role = iota
	initial        // before the others
	sidecar        // beside the others, from before them
	ephemeral      // put in by a person, into a running pod
)

// templates is where kinds keep the pod template: the path of what has metadata and
// spec.
var templates = map[string]Path{
	"Pod":         nil,
	"PodTemplate": fields("template"),
	"CronJob":     fields("spec", "jobTemplate", "spec", "template"),
}

// ending are the kinds whose pods end, or may.
var ending = map[string]bool{"Job": true, "CronJob": true, "Pod": true, "PodTemplate": true}

// pods are the pod templates of an object: one, mostly, or none. A kind that nobody
// knows counts where it looks like a workload, as Argo's Rollout does.
func pods(o Object) []pod {
	kind := text(o.Object, "kind")
	path, known := templates[kind]
	if !known {
		path = fields("spec", "template")
	}
	template := o.Object
	for _, s := range path {
		template = mapping(template, s.Key)
	}
	spec := mapping(template, "spec")
	if len(list(spec, "containers"))+len(list(spec, "initContainers")) == 0 {
		return nil
	}
	return []pod{{o, path.with("spec"), spec, mapping(template, "metadata", "labels"), !ending[kind]}}
}

// containers are all containers of an object.
func containers(o Object) []container {
	var all []container
	for _, p := range pods(o) {
		for _, of := range []struct {
			key  string
			role role
		}{{"initContainers", initial}, {"containers", ordinary}, {"ephemeralContainers", ephemeral}} {
			for i, c := range list(p.spec, of.key) {
				f, ok := c.(map[string]any)
				if !ok {
					continue
				}
				role := of.role
				if role == initial && text(f, "restartPolicy") == "Always" {
					role = sidecar
				}
				name := text(f, "name")
				all = append(all, container{p, p.path.with(of.key).element(i, name), name, f, role})
			}
		}
	}
	return all
}

// called is how messages call a container.
func (c container) called() string {
	what := [...]string{"container", "init container", "sidecar", "ephemeral container"}[c.role]
	if c.name == "" {
		return "a " + what
	}
	return what + " " + c.name
}
