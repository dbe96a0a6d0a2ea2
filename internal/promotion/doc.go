// Package promotion is the heart of Tagboat: it decides what happens next to the
// wish to have one artifact in one (app, environment).
//
// Decide is a pure function of facts, configuration and the time. It looks at a
// promotion's gates, and names at most one effect that brings the promotion
// closer to where it wants to be. The worker performs that effect, records it,
// and asks again with fresh facts, until the answer is Rest. So it does not
// matter in which order events arrive, how often, or after which crash: the same
// facts lead to the same next step.
//
//	            Open                    Merge                 (sync)
//	proposed ----------> open -------------------> merged -----------> deployed
//	   |  \                | \
//	   |   \ a newer       |  \ a person closed it
//	   |    \ artifact     |   `-----------------> closed
//	   |     `-----------> superseded <-- a newer artifact takes the pull request over
//	   `-----------------> closed   (nothing to change, or impossible; Message says why)
//
// What it promises (invariants of the design):
//
//   - Merge is only ever the answer when every gate passes for exactly the digest
//     and the head SHA at hand (I1), and our verdict has been published first.
//   - A head commit that is not ours never merges (I4).
//   - People may override gates about when, and about what others have proven, two of
//     them together; never those about what this is (see Overridable).
//   - A missing fact makes a gate wait; it never makes it pass (I10).
package promotion
