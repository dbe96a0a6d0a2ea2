// Package intake is the HTTP doors for what arrives: GitHub's webhooks, a
// registry's notifications, a CI's callbacks.
//
// A door authenticates in constant time, caps the body, names the delivery,
// stores it together with its job, and answers 202. It never works on what
// arrived: a sender waits for seconds only, and does not send twice (GitHub) or
// blocks its queue (a registry) when the answer is anything else.
package intake
