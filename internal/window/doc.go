// Package window is the times in which an environment may change: what tagboat.yaml
// writes as "Mon-Thu 09:00-16:00", read and looked up.
package window
