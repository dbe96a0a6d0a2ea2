// Package store is Tagboat's memory: PostgreSQL through pgx. One method is one
// transaction; SQL is written in query/*.sql and typed by sqlc.
//
// Two patterns recur.
//
// Insert with a unique key, not look-then-insert: deliveries, reviews, commands
// and tags that arrive twice change nothing the second time.
//
// Want and got. Whatever may change a decision raises the row's want, and
// enqueues its job unless one is waiting or running. The job reads want first,
// looks at the world, acts, and settles: under the row's lock it writes got, and
// is completed in the same transaction if want has not moved meanwhile; else it
// goes round again. Without the lock the last want is lost now and then: the
// queue drops an insert while a job runs, and the job may have looked already.
//
// River, the queue, lives in its own schema "river" of the same database, so
// that one transaction spans a row and the job that works on it.
package store
