package store

// Chain is the hash that a row should have.
var Chain = chain
