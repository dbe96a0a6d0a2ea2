package admission

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// An API server fills in defaults before it asks policies, so object.spec.replicas is
// there where nobody wrote it. Kubernetes' own code for that is not importable; these
// are its defaults for the kinds that policies are written for
// (https://github.com/kubernetes/kubernetes/tree/v1.37.2/pkg/apis, */v1/defaults.go).

// or sets a field that nobody set.
func or[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

// orNew sets a pointer that nobody set.
func orNew[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func setDefaults(o runtime.Object) {
	switch o := o.(type) {
	case *corev1.Pod:
		podDefaults(&o.Spec)
	case *corev1.PodTemplate:
		podDefaults(&o.Template.Spec)
	case *corev1.ReplicationController:
		orNew(&o.Spec.Replicas, 1)
		if o.Spec.Template != nil {
			podDefaults(&o.Spec.Template.Spec)
		}
	case *appsv1.Deployment:
		deploymentDefaults(o)
	case *appsv1.StatefulSet:
		statefulSetDefaults(o)
	case *appsv1.DaemonSet:
		daemonSetDefaults(o)
	case *appsv1.ReplicaSet:
		orNew(&o.Spec.Replicas, 1)
		podDefaults(&o.Spec.Template.Spec)
	case *batchv1.Job:
		jobDefaults(&o.Spec)
	case *batchv1.CronJob:
		or(&o.Spec.ConcurrencyPolicy, batchv1.AllowConcurrent)
		orNew(&o.Spec.Suspend, false)
		orNew(&o.Spec.SuccessfulJobsHistoryLimit, 3)
		orNew(&o.Spec.FailedJobsHistoryLimit, 1)
		// the template of a CronJob gets the defaults of its pod alone; the job's come with the job
		podDefaults(&o.Spec.JobTemplate.Spec.Template.Spec)
	case *corev1.Service:
		serviceDefaults(&o.Spec)
	case *corev1.Secret:
		secretDefaults(o)
	case *corev1.PersistentVolumeClaim:
		orNew(&o.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	case *corev1.Namespace:
		if o.Labels == nil {
			o.Labels = map[string]string{}
		}
		o.Labels[metadataName] = o.Name
	}
}

func deploymentDefaults(o *appsv1.Deployment) {
	s := &o.Spec
	orNew(&s.Replicas, 1)
	orNew(&s.RevisionHistoryLimit, 10)
	orNew(&s.ProgressDeadlineSeconds, 600)
	or(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		orNew(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		orNew(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		orNew(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	podDefaults(&s.Template.Spec)
}

func statefulSetDefaults(o *appsv1.StatefulSet) {
	s := &o.Spec
	orNew(&s.Replicas, 1)
	orNew(&s.RevisionHistoryLimit, 10)
	or(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	or(&s.UpdateStrategy.Type, appsv1.RollingUpdateStatefulSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		orNew(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
		orNew(&s.UpdateStrategy.RollingUpdate.Partition, 0)
	}
	orNew(&s.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	or(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	or(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	for i := range s.VolumeClaimTemplates {
		orNew(&s.VolumeClaimTemplates[i].Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
	}
	podDefaults(&s.Template.Spec)
}

func daemonSetDefaults(o *appsv1.DaemonSet) {
	s := &o.Spec
	orNew(&s.RevisionHistoryLimit, 10)
	or(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		orNew(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		orNew(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		orNew(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	podDefaults(&s.Template.Spec)
}

func jobDefaults(s *batchv1.JobSpec) {
	if s.Completions == nil && s.Parallelism == nil {
		orNew(&s.Completions, 1)
	}
	orNew(&s.Parallelism, 1)
	if s.BackoffLimit == nil && s.BackoffLimitPerIndex == nil {
		orNew(&s.BackoffLimit, 6)
	}
	orNew(&s.CompletionMode, batchv1.NonIndexedCompletion)
	orNew(&s.Suspend, false)
	podDefaults(&s.Template.Spec)
}

func podDefaults(s *corev1.PodSpec) {
	or(&s.RestartPolicy, corev1.RestartPolicyAlways)
	or(&s.DNSPolicy, corev1.DNSClusterFirst)
	or(&s.SchedulerName, corev1.DefaultSchedulerName)
	orNew(&s.TerminationGracePeriodSeconds, int64(corev1.DefaultTerminationGracePeriodSeconds))
	orNew(&s.SecurityContext, corev1.PodSecurityContext{})
	for i := range s.InitContainers {
		containerDefaults(&s.InitContainers[i])
	}
	for i := range s.Containers {
		containerDefaults(&s.Containers[i])
	}
	if s.HostNetwork {
		for _, all := range [][]corev1.Container{s.InitContainers, s.Containers} {
			for i := range all {
				for j := range all[i].Ports {
					or(&all[i].Ports[j].HostPort, all[i].Ports[j].ContainerPort)
				}
			}
		}
	}
}

func containerDefaults(c *corev1.Container) {
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = corev1.PullIfNotPresent
		if name := c.Image[strings.LastIndexByte(c.Image, '/')+1:]; !strings.Contains(name, "@") && (!strings.Contains(name, ":") || strings.HasSuffix(name, ":latest")) {
			c.ImagePullPolicy = corev1.PullAlways
		}
	}
	or(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	or(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	for i := range c.Ports {
		or(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for name, limit := range c.Resources.Limits { // a limit is the request where there is none
		if _, said := c.Resources.Requests[name]; !said {
			if c.Resources.Requests == nil {
				c.Resources.Requests = corev1.ResourceList{}
			}
			c.Resources.Requests[name] = limit
		}
	}
	for _, p := range []*corev1.Probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
		if p == nil {
			continue
		}
		or(&p.TimeoutSeconds, 1)
		or(&p.PeriodSeconds, 10)
		or(&p.SuccessThreshold, 1)
		or(&p.FailureThreshold, 3)
		if p.HTTPGet != nil {
			or(&p.HTTPGet.Path, "/")
			or(&p.HTTPGet.Scheme, corev1.URISchemeHTTP)
		}
	}
}

func serviceDefaults(s *corev1.ServiceSpec) {
	or(&s.Type, corev1.ServiceTypeClusterIP)
	or(&s.SessionAffinity, corev1.ServiceAffinityNone)
	if s.Type != corev1.ServiceTypeExternalName {
		orNew(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer {
		or(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		orNew(&s.AllocateLoadBalancerNodePorts, true)
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		or(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
}

// secretDefaults also writes stringData to where it ends up.
func secretDefaults(s *corev1.Secret) {
	or(&s.Type, corev1.SecretTypeOpaque)
	for name, value := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[name] = []byte(value)
	}
	s.StringData = nil
}
