// Package render builds an overlay with Kustomize, straight from an fs.FS.
//
// Three traps shape it, each with a test:
//
//   - krusty keeps the OpenAPI schema of a build in process-wide state, so that an
//     overlay with an openapi: field changes what the next one renders to. There is
//     one build at a time in the process, and each starts from a reset schema.
//   - krusty fetches http(s) resources and clones git repositories even with load
//     restrictions. Every reference is read before krusty sees it; one that leads
//     out of the repository is refused.
//   - krusty takes no context. The build runs beside the caller, who leaves when
//     the context ends; the next build waits for the abandoned one.
//
// A read of the tree that fails for another reason than absence fails the build:
// Kustomize alone would take it for a missing file (I6).
package render
