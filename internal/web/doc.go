// Package web is what people and monitors read: the board, one page per
// promotion, health and metrics. Nothing here changes anything.
//
//	GET /                what runs where, what is on its way, what blocks it
//	GET /promotions/:id  one promotion with everything that was written down about it
//	GET /api/board       the board as JSON (type Board)
//	GET /healthz         the process is up
//	GET /readyz          the database answers too
//	GET /metrics         Prometheus
//
// Whatever a page shows came from outside: names, reasons, messages, diffs. It
// is data. html/template escapes it, links lead to http and https only, and the
// Content-Security-Policy forbids everything that we do not serve ourselves,
// inline scripts and styles included.
//
// A page is whole without a script: it reloads itself. With the script it swaps
// its contents instead, so that focus, scroll position and opened details stay,
// and says so when Tagboat cannot be reached: a board that has silently stopped
// is worse than none.
package web
