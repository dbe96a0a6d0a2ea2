// Package approval decides who may say yes: Evaluate turns an environment's rule
// and a snapshot of the reviews into a verdict that says who counted, who did
// not and why, and who is missing.
//
// A review counts when its author is a person whom the rule names, who has not
// asked for this promotion, and whose latest decisive review (approve or request changes) approves exactly the
// digest and the edit that would be merged. Everything that is not known counts
// as no.
package approval
