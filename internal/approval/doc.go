// Package approval decides who may say yes: Evaluate turns an environment's rules
// and a snapshot of the reviews into a verdict that says, rule by rule, who counted,
// who did not and why, and who is missing.
//
// A review counts for a rule when its author is a person whom the rule asks, who has
// neither asked for this promotion nor built its image, and whose latest decisive
// review (approve or request changes) approves exactly the digest and the edit that
// would be merged. Everything that is not known counts as no.
package approval
