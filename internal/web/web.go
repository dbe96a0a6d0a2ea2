package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

const (
	refusalsShown = 8
	logShown      = 500 // of evidence, ticks and syncs each, on a promotion's page
	readyWithin   = 2 * time.Second
)

// Store is what the pages read; *store.Store is one.
type Store interface {
	Ping(ctx context.Context) error
	Board(ctx context.Context, refusals int32) (store.Board, error)
	History(ctx context.Context, promotion int64, most int32) (store.History, error)
	Counts(ctx context.Context) (store.Counts, error)
}

// Config is what New needs; every field must be set.
type Config struct {
	Store   Store
	Metrics *prometheus.Registry // what /metrics shows; New adds what the database counts
	Now     func() time.Time
	Log     *slog.Logger
}

// Web is the handlers.
type Web struct {
	store   Store
	metrics *prometheus.Registry
	now     func() time.Time
	log     *slog.Logger
	pages   *template.Template
	assets  map[string]asset
}

// New makes the handlers. It fails when c.Metrics holds metrics of the same
// names already.
func New(c Config) (_ *Web, err error) {
	defer fault.Wrap(&err, "make the board")
	w := &Web{store: c.Store, metrics: c.Metrics, now: c.Now, log: c.Log}
	if w.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if w.pages, err = parsePages(w.assets); err != nil {
		return nil, err
	}
	return w, c.Metrics.Register(newCounters(c.Store, c.Now, c.Log))
}

// Register mounts the pages. Paths that nobody else mounts are answered in words.
func (w *Web) Register(e *echo.Echo) {
	get := func(path string, handler echo.HandlerFunc) {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, handler, secure)
	}
	get("/", w.showBoard)
	get("/promotions/:id", w.showPromotion)
	get("/api/board", w.boardJSON)
	get("/assets/:name", w.showAsset)
	w.RegisterHealth(e)
	e.RouteNotFound("/*", func(c echo.Context) error { return w.missing(c, "There is no page at this address.") }, secure)
}

// RegisterHealth mounts what machines ask for, and no page.
func (w *Web) RegisterHealth(e *echo.Echo) {
	get := func(path string, handler echo.HandlerFunc) {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, handler, secure)
	}
	get("/healthz", healthz)
	get("/readyz", w.readyz)
	get("/metrics", echo.WrapHandler(promhttp.HandlerFor(w.metrics, promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(w.log.Handler(), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError,
	})))
}

// The policy allows what we serve from /assets and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// secure sets the headers that every answer has.
func secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY") // for what does not know frame-ancestors
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		return next(c)
	}
}

func (w *Web) showBoard(c echo.Context) error {
	b, err := w.board(c.Request().Context())
	if err != nil {
		return w.failed(c, err)
	}
	return w.render(c, http.StatusOK, "board", page{Title: b.title(), Now: moment(w.now(), w.now()), Refresh: true, Body: b})
}

func (w *Web) boardJSON(c echo.Context) error {
	b, err := w.board(c.Request().Context())
	if err != nil {
		status, words := w.explain(c, err)
		return c.JSON(status, map[string]string{"message": words})
	}
	return c.JSON(http.StatusOK, b)
}

func (w *Web) board(ctx context.Context) (Board, error) {
	b, err := w.store.Board(ctx, refusalsShown)
	if err != nil {
		return Board{}, err
	}
	return newBoard(b, w.now()), nil
}

func (w *Web) showPromotion(c echo.Context) error {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return w.missing(c, "A promotion's address ends with its number.")
	}
	h, err := w.store.History(c.Request().Context(), id, logShown)
	if fault.Is(err, fault.NotFound) {
		return w.missing(c, "There is no promotion "+strconv.FormatInt(id, 10)+".")
	}
	if err != nil {
		return w.failed(c, err)
	}
	s := newStory(h, w.now())
	return w.render(c, http.StatusOK, "promotion", page{Title: s.title(), Now: moment(w.now(), w.now()), Refresh: true, Body: s})
}

// message is a page that says one thing.
type message struct {
	Heading, Text string
}

func (w *Web) missing(c echo.Context, text string) error {
	if !strings.Contains(c.Request().Header.Get(echo.HeaderAccept), echo.MIMETextHTML) {
		return c.String(http.StatusNotFound, text+"\n")
	}
	return w.render(c, http.StatusNotFound, "message", page{
		Title: "Not found · Tagboat", Now: moment(w.now(), w.now()), Body: message{"Not found", text},
	})
}

// failed answers that a page cannot be made now; it reloads itself until it can.
func (w *Web) failed(c echo.Context, err error) error {
	status, words := w.explain(c, err)
	return w.render(c, status, "message", page{
		Title: "Not available · Tagboat", Now: moment(w.now(), w.now()), Refresh: true,
		Body: message{"This page cannot be shown now", words + " This page tries again by itself."},
	})
}

// explain puts an error into words for the reader; the details are for the log.
func (w *Web) explain(c echo.Context, err error) (status int, words string) {
	if c.Request().Context().Err() != nil {
		return http.StatusServiceUnavailable, "The request was given up." // by its sender, who reads nothing
	}
	w.log.ErrorContext(c.Request().Context(), "a page could not be made", "path", c.Path(), "error", err)
	if fault.Is(err, fault.Transient) || errors.Is(err, context.DeadlineExceeded) {
		return http.StatusServiceUnavailable, "Tagboat's database does not answer. Promotions and syncs wait until it is back; nothing is lost."
	}
	return http.StatusInternalServerError, "Tagboat could not read what it knows. Its log says why."
}

func healthz(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

func (w *Web) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyWithin)
	defer cancel()
	if err := w.store.Ping(ctx); err != nil {
		w.log.WarnContext(ctx, "not ready", "error", err)
		return c.String(http.StatusServiceUnavailable, "The database does not answer.\n")
	}
	return c.String(http.StatusOK, "ok\n")
}

// render executes a page into memory first: half a page is never sent.
func (w *Web) render(c echo.Context, status int, name string, p page) error {
	var b bytes.Buffer
	if err := w.pages.ExecuteTemplate(&b, name, p); err != nil {
		w.log.ErrorContext(c.Request().Context(), "a page could not be rendered", "page", name, "error", err)
		return c.String(http.StatusInternalServerError, "This page could not be rendered. Tagboat's log says why.\n")
	}
	return c.HTMLBlob(status, b.Bytes())
}
