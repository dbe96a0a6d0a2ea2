// Package health says by an object's own content how far its controller is with it,
// where a kind says so in its own way: by rules in CEL, those that every Tagboat knows
// and those of tagboat.yaml.
//
// What speaks for itself by the conventions of Kubernetes needs no rule. A rule sees the
// object as `object`, and its top-level fields by their names too, as in Flux's
// healthCheckExprs (https://fluxcd.io/flux/components/kustomize/kustomizations/#health-check-expressions),
// so that an expression from there works here.
package health
