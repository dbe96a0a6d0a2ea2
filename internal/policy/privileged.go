package policy

import "slices"

// harmless are the capabilities that the baseline of the Pod Security Standards lets
// a container add (https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline).
var harmless = []string{
	"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
	"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}

func privileged(j *judging) {
	for _, o := range j.Head {
		for _, p := range pods(o) {
			j.host(p)
		}
		for _, c := range containers(o) {
			j.escape(c)
		}
	}
}

// host finds what a pod gets of its node.
func (j *judging) host(p pod) {
	for _, f := range []struct{ field, why string }{
		{"hostNetwork", "it reaches what only the node may reach, its metadata service included"},
		{"hostPID", "it sees, and may signal, every process of the node"},
		{"hostIPC", "it reads the shared memory of other processes"},
	} {
		if isTrue(p.spec, f.field) {
			j.report(p.object, p.path.with(f.field), "%s: true: %s. Remove it", f.field, f.why)
		}
	}
	for i, v := range list(p.spec, "volumes") {
		if host := mapping(v, "hostPath"); host != nil {
			j.report(p.object, p.path.with("volumes").element(i, text(v, "name")).with("hostPath"),
				"the volume %s is the directory %s of the node: what it holds belongs to others, and a write there reaches beyond the pod. Use an emptyDir, a ConfigMap or a PersistentVolumeClaim", text(v, "name"), text(host, "path"))
		}
	}
	context, path := mapping(p.spec, "securityContext"), p.path.with("securityContext")
	j.unconfined(p.object, "", context, path)
	if zero(at(context, "runAsUser")) && slices.ContainsFunc(containers(p.object), func(c container) bool { return at(c.fields, "securityContext", "runAsUser") == nil }) {
		j.report(p.object, path.with("runAsUser"), "runAsUser: 0: its containers run as root, and a way out of one is root on the node. Write another user and runAsNonRoot: true")
	}
	if isTrue(context, "windowsOptions", "hostProcess") {
		j.report(p.object, path.with("windowsOptions", "hostProcess"), "hostProcess: true: it is a process of the node. Remove it")
	}
}

// escape finds what lets a container out.
func (j *judging) escape(c container) {
	context, path := mapping(c.fields, "securityContext"), c.path.with("securityContext")
	if isTrue(context, "privileged") {
		j.about(c, path.with("privileged"), "%s is privileged: it is root on the node. Remove it, and add the one capability that it needs", c.called())
	}
	if isTrue(context, "allowPrivilegeEscalation") {
		j.about(c, path.with("allowPrivilegeEscalation"), "%s may gain more rights than it was started with (allowPrivilegeEscalation: true). Write false", c.called())
	}
	if zero(at(context, "runAsUser")) {
		j.about(c, path.with("runAsUser"), "%s runs as root (runAsUser: 0): a way out of it is root on the node. Write another user and runAsNonRoot: true", c.called())
	}
	for i, v := range list(context, "capabilities", "add") {
		if name, _ := v.(string); name != "" && !slices.Contains(harmless, name) {
			j.about(c, path.with("capabilities", "add").element(i, ""), "%s adds the capability %s, which reaches beyond the container. Remove it", c.called(), name)
		}
	}
	if mount := text(context, "procMount"); mount != "" && mount != "Default" {
		j.about(c, path.with("procMount"), "%s sees all of /proc (procMount: %s), the node's settings included. Remove it", c.called(), mount)
	}
	j.unconfined(c.object, c.name, context, path)
	if isTrue(context, "windowsOptions", "hostProcess") {
		j.about(c, path.with("windowsOptions", "hostProcess"), "%s is a process of the node (hostProcess: true). Remove it", c.called())
	}
	for i, p := range list(c.fields, "ports") {
		if port := at(p, "hostPort"); port != nil && !zero(port) {
			j.about(c, c.path.with("ports").element(i, text(p, "name")).with("hostPort"), "%s takes the port %s of its node (hostPort): reachable past every Service and NetworkPolicy, and once per node. Use a Service", c.called(), scalar(port))
		}
	}
}

// unconfined finds profiles that let everything pass.
func (j *judging) unconfined(o Object, name string, context map[string]any, path Path) {
	for _, profile := range []string{"seccompProfile", "appArmorProfile"} {
		if text(context, profile, "type") != "Unconfined" {
			continue
		}
		j.report(o, path.with(profile, "type"), "%s: Unconfined turns off what keeps a break-out within bounds. Write RuntimeDefault", profile)
		j.found[len(j.found)-1].Container = name
	}
}

func zero(v any) bool { return v == int64(0) || v == float64(0) }
