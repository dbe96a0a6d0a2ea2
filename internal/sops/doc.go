// Package sops decrypts what SOPS has encrypted in Git, on its way into a cluster.
//
// What is shown, judged, hashed and kept is the encrypted form: rendering, diffs,
// policies and the cache of renderings never see more, so nothing but values of Secrets may
// be encrypted. They are decrypted in memory,
// right before they are applied or dry-run, and nothing that this package says quotes
// a value: no error of the library, which does, goes through.
//
// Who is asked for a key is up to whoever runs Tagboat, not to whoever may write to a
// repository: age and PGP keys are those of Open, never the environment's or those of a
// program that is started, and of key services only those are called that are allowed by
// name. The formats are those of https://github.com/getsops/sops.
package sops
