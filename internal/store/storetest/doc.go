// Package storetest gives each test a PostgreSQL database of its own: one server
// per test process, one database per test, copied from one that was migrated
// once.
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
//	func TestIt(t *testing.T) {
//		s := storetest.Open(t)
//		...
//	}
package storetest
