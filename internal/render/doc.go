// Package render builds overlays with Kustomize and charts with Helm, straight from
// an fs.FS, in child processes that can do nothing else.
//
// A [Pool] gives each build to a child of the same binary, one at a time. The child
// opens no file: it asks the parent for paths, and the parent answers from the tree
// and sends along what will probably be asked next. What was asked is the build's
// exact cache key ([Output].Reads). The room in reading order: pool.go and
// process.go (the parent), child.go (the child), protocol.go between them, and
// claims.go, which says what of a child's word is believed; answer.go and link.go
// show the tree, view.go is what krusty sees of it; scan.go reads what a build
// refers to before krusty does; remote.go, helm.go and served.go serve krusty what
// it would fetch or run. cache.go keeps renderings; substitute.go puts other pins into
// them, where opaque.go is sure that nothing else looks at these.
//
// Five traps shape it, each with a test:
//
//   - krusty keeps the OpenAPI schema of a build in process-wide state, so that an
//     overlay with an openapi: field changes what the next one renders to. The
//     schema is reset around such builds, and only there: it costs 50 ms.
//   - krusty fetches http(s) resources and clones git repositories even with load
//     restrictions. Every reference is read before krusty sees it; one that leads
//     out of the repository is refused, or, if it is pinned and the Fetcher of the
//     pool allows it, fetched by the parent and shown as a directory. A child could
//     fetch nothing: it has no network, no programs, no environment.
//   - krusty takes no context, and can be given work without end. A child that
//     takes too long, or too much memory, is killed and replaced.
//   - krusty runs the helm program. Charts are rendered with Helm's engine and
//     shown to krusty as a component, which adds the same objects in the same place.
//   - A read of the tree that fails for another reason than absence fails the build:
//     Kustomize alone would take it for a missing file (I6).
package render
